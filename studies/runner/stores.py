"""Where the queue and the MLflow view are kept: in files by default, elsewhere by URL; and what may be said of a URL.

A URL with a password comes from the environment and goes to workers by it. It is shown, and recorded, by `address`
alone, and errors of databases and servers are shown through `redacted`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from filelock import FileLock

from core.errors import InputError
from core.files import write_whole
from core.words import first_words

QUEUE_VARIABLE = "INR_GAN_QUEUE"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
DEFAULT_TRACKING = "sqlite:///mlflow.db"

POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
DRIVER = "postgresql+psycopg"
"""SQLAlchemy takes plain `postgresql` for one driver or another, depending on its version."""
TRACKING_SCHEMES = (*POSTGRESQL, "sqlite", "http", "https")

USERINFO = re.compile(r"(://[^\s:/@]*):\S*@")
LOOSE = re.compile(r"://[^:/@]*:(.*)@", re.DOTALL)
PARAMETER = re.compile(r"([?&](?:ssl)?password=)[^&\s]*", re.IGNORECASE)
HIDDEN = "***"


class Unreachable(RuntimeError):
    """A store that was not to be reached for as long as one was willing to wait; the message is one line."""


# --- URLs -------------------------------------------------------------------------------------------------------------


def queue_url() -> str | None:
    """The database that holds the queue, None for files in the folder of runs.

    Raises InputError where the variable has something else.
    """
    url = os.environ.get(QUEUE_VARIABLE)
    return _checked(url, QUEUE_VARIABLE, POSTGRESQL) if url else None


def tracking_uri() -> str:
    """Where the view is kept: MLFLOW_TRACKING_URI, or `mlflow.db` in the current folder, where `mlflow ui` looks.

    Raises InputError where the variable has something else than a server, a PostgreSQL database or an SQLite file.
    """
    url = os.environ.get(TRACKING_VARIABLE)
    return _checked(url, TRACKING_VARIABLE, TRACKING_SCHEMES) if url else DEFAULT_TRACKING


def use_stores(*, queue: str | None = None, tracking: str | None = None) -> None:
    """Lets this process and its workers use what the options --queue and --tracking say, else what the environment
    says.

    Raises InputError for a URL that cannot be used, and for a password in an option: all users of a machine can read
    the arguments of its processes.
    """
    for option, url, variable in (("--queue", queue, QUEUE_VARIABLE), ("--tracking", tracking, TRACKING_VARIABLE)):
        if url is None:
            continue
        if secrets_of(url):
            raise InputError(
                f"{option} has a password, and process arguments can be read by everybody on this machine: leave the "
                f"password to ~/.pgpass, or set {variable} to the whole URL"
            )
        os.environ[variable] = url
    queue_url()
    tracking_uri()


def _checked(url: str, variable: str, schemes: tuple[str, ...]) -> str:
    """The URL with its driver named."""
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in schemes:
        raise InputError(
            f"{variable} is no URL that can be used: it begins with {', '.join(f'{s}://' for s in schemes)}"
        )
    if scheme == "sqlite":
        return url
    # What is not encoded moves the end of a password, and the rest would be taken for a host, which is no secret.
    try:
        parts = urlsplit(url)
        valid = parts.port is None or parts.port > 0
    except ValueError:
        valid = False
    if not valid or re.search(r"\s", url) or url.count("@") != parts.netloc.count("@") or url.count("@") > 1:
        example = "postgresql://user@host:5432/database" if scheme in POSTGRESQL else "https://user@host"
        raise InputError(
            f"{variable} cannot be read: it looks like {example}, other signs in a password percent-encoded"
        )
    if scheme not in POSTGRESQL:
        return url
    if importlib.util.find_spec("psycopg") is None:
        raise InputError(
            f"{variable} is a PostgreSQL database, which needs psycopg: pip install 'psycopg[binary]>=3.2'"
        )
    return f"{DRIVER}://{rest}"


def folder_id(folder: Path) -> str:
    """The name of the folder of runs that this queue belongs to, in databases and on servers that others use, too.

    The same from wherever it is mounted; made where there is none.
    """
    file = folder / "id"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "id.lock"):
        if not file.exists():
            write_whole(file, uuid.uuid4().hex[:12].encode())
    return file.read_text()


# --- what may be said of them -----------------------------------------------------------------------------------------


def address(url: str) -> str:
    """The URL without its password, as it may be shown and recorded."""
    return PARAMETER.sub(rf"\1{HIDDEN}", USERINFO.sub(rf"\1:{HIDDEN}@", url))


def secrets_of(url: str) -> set[str]:
    """The passwords in a URL, as they stand there and as they are meant; one that was not encoded is found as well."""
    found = [password[1] for password in LOOSE.finditer(url)]
    # The URL may be one that nobody can parse.
    with suppress(ValueError):
        parts = urlsplit(url)
        found += [parts.password or "", *(value for key, value in parse_qsl(parts.query) if key.endswith("password"))]
    return {form for secret in found if secret for form in (secret, unquote(secret))}


def redacted(text: str) -> str:
    """The text without passwords: those in URLs, and wherever else those of the stores in use stand."""
    text = address(text)
    known = {s for v in (QUEUE_VARIABLE, TRACKING_VARIABLE) for s in secrets_of(os.environ.get(v, ""))}
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def first_line(error: BaseException) -> str:
    """What went wrong, short enough for one line, without passwords."""
    return redacted(first_words(error, most=3000))[:300]


# --- waiting for them -------------------------------------------------------------------------------------------------


_asked_to_stop: Callable[[], bool] = bool
"""Nothing, at first: `bool()` is False."""


@contextmanager
def waiting_until(stop: Callable[[], bool]) -> Iterator[None]:
    """While this lasts nobody in this process waits for a store, or long for an evaluation, once `stop()`."""
    global _asked_to_stop
    before, _asked_to_stop = _asked_to_stop, stop
    try:
        yield
    finally:
        _asked_to_stop = before


def asked_to_stop() -> bool:
    """Whether whoever waits should give it up. Asking says nothing: a loop that asks its own `stop` beats."""
    return _asked_to_stop()
