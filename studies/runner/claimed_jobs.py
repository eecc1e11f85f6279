"""Jobs that any number of workers claim, each a trial of Optuna's: what a plan's queue and a search have in common.

A trial has the job's worker and how the attempt ended; the run folders stay the truth about results.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from core.events import Event
from core.folder import RunFolder
from studies.plan import jobs_root
from studies.run_state import final_value, mark_failed
from studies.runner.claim import Claim
from studies.runner.deaths import LOST, note_death
from studies.runner.heartbeat import Silence, presume_dead
from studies.runner.optuna_stores import queue_folder, store_of, study_in, worker_lock_in


class Claims:
    """One study of Optuna's, in the journal of that name or in a database; shared by any number of processes."""

    def __init__(
        self,
        runs: Path,
        study: str,
        journal: Path,
        lock: str,
        name: str,
        hang_seconds: float,
        pruner: BasePruner | None = None,
    ) -> None:
        self._jobs = jobs_root(runs)
        self._silence = Silence(hang_seconds)
        folder, self._workers = queue_folder(runs, study)
        self._store = store_of(folder, journal.name, lock)
        self._storage = self._store.storage
        self._study, self._study_id = study_in(self._store, name, pruner)

    def worker_lock(self, worker: str) -> Path:
        """The file that a worker holds locked for as long as it lives."""
        return worker_lock_in(self._workers, worker)

    def at_once(self) -> AbstractContextManager[None]:
        """Within it nothing waits for a database that is gone: `studies.runner.outages.Unreachable` is raised."""
        return self._store.at_once()

    def waiting(self, wanted: Collection[str]) -> list[str]:
        """Which of these jobs wait."""
        raise NotImplementedError

    def running(self, wanted: Collection[str]) -> list[str]:
        """Which of these jobs are claimed, by whomever."""
        raise NotImplementedError

    def held_by(self, worker: str) -> Claim | None:
        """What this worker is training."""
        for trial in self._trials(TrialState.RUNNING):
            if trial.user_attrs.get("worker") == worker:
                return Claim(trial.number, str(trial.user_attrs["job"]))
        return None

    def completed_by(self, worker: str) -> int:
        """How many results this worker has brought."""
        ended = self._trials(TrialState.COMPLETE, TrialState.PRUNED)
        return sum(trial.user_attrs.get("worker") == worker for trial in ended)

    def has_claimed(self, worker: str) -> bool:
        """Whether this worker ever had a job, whatever became of it."""
        return any(trial.user_attrs.get("worker") == worker for trial in self._trials())

    def follow(self, claim: Claim, event: Event) -> None:
        """Takes in what a claimed job has recorded. Raises GivenUp where it is not worth its end."""

    def settle(self, claim: Claim) -> None:
        """Records how the job ended, as its folder says: its last metric, inf where it diverged, FAIL otherwise."""
        result = result_of(RunFolder(self._jobs, claim.digest))
        self._end(claim.number, TrialState.FAIL if result is None else TrialState.COMPLETE, result)

    def release(self, claim: Claim, *, again: bool) -> None:
        """Gives up a claim that came to no result: `again` leaves the job to the next worker, else it has failed."""
        if again:
            self._leave(claim)
        else:
            self._end(claim.number, TrialState.FAIL)

    def release_orphans(self, gone: Collection[str] = ()) -> list[str]:
        """Puts back claimed jobs whose worker is gone; returns them.

        Workers in `gone` are known to have ended, whatever their heartbeats and locks say.
        """
        for worker in gone:
            presume_dead(self.worker_lock(worker))
        return []

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials in these states, or all."""
        raise NotImplementedError

    def _leave(self, claim: Claim) -> None:
        raise NotImplementedError

    def _lost_too_often(self, folder: RunFolder, worker: str) -> bool:
        """Whether the worker that was lost at a job was one too many (`studies.runner.deaths`): the job has failed."""
        death = note_death(folder, worker, LOST, lost=True)
        if death.given_up is not None:
            mark_failed(folder, death.given_up)
        return death.given_up is not None

    def _trial(self, number: int) -> FrozenTrial:
        return self._storage.get_trial(self._id(number))

    def _id(self, number: int) -> int:
        return int(self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number))

    def _end(self, number: int, state: TrialState, value: float | None = None) -> None:
        # Another runner may have taken this worker for dead: the first word counts, and the folder says what is true.
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(self._id(number), state, None if value is None else [value])


def result_of(folder: RunFolder) -> float | None:
    """A job's result: its last metric, inf (the worst) where it diverged; None without one."""
    outcome, value = folder.outcome(), final_value(folder)
    if outcome is None or outcome.status == "failed":
        return None
    return value if outcome.status == "finished" and value is not None else math.inf
