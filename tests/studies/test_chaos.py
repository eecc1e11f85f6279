"""Workers and runners are killed at random moments; the study ends with the numbers of an undisturbed one.

`make chaos` runs the long test and prints what each kill cost. A shorter one, as in
`CHAOS_KILLS=6 CHAOS_RUNNER_KILLS=1 CHAOS_SEEDS=1 CHAOS_ITERATIONS=60 make chaos`, only shows that it works.
"""

from __future__ import annotations

import csv
import json
import math
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.files import write_whole
from core.folder import Outcome, RunFolder
from studies.runner.queue import Queue
from tests.studies.test_local_launcher import lines, wait_for

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("CHAOS_KILLS", "50"))
RUNNER_KILLS = int(os.environ.get("CHAOS_RUNNER_KILLS", "5"))
SEEDS = os.environ.get("CHAOS_SEEDS", "3")
ITERATIONS = int(os.environ.get("CHAOS_ITERATIONS", "200"))
SETTINGS = (
    f"iterations={ITERATIONS}",
    f"evaluation.every={ITERATIONS // 2}",
    "data.train=256",
    "data.held_out=256",
    "--seeds",
    SEEDS,
)
PROGRAM = """
import os, sys
import studies.run, studies.mlflow_view.sync
os.environ["INR_GAN_TRAINER"] = "tests.support.often"
studies.mlflow_view.sync.SYNC_SECONDS = 3.0
studies.run.main(sys.argv[1:])
"""
SEED = 20
BAR_SECONDS = 10.0
"""What a kill may cost beyond the work since the job's last checkpoint."""
WORKERS = 2
TIMES = ("seconds", "evaluation_seconds")
LOOK_SECONDS = 0.05


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

    def ended(self) -> int:
        return sum(1 for _ in self.runs.glob("jobs/*/outcome.json"))

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


@dataclass(frozen=True)
class Kill:
    """Of the worker that trained a job, `lost` seconds after what the job can go on from, with `iteration` recorded.

    `checkpoint` says whether that is one, and not the job's begin. `record` names the file of events then: whoever goes
    on writes a new one.
    """

    at: float
    lost: float
    iteration: int
    record: int | None
    checkpoint: bool


@dataclass
class Recovery:
    """From a kill until the job has again recorded the iteration that it had reached, whoever trains it then.

    Nothing is subtracted: it includes noticing, waiting in the queue, the start of a process, loading, and the work
    done again. A job that is killed again before it was there is in one recovery with all these kills, from the first
    one until the furthest iteration of any; each may cost as much as if it had come alone.
    """

    folder: RunFolder
    kills: list[Kill]
    resumed: bool = False
    runner_killed: bool = False
    seconds: float | None = None

    @property
    def overhead(self) -> float:
        """Seconds a kill beyond the work that it lost."""
        assert self.seconds is not None
        return (self.seconds - sum(kill.lost for kill in self.kills)) / len(self.kills)

    @property
    def within(self) -> bool:
        return self.overhead <= BAR_SECONDS

    def there(self) -> bool:
        """Whether the job is where it was."""
        if self.folder.outcome() is not None:
            return True
        # Seen once, for the next record may be where the killed worker's was on the disk.
        self.resumed = self.resumed or record_of(self.folder) != self.kills[-1].record
        last = self.folder.last_event() if self.resumed else None
        return last is not None and last.iteration >= max(kill.iteration for kill in self.kills)


def record_of(folder: RunFolder) -> int | None:
    return folder.events_file.stat().st_ino if folder.events_file.exists() else None


