"""Workers and runners are killed at random moments; the study ends with the numbers of an undisturbed one.

`make chaos` runs the long test and prints what the kills cost.
"""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.folder import RunFolder
from studies.plan import Plan, jobs_root
from studies.runner.queue import Queue
from studies.runner.worker import Order
from tests.studies import fake_job
from tests.studies.test_local_launcher import launched, lines, status, wait_for

ROOT = Path(__file__).parents[2]
SETTINGS = ("iterations=200", "evaluation.every=100", "data.train=256", "data.held_out=256", "--seeds", "3")
PROGRAM = """
import sys
import studies.run, studies.runner.tracking
studies.run.TRAINER = "tests.studies.often"
studies.runner.tracking.SYNC_SECONDS = 3.0
studies.run.main(sys.argv[1:])
"""
KILLS, RUNNER_KILLS = 50, 5
SEED = 20
WORKERS = 2
TIMES = ("seconds", "evaluation_seconds")


# --- short: the launcher and a queue, fake jobs -----------------------------------------------------------------------


def test_three_kills_at_random_moments_change_nothing(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(seeds=(fake_job.SLOW,), variants=3, iterations=12))
    moments, victims = random.Random(SEED), set[int]()
    runner = threading.Thread(target=launched, args=(made,))
    runner.start()
    while len(victims) < 3 and runner.is_alive():
        time.sleep(moments.uniform(0.1, 0.6))
        training = [pid for digest in made.digests if (pid := trainer(made, digest)) not in {None, *victims}]
        if training:
            victims.add(victim := moments.choice([pid for pid in training if pid is not None]))
            os.kill(victim, signal.SIGKILL)
    runner.join(60)
    assert not runner.is_alive() and len(victims) == 3
    for digest in made.digests:
        folder = RunFolder(jobs_root(made.runs), digest)
        assert status(made, digest) == "finished"
        assert [event["iteration"] for event in lines(folder) if event["kind"] == "losses"] == list(range(1, 13))
        values = [(event["iteration"], event["value"]) for event in lines(folder) if event["kind"] == "evaluated"]
        job = next(task.job for task in made.tasks if task.digest == digest)
        assert values == [(iteration, fake_job.score(job, iteration)) for iteration in (5, 10, 12)]
    queue = Queue(made.runs, made.study, made.setting)
    assert not queue.running(made.digests) and not queue.waiting(made.digests)


def trainer(order: Order, digest: str) -> int | None:
    """The process that trains a fake job now."""
    folder = RunFolder(jobs_root(order.runs), digest)
    file = folder.path / "trained_by.txt"
    if folder.outcome() is not None or not file.exists():
        return None
    pid = int(file.read_text().split()[-1])
    return pid if (Path("/proc") / str(pid)).exists() else None


# --- long: a real study -----------------------------------------------------------------------------------------------


class Study:
    """The ladder in a folder of its own, by the command that people use."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.runs = folder, folder / "runs"

    def start(self) -> subprocess.Popen[bytes]:
        environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "changes_overview", *SETTINGS, "--jobs", str(WORKERS)],
                cwd=self.folder,
                env={**environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def said(self) -> str:
        return (self.folder / "log.txt").read_text()

    def folders(self) -> dict[str, RunFolder]:
        jobs = self.runs / "jobs"
        return {folder.name: RunFolder(jobs, folder.name) for folder in sorted(jobs.iterdir())} if jobs.exists() else {}

    def numbers(self, folder: RunFolder) -> tuple[list[dict[str, Any]], bytes]:
        """All that a job recorded but times and checkpoints, which come by the clock, and its generator."""
        events = [
            {key: value for key, value in event.items() if key not in TIMES}
            for event in lines(folder)
            if event["kind"] != "checkpointed"
        ]
        return events, folder.generator_file.read_bytes() if folder.generator_file.exists() else b""

    def results(self) -> list[dict[str, str]]:
        (file,) = self.runs.rglob("results.csv")
        with file.open() as stream:
            return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(stream)]

    def shown(self) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str, int, float]]]:
        """MLflow's (job, status) of every run, and (job, metric, iteration, value) of every row but times."""
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database:
            runs = database.execute(
                "select tags.value, runs.status from runs join tags on tags.run_uuid = runs.run_uuid "
                "where tags.key = 'job'"
            ).fetchall()
            rows = database.execute(
                "select tags.value, metrics.key, metrics.step, metrics.value from metrics "
                "join tags on tags.run_uuid = metrics.run_uuid where tags.key = 'job' and metrics.key != 'seconds'"
            ).fetchall()
        return Counter(runs), Counter(rows)

    def workers(self, runner: int) -> Iterator[tuple[int, str]]:
        """The processes that work for a runner, each with its name in the queue."""
        for process in Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == runner and b"studies.runner.worker" in words:
                yield int(process.name), words[words.index(b"studies.runner.worker") + 2].decode()


