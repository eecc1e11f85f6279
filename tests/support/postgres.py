"""A PostgreSQL server of the tests' own, on loopback, in a folder that goes with it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

PLACES = ("/usr/lib/postgresql", "/usr/local/pgsql")
ADVICE = "PostgreSQL's initdb is not installed: apt-get install postgresql"
RIGHTS = 0o755
"""The account that the server runs as has to pass through folders."""


class Postgres:
    """A server with one user, whose password is nowhere but in `url`, and as many databases as are asked for."""

    user = "tester"

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
        self.password = f"pw-{secrets.token_hex(12)}"
        self._data, self._log = self.folder / "data", self.folder / "log.txt"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        # initdb refuses root.
        self._account = "postgres" if os.geteuid() == 0 else None
        self.folder.chmod(RIGHTS)
        if self._account:
            shutil.chown(self.folder, self._account)
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o600)
        if self._account:
            shutil.chown(secret, self._account)
        self._run("initdb", "-D", self._data, "-U", self.user, "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8")
        with (self._data / "postgresql.conf").open("a") as config:
            config.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\n"
                "max_connections = 60\n"
            )
        self.start()

    def url(self, database: str = "postgres", *, password: str | None = None) -> str:
        return f"postgresql://{self.user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def database(self, name: str) -> str:
        """The URL of a new, empty database."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'create database "{name}"')
        return self.url(name)

    def start(self) -> None:
        self._run("pg_ctl", "start", "-w", "-t", "60", "-D", self._data, "-l", self._log)

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "-w", "-t", "60", "-m", mode, "-D", self._data)

    def remove(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str | Path) -> None:
        with tempfile.TemporaryFile() as output:  # A pipe would stay open in the server.
            done = subprocess.run(
                [found(program), *map(str, arguments)],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=self._account,
                group=self._account,
                extra_groups=[] if self._account else None,
                timeout=120,
                check=False,
            )
            output.seek(0)
            assert done.returncode == 0, f"{program}: {output.read().decode()}"


def found(program: str) -> str:
    """Where a program of PostgreSQL is: Debian leaves most of them out of PATH."""
    places = [str(path) for place in PLACES for path in sorted(Path(place).glob("*/bin"), reverse=True)]
    where = shutil.which(program) or shutil.which(program, path=os.pathsep.join(places))
    assert where is not None, ADVICE
    return where
