"""What commands that trained took, beside what was predicted: one line each, kept beside the setting's plan.

Needs neither torch nor the runner: reports read it.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from core.config import Node
from core.files import make_folder, write_whole
from core.folder import RunFolder
from core.locks import FileLock
from core.machine import Machine
from core.reading import MOST_JSON, Damaged, lines_of
from studies.durations import span
from studies.plan import Plan, jobs_root, plan_file, plans_lock
from studies.run_state import outcome_mark

MOST_INVOCATIONS = 100_000
"""Lines of one setting."""


class Invocation(Node):
    """One command that trained runs of a setting. Seconds are wall time, the command's report not counted.

    `planned` runs were to be trained and `ended` of them have ended, `continued` of those after an earlier command had
    begun them. `predicted_seconds` is None where the time of some run was unknown. `job_seconds` is the sum over the
    runs that ended, an earlier command's share of the continued ones included. `overhead_seconds` are those beyond the
    time that the jobs alone take, longest first on so many workers; None for a command that did not do all its jobs
    from the beginning.
    """

    began: str
    machine: Machine
    workers: int
    planned: int
    ended: int
    continued: int
    predicted_seconds: float | None
    seconds: float
    job_seconds: float
    overhead_seconds: float | None
    interrupted: bool


@contextmanager
def costs_kept(
    plan: Plan,
    digests: Collection[str],
    runs: Path,
    *,
    machine: Machine,
    workers: int,
    predicted: float | None,
    interrupted: Callable[[], bool],
    say: Callable[[str], None],
    steady: bool = True,
) -> Iterator[None]:
    """Times what is done inside, training these jobs, and adds an `Invocation` to those of the plan's setting.

    Nothing is added where no run ended and nobody interrupted: then nothing was trained. Where the number of workers is
    not `steady` from the beginning to the end, nobody can tell what of the time was overhead.
    """
    folders = {digest: RunFolder(jobs_root(runs), digest) for digest in digests}
    marks = {digest: outcome_mark(folder) for digest, folder in folders.items()}
    begun = {digest for digest, folder in folders.items() if folder.state() in ("interrupted", "running")}
    began, started = datetime.now(UTC), time.monotonic()
    try:
        yield
    finally:
        seconds = time.monotonic() - started
        ended = [digest for digest, folder in folders.items() if outcome_mark(folder) != marks[digest]]
        outcomes = [outcome for digest in ended if (outcome := folders[digest].outcome()) is not None]
        took = [outcome.job_seconds for outcome in outcomes]
        all_ended = len(ended) == len(folders)
        whole = steady and all_ended and not begun and not any(outcome.resumed for outcome in outcomes)
        if ended or interrupted():
            invocation = Invocation(
                began=began.isoformat(timespec="seconds"),
                machine=machine,
                workers=workers,
                planned=len(folders),
                ended=len(ended),
                continued=len(begun.intersection(ended)),
                predicted_seconds=predicted,
                seconds=seconds,
                job_seconds=sum(took),
                overhead_seconds=max(0.0, seconds - makespan(took, workers)) if whole else None,
                interrupted=interrupted(),
            )
            add_invocation(runs, plan.study, plan.setting, invocation)
            if predicted is not None and all_ended:
                say(f"predicted {span(predicted)}, took {span(seconds)}")


def makespan(seconds: Sequence[float], workers: int, *, start: float = 0.0) -> float:
    """Wall time of jobs that are claimed longest first by so many workers, each of which takes `start` to begin."""
    if not seconds:
        return 0.0
    ends = [start] * max(1, workers)
    for job in sorted(seconds, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + job)
    return max(ends)


def costs_file(runs: Path, study: str, setting: str) -> Path:
    """Where the invocations of a setting are kept."""
    return plan_file(runs, study, setting).with_name(f"{setting}.costs.jsonl")


def add_invocation(runs: Path, study: str, setting: str, invocation: Invocation) -> None:
    """Adds one line."""
    file = costs_file(runs, study, setting)
    make_folder(file.parent)
    with FileLock(plans_lock(runs)):
        before = b"".join(line + b"\n" for line in _kept(file))
        write_whole(file, before + invocation.model_dump_json().encode() + b"\n")


def read_invocations(runs: Path, study: str, setting: str) -> list[Invocation]:
    """The invocations of a setting in order; lines of another version are left out."""
    return list(_lines(costs_file(runs, study, setting)))


def overheads(runs: Path, machine: Machine, workers: int) -> list[float]:
    """The overheads of all studies' commands on such a machine with so many workers, in seconds."""
    files = (runs / "plans").glob("*/*.costs.jsonl")
    return [
        line.overhead_seconds
        for file in sorted(files)
        for line in _lines(file)
        if line.overhead_seconds is not None and (line.machine, line.workers) == (machine, workers)
    ]


def _lines(file: Path) -> Iterator[Invocation]:
    for line in _kept(file):
        try:
            yield Invocation.model_validate_json(line)
        except ValidationError:
            continue


def _kept(file: Path) -> list[bytes]:
    """The lines of a file, none where it cannot be read: times are an ornament, and stop nobody."""
    try:
        return [line.rstrip(b"\n") for _, line in lines_of(file, "remove it", MOST_INVOCATIONS, size=MOST_JSON)]
    except (OSError, Damaged):
        return []
