"""Writes down what a command that trains takes, beside what was predicted before it began."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from core.folder import RunFolder
from core.machine import Machine
from studies.costs import Invocation, add_invocation
from studies.plan import Plan, jobs_root
from studies.run_state import outcome_mark
from studies.runner.estimate import makespan, predicted
from studies.runner.progress import span
from studies.runner.tasks import Task


@contextmanager
def costs_kept(
    plan: Plan,
    pending: Sequence[Task],
    runs: Path,
    *,
    machine: Machine,
    workers: int,
    interrupted: Callable[[], bool],
    say: Callable[[str], None],
    steady: bool = True,
) -> Iterator[None]:
    """Times what is done inside, training these tasks, and adds an `Invocation` to those of the plan's setting.

    Nothing is added where no run ended and nobody interrupted: then nothing was trained. Where the number of workers is
    not `steady` from the beginning to the end, nobody can tell what of the time was overhead.
    """
    folders = {task.digest: RunFolder(jobs_root(runs), task.digest) for task in pending}
    marks = {digest: outcome_mark(folder) for digest, folder in folders.items()}
    begun = {digest for digest, folder in folders.items() if folder.state() in ("interrupted", "running")}
    prediction = predicted(pending, runs, machine=machine, workers=workers)
    expected = None if prediction.unknown else prediction.seconds
    began, started = datetime.now(UTC), time.monotonic()
    try:
        yield
    finally:
        seconds = time.monotonic() - started
        ended = [digest for digest, folder in folders.items() if outcome_mark(folder) != marks[digest]]
        outcomes = [outcome for digest in ended if (outcome := folders[digest].outcome()) is not None]
        took = [outcome.job_seconds for outcome in outcomes]
        whole = steady and len(ended) == len(pending) and not begun and not any(outcome.resumed for outcome in outcomes)
        if ended or interrupted():
            invocation = Invocation(
                began=began.isoformat(timespec="seconds"),
                machine=machine,
                workers=workers,
                planned=len(pending),
                ended=len(ended),
                continued=len(begun.intersection(ended)),
                predicted_seconds=expected,
                seconds=seconds,
                job_seconds=sum(took),
                overhead_seconds=max(0.0, seconds - makespan(took, workers)) if whole else None,
                interrupted=interrupted(),
            )
            add_invocation(runs, plan.study, plan.setting, invocation)
            if expected is not None and len(ended) == len(pending):
                say(f"predicted {span(expected)}, took {span(seconds)}")
