"""A tracking server behind HTTP that is killed while a study trains and started again: each run and point is there
once."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.folder import RunFolder
from studies.plan import jobs_root

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, sys
import studies.run, studies.mlflow_view.fitting, studies.mlflow_view.sync
os.environ["INR_GAN_TRAINER"] = "tests.support.often"
studies.mlflow_view.sync.SYNC_SECONDS = 1.0
studies.mlflow_view.sync.MOST_PAUSE_SECONDS = 2.0
studies.mlflow_view.fitting.BATCH = 7
studies.run.main(sys.argv[1:])
"""
SETTINGS = ("iterations=300", "evaluation.every=50", "data.train=256", "data.held_out=256", "evaluation.quality=null")
SETTINGS += ("--only", "baseline,all", "--seeds", "3", "--jobs", "2", "--no-report")
RUNS = 6


class Server:
    """`mlflow server` on loopback, its files in one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.database = folder, folder / "mlflow.db"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ("--host", "127.0.0.1", "--port", str(self.port), "--workers", "1")
        stores = ("--backend-store-uri", f"sqlite:///{self.database}", "--artifacts-destination", "artifacts")
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *options, *stores],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self.answers, 120)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """At once and whole: it is a process with children."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def points(self) -> int:
        """How many rows of metrics it has, read from its file."""
        if not self.database.exists():
            return 0
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as connection:
            try:
                return int(connection.execute("select count(*) from metrics").fetchone()[0])
            except sqlite3.OperationalError:  # Its tables are being made.
                return 0


def wait_for(what: Callable[[], bool], seconds: float = 180) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "server")
    try:
        made.start()
        yield made
    finally:
        made.kill()


def check(server: Server, jobs: Path) -> None:
    """Each job is one ended run, and each of its points is there once, as the server tells by HTTP."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=server.url)
    (experiment,) = [e for e in client.search_experiments() if e.name.startswith("changes_overview")]
    found = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["job"] for run in found) == sorted(folder.name for folder in jobs.iterdir())
    assert len(found) == RUNS and {run.info.status for run in found} == {"FINISHED"}
    for run in found:
        events = [json.loads(line) for line in RunFolder(jobs, run.data.tags["job"]).events_file.open()]
        losses = [(event["iteration"], event["d_loss"]) for event in events if event["kind"] == "losses"]
        values = [(event["iteration"], event["value"]) for event in events if event.get("metric") == "fd_rooms"]
        assert len(losses) == 50 and len(values) == 6
        for key, expected in (("loss/d", losses), ("fd_rooms", values)):
            history = client.get_metric_history(run.info.run_id, key)
            assert sorted((point.step, point.value) for point in history) == expected
        assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"job.json", "images"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_server_killed_half_way_has_each_metric_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    said = tmp_path / "said.txt"
    with said.open("w") as output:
        study = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "changes_overview", *SETTINGS],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        jobs = jobs_root(tmp_path / "runs")
        wait_for(lambda: server.points() > 50)
        server.kill()
        wait_for(lambda: "MLflow view not written, the jobs go on" in said.read_text())
        assert study.poll() is None and len(list(jobs.glob("*/outcome.json"))) < RUNS
        server.start()
        assert study.wait(600) == 0, said.read_text()
    finally:
        study.kill()
        study.wait()
    assert "MLflow view written again" in said.read_text()
    # One link at the end, and none of MLflow's own for each run.
    assert said.read_text().count(server.url) == 2
    check(server, jobs)
    before = server.points()
    again = subprocess.run(
        [sys.executable, "-m", "studies.sync", "changes_overview"], cwd=tmp_path, env=environment, check=False
    )
    assert again.returncode == 0
    assert server.points() == before
    check(server, jobs)
