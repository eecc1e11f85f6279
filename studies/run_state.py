"""What a run has to show, read from its folder: whether it has its result, which value that is, how it failed."""

from __future__ import annotations

from contextlib import suppress

from core.files import append
from core.folder import RESULTS, Outcome, RunFolder, State
from core.reading import last_text
from core.values import values_in


def has_result(folder: RunFolder) -> bool:
    """Whether the job has finished or diverged, which nothing that happens afterwards changes."""
    outcome = folder.outcome()
    return outcome is not None and outcome.status in RESULTS


def to_train(state: State, retry_failed: bool) -> bool:
    """Whether a job that stands so is (still) to be trained."""
    return retry_failed if state == "failed" else state not in RESULTS


def outcome_mark(folder: RunFolder) -> int:
    """Differs between two outcomes of one folder; 0 while there is none."""
    try:
        return (folder.path / "outcome.json").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def final_value(folder: RunFolder) -> float | None:
    """The value of the metric that the job is about, the first it measures; None where it measured nothing.

    It is infinite where it was not finite. Raises Damaged.
    """
    return next(reversed(values_of(folder).values()), None)


def values_of(folder: RunFolder) -> dict[int, float]:
    """The values of the metric that the job is about at each of its evaluations, in order (`core.values.averaged`).

    Raises Damaged.
    """
    window = None
    with suppress(FileNotFoundError):
        window = folder.job().config.evaluation.window
    return values_in(folder.each_event(b'"evaluated"'), window)


def log_tail(folder: RunFolder, lines: int = 6) -> list[str]:
    """The last lines of what the job printed, where a failure left its traceback."""
    return [line for line in last_text(folder.log_file, 20_000).splitlines() if line.strip()][-lines:]


def mark_failed(folder: RunFolder, reason: str) -> None:
    """Records a failure that the job itself could not record: its process was killed, or could not write.

    A result stays: a worker may die after its job has ended.
    """
    if has_result(folder):
        return
    last = folder.last_event()
    seconds = last.seconds if last else 0.0
    before = folder.outcome()
    outcome = Outcome(
        status="failed",
        iteration=last.iteration if last else 0,
        reason=reason,
        seconds=seconds,
        evaluation_seconds=before.evaluation_seconds if before else 0.0,
        job_seconds=before.job_seconds if before else seconds,
        attempts=before.attempts + 1 if before else 1,
    )
    folder.write("outcome.json", outcome.model_dump_json(indent=1) + "\n")
    append(folder.log_file, f"{reason}\n")