class Restarts:
    """How long after a kill the job trains again: its `provenance.json` is written when all is loaded."""

    def __init__(self) -> None:
        self.pending: dict[Path, float] = {}
        self.seconds: list[float] = []

    def killed(self, folder: RunFolder) -> None:
        self.pending[folder.path / "provenance.json"] = time.time()

    def look(self) -> None:
        for file, killed in list(self.pending.items()):
            if file.exists() and (began := file.stat().st_mtime) > killed:
                self.seconds.append(began - killed)
                del self.pending[file]


@pytest.mark.slow
def test_fifty_kills_of_workers_and_five_of_the_runner_change_no_number(tmp_path: Path) -> None:
    calm = Study(tmp_path / "calm")
    began = time.monotonic()
    assert calm.start().wait(1800) == 0, calm.said()
    undisturbed = time.monotonic() - began

    wild = Study(tmp_path / "wild")
    moments = random.Random(SEED)
    restarts, lost, idle = Restarts(), list[float](), 0
    began = time.monotonic()
    runner = wild.start()
    wait_for(lambda: any(folder.events_file.exists() for folder in wild.folders().values()), 120)
    # So often that the kills fall into the study, and yet a worker comes to train between them.
    gap = undisturbed / 60 + 0.45 * (time.monotonic() - began)
    (plan,) = (wild.runs / "plans" / "changes_overview").glob("*.json")
    queue = Queue(wild.runs, "changes_overview", plan.stem)
    kills = runner_kills = 0
    while kills < KILLS:
        until = time.monotonic() + moments.uniform(0.2, 1.8) * gap
        while time.monotonic() < until:
            restarts.look()
            time.sleep(0.05)
        assert runner.poll() is None, f"the study ended after {kills} kills: {wild.said()}"
        there = sorted(wild.workers(runner.pid))
        if not there:
            continue
        victim, name = moments.choice(there)
        claim = queue.held_by(name)
        os.kill(victim, signal.SIGKILL)
        kills += 1
        if claim is None:
            idle += 1
        else:
            folder = RunFolder(wild.runs / "jobs", claim.digest)
            restarts.killed(folder)
            since = [
                (folder.path / name).stat().st_mtime
                for name in ("checkpoint.pt", "provenance.json")
                if (folder.path / name).exists()
            ]
            if since:  # Else nothing had begun that could be lost.
                lost.append(time.time() - max(since))
        if kills % (KILLS // RUNNER_KILLS) == KILLS // RUNNER_KILLS - 1:
            runner.kill()
            runner.wait()
            runner_kills += 1
            runner = wild.start()
    assert runner.wait(1800) == 0, wild.said()
    disturbed = time.monotonic() - began
    restarts.look()

    assert (kills, runner_kills) == (KILLS, RUNNER_KILLS)
    assert list(wild.folders()) == list(calm.folders())
    for digest, folder in calm.folders().items():
        assert wild.numbers(wild.folders()[digest]) == calm.numbers(folder)
    rows = wild.results()
    assert rows == calm.results()
    assert max(Counter((row["variant"], row["seed"], row["metric"], row["iteration"]) for row in rows).values()) == 1
    runs, metrics = wild.shown()
    assert set(runs.values()) == {1} and {job for job, _ in runs} == set(calm.folders())
    assert {state for _, state in runs} == {"FINISHED"}
    assert set(metrics.values()) == {1} and metrics == calm.shown()[1]

    took = sorted(restarts.seconds)
    outcomes = [folder.outcome() for folder in wild.folders().values()]
    report = {
        "jobs": len(calm.folders()),
        "undisturbed_seconds": undisturbed,
        "disturbed_seconds": disturbed,
        "kills": kills,
        "kills_between_jobs": idle,
        "runner_kills": runner_kills,
        "mean_gap_seconds": gap,
        "jobs_resumed_from_a_checkpoint": sum(outcome is not None and outcome.resumed for outcome in outcomes),
        "since_checkpoint_or_begin_seconds, waiting in the queue included": quartiles(lost),
        "until_it_trains_again_seconds, waiting in the queue included": quartiles(took),
        # What the bar is about: lost work, restart and loading, over all workers, against the undisturbed run.
        "worker_seconds_per_kill": WORKERS * (disturbed - undisturbed) / (kills + WORKERS * runner_kills),
    }
    print(json.dumps(report, indent=1))


def quartiles(values: list[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"n": len(values), "least": min(values), "q1": low, "median": middle, "q3": high, "most": max(values)}