class Recoveries:
    """What became of every kill. Call `look` often: `clock` tells the wall time, as files have it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.pending: dict[str, Recovery] = {}
        self.done: list[Recovery] = []
        self.held_nothing = 0

    def killed(self, folder: RunFolder | None) -> None:
        """A worker was just killed that trained this job, or none that is not over."""
        self.look()
        if folder is None or folder.outcome() is not None:
            self.held_nothing += 1
            return
        recovery = self.pending.setdefault(folder.digest, Recovery(folder, []))
        now, last = self.clock(), folder.last_event()
        stands = [
            (folder.path / name).stat().st_mtime
            for name in ("checkpoint.pt", "provenance.json")
            if (folder.path / name).exists()
        ]
        # What the kill before it in this recovery had already lost is not lost again.
        stands += [kill.at for kill in recovery.kills[-1:]]
        lost = now - max(stands) if stands else 0.0
        recovery.resumed = False
        checkpoint = folder.checkpoint_file.exists() or folder.previous_checkpoint_file.exists()
        recovery.kills.append(Kill(now, lost, last.iteration if last else 0, record_of(folder), checkpoint))

    def runner_killed(self) -> None:
        for recovery in self.pending.values():
            recovery.runner_killed = True

    def look(self) -> None:
        for digest, recovery in list(self.pending.items()):
            if recovery.there():
                recovery.seconds = self.clock() - recovery.kills[0].at
                self.done.append(self.pending.pop(digest))

    def table(self) -> str:
        """How many kills there were of each kind, how many within the bar, and what they cost."""
        kinds = {
            "alone": [each for each in self.done if len(each.kills) == 1 and not each.runner_killed],
            "killed again before it was back": [
                each for each in self.done if len(each.kills) > 1 and not each.runner_killed
            ],
            "the runner killed before it was back": [each for each in self.done if each.runner_killed],
        }
        lines = [f"{'kills of workers':38} {'kills':>5} {'within':>6} {'median s':>8} {'most s':>6}"]
        for kind, found in [*kinds.items(), ("all of these", self.done)]:
            kills = sum(len(each.kills) for each in found)
            within = sum(len(each.kills) for each in found if each.within)
            costs = [each.overhead for each in found for _ in each.kills]
            spread = f"{statistics.median(costs):8.1f} {max(costs):6.1f}" if costs else f"{'':8} {'':6}"
            lines.append(f"{kind:38} {kills:5} {within:6} {spread}".rstrip())
        lines.append(f"{'held no job, nothing was lost':38} {self.held_nothing:5}")
        lines.append("seconds: until the job was where it had been, less those since its last checkpoint or its begin;")
        lines.append(f"within: at most {BAR_SECONDS:.0f} s of them for each kill")
        return "\n".join(lines)


def test_a_recovery_lasts_until_the_job_is_where_it_was_in_a_new_record(tmp_path: Path) -> None:
    folder, now = RunFolder(tmp_path, "0" * 16), [1000.0]
    recoveries = Recoveries(lambda: now[0])
    folder.path.mkdir()

    def record(*iterations: int) -> None:
        write_whole(
            folder.events_file,
            "".join(
                f'{{"kind": "sampled", "iteration": {it}, "images": {it}, "seconds": {it}}}\n' for it in iterations
            ).encode(),
        )

    def checkpoint(at: float) -> None:
        folder.checkpoint_file.touch()
        os.utime(folder.checkpoint_file, (at, at))

    record(0, 4, 8)
    checkpoint(998.0)
    recoveries.killed(folder)
    now[0] = 1003.0
    recoveries.look()
    assert recoveries.pending, "the killed worker's own record says nothing"
    record(0, 4)
    recoveries.look()
    assert recoveries.pending
    now[0] = 1007.0
    record(0, 4, 8)
    recoveries.look()
    (alone,) = recoveries.done
    assert (alone.seconds, alone.overhead, alone.within) == (7.0, 5.0, True)

    # Killed at 12, again at 8 while it comes back, and the runner once.
    record(0, 4, 8, 12)
    now[0] = 1010.0
    checkpoint(1009.0)
    recoveries.killed(folder)
    record(0, 4, 8)
    now[0] = 1014.0
    recoveries.killed(folder)
    recoveries.runner_killed()
    record(0, 4, 8)
    now[0] = 1020.0
    recoveries.look()
    assert recoveries.pending, "it had been at 12"
    record(0, 4, 8, 12)
    now[0] = 1041.0
    recoveries.look()
    twice = recoveries.done[1]
    assert [kill.lost for kill in twice.kills] == [1.0, 4.0] and twice.runner_killed
    assert (twice.seconds, twice.overhead, twice.within) == (31.0, 13.0, False)
    ended = Outcome(status="finished", iteration=12, seconds=1, evaluation_seconds=0, job_seconds=1)
    folder.write("outcome.json", ended.model_dump_json())
    recoveries.killed(folder)
    recoveries.killed(None)
    rows = [line.split()[-4:] for line in recoveries.table().splitlines()]
    assert rows[1] == ["1", "1", "5.0", "5.0"] and rows[3] == ["2", "0", "13.0", "13.0"]
    assert rows[4] == ["3", "1", "13.0", "13.0"] and rows[5][-1] == "2"


@pytest.mark.slow
def test_kills_of_workers_and_of_the_runner_change_no_number(tmp_path: Path) -> None:
    calm = Study(tmp_path / "calm")
    began = time.monotonic()
    assert calm.start().wait(1800) == 0, calm.said()
    undisturbed = time.monotonic() - began

    wild = Study(tmp_path / "wild")
    moments = random.Random(SEED)
    recoveries = Recoveries()
    began = time.monotonic()
    runner = wild.start()
    wait_for(lambda: any(folder.events_file.exists() for folder in wild.folders().values()), 120)
    # So often that the kills fall into the study, and yet a worker comes to train between them.
    gap = undisturbed / (1.2 * KILLS) + 0.45 * (time.monotonic() - began)
    (plan,) = (wild.runs / "plans" / "changes_overview").glob("*.json")
    queue = Queue(wild.runs, "changes_overview", plan.stem)
    kills = runner_kills = 0
    while kills < KILLS:
        left, looked = moments.uniform(0.2, 1.8) * gap, time.monotonic()
        while left > 0:
            recoveries.look()
            time.sleep(LOOK_SECONDS)
            # Faster where the study would be over before all kills: how busy the machine is may have changed.
            behind = wild.ended() / len(calm.folders()) > 0.8 * (kills + 1) / KILLS
            left -= (time.monotonic() - looked) * (5 if behind else 1)
            looked = time.monotonic()
        assert runner.poll() is None, f"the study ended after {kills} kills: {wild.said()}"
        there = sorted(wild.workers(runner.pid))
        if not there:
            continue
        victim, name = moments.choice(there)
        claim = queue.held_by(name)
        os.kill(victim, signal.SIGKILL)
        kills += 1
        recoveries.killed(None if claim is None else RunFolder(wild.runs / "jobs", claim.digest))
        if RUNNER_KILLS and kills % (KILLS // RUNNER_KILLS) == KILLS // RUNNER_KILLS - 1:
            runner.kill()
            runner.wait()
            recoveries.runner_killed()
            runner_kills += 1
            runner = wild.start()
    end = time.monotonic() + 1800
    while runner.poll() is None:
        assert time.monotonic() < end, wild.said()
        recoveries.look()
        time.sleep(LOOK_SECONDS)
    assert runner.returncode == 0, wild.said()
    disturbed = time.monotonic() - began
    recoveries.look()

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

    assert not recoveries.pending
    assert sum(len(each.kills) for each in recoveries.done) + recoveries.held_nothing == KILLS

    resumed = {digest for digest, folder in wild.folders().items() if (end := folder.outcome()) and end.resumed}
    had_checkpoints = {each.folder.digest for each in recoveries.done if any(kill.checkpoint for kill in each.kills)}
    assert had_checkpoints and had_checkpoints <= resumed, "a job that had a checkpoint was begun anew"
    lost = [kill.lost for each in recoveries.done for kill in each.kills]
    report = {
        "jobs": len(calm.folders()),
        "undisturbed_seconds": undisturbed,
        "disturbed_seconds": disturbed,
        "kills": kills,
        "runner_kills": runner_kills,
        "mean_gap_seconds": gap,
        "jobs_resumed_from_a_checkpoint": len(resumed),
        "since_checkpoint_or_begin_seconds": quartiles(lost),
        "until_it_is_where_it_was_seconds": quartiles([each.seconds or 0.0 for each in recoveries.done]),
        # Over all workers, against the undisturbed run.
        "worker_seconds_per_kill": WORKERS * (disturbed - undisturbed) / (kills + WORKERS * runner_kills),
    }
    print(json.dumps(report, indent=1))
    print(recoveries.table())


def quartiles(values: list[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else 3 * (values or [math.nan])
    least, most = min(values, default=math.nan), max(values, default=math.nan)
    return {"n": len(values), "least": least, "q1": low, "median": middle, "q3": high, "most": most}
