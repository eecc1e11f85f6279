"""Opens MLflow on a study's page: `python -m studies.ui STUDY` is `mlflow ui` on loopback, without telemetry."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import webbrowser
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import click

from core.command_line import DONE
from core.errors import InputError
from core.processes import environment, python
from core.words import typed
from studies import catalogue
from studies.click_life import Command, Count
from studies.mlflow_view.database import check_places
from studies.mlflow_view.experiment import Experiment, server_url, without_user
from studies.plan import check_received, plan_file, read_plan, settings_of
from studies.runner.environment import NO_TELEMETRY
from studies.stores import SQLITE, TRACKING_VARIABLE, sqlite_file, tracking_uri, use_stores

HOST = "127.0.0.1"
SERVER_OPTIONS = "MLFLOW_UVICORN_OPTS"
LOOK_SECONDS = 0.5


@click.command(cls=Command)
@click.argument("study", required=False)
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@click.option("--setting", help="One setting of the study's plans.  [default: cpu, or the only one]")
@click.option("--tracking", metavar="URL", help=f"Where MLflow's runs are; default: {TRACKING_VARIABLE}, or mlflow.db.")
@click.option("--port", type=Count(1, 65_535), default=5000, show_default=True)
@click.option("--browser", is_flag=True, help="Open the page in your browser as well.")
def main(study: str | None, runs: Path, setting: str | None, tracking: str | None, port: int, browser: bool) -> int:
    """Starts `mlflow ui` where nobody else can reach it, with telemetry off, and says where STUDY is.

    Where the runs are on a server already, it only says where. Ctrl-C ends it.
    """
    use_stores(tracking=tracking)
    experiment = None if study is None else _experiment(study, runs, setting)
    server = tracking_uri()
    if server.startswith("http"):
        _say(experiment, without_user(server), browser)
        return DONE
    database = sqlite_file(server) if server.startswith(SQLITE) else None
    if database is not None and not database.exists():
        raise InputError(f"there is no {database} yet: run a study first, or `python -m studies.sync STUDY`")
    if database is not None:
        check_places(database)
    _check_free(port)
    # The URL may have a password, which everybody could read in the arguments.
    variables = {**environment(), **NO_TELEMETRY}
    variables["MLFLOW_BACKEND_STORE_URI"] = server_url(database) if database else server
    # Its workers for language models would take a core at every start.
    variables.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    variables.pop(TRACKING_VARIABLE, None)
    # Its server would look for modules in the working folder first, unless it is given another one.
    variables[SERVER_OPTIONS] = f"{os.environ.get(SERVER_OPTIONS, '')} --app-dir {os.devnull}".strip()
    process = subprocess.Popen(
        # Runs have their files beside the database: nothing is to be sent to a folder of the server's.
        python("mlflow", "ui", "--host", HOST, "--port", str(port), "--workers", "1", "--no-serve-artifacts"),
        env=variables,
        # The files of runs are beside the database.
        cwd=database.parent if database else None,
        # The server is a child of that process, and would outlive it.
        start_new_session=True,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if _answers(process, f"http://{HOST}:{port}"):
            _say(experiment, f"http://{HOST}:{port}", browser)
        return process.wait()
    except KeyboardInterrupt:
        return DONE
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _experiment(study: str, runs: Path, setting: str | None) -> Experiment:
    check_received(runs)
    asked, study = study, catalogue.planned_name(study, runs)
    there = settings_of(runs, study)
    chosen = setting or ("cpu" if "cpu" in there else there[0] if len(there) == 1 else None)
    if not there:
        raise InputError(f"{runs} has no plan of {study}: run it there first, or name its folder with --runs")
    if chosen not in there:
        raise InputError(f"{study} has the settings {', '.join(there)}: choose one with --setting")
    experiment = Experiment(read_plan(plan_file(runs, study, str(chosen))), runs)
    if experiment.link is None:
        sync = typed("python", "-m", "studies.sync", asked)
        raise InputError(f"MLflow has no run of {study} yet: `{sync}` shows those in {runs}")
    return experiment


def _check_free(port: int) -> None:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError:
            raise InputError(f"port {port} is in use: choose another one with --port") from None


def _answers(process: subprocess.Popen[bytes], server: str) -> bool:
    """Waits until the server is there; False where it ended before."""
    opener = build_opener(ProxyHandler({}))  # No proxy knows this machine's loopback.
    while process.poll() is None:
        try:
            with opener.open(f"{server}/health", timeout=5):
                return True
        except (URLError, OSError):
            time.sleep(LOOK_SECONDS)
    return False


def _say(experiment: Experiment | None, server: str, browser: bool) -> None:
    page = server if experiment is None else experiment.link_at(server)
    print(page)
    if browser and page is not None:
        webbrowser.open(page)


if __name__ == "__main__":
    main()
