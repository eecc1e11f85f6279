"""The queue of a plan's setting, held by Optuna: one study per setting, one trial per attempt at a job.

A trial says who trains what and how attempts ended; the run folders stay the truth about results. Optuna samples
nothing here: a design is a fixed table, so trials are enqueued whole and claimed by their state, which a journal, and a
database by its row locks, changes for exactly one claimant.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from core.folder import RunFolder
from core.locks import is_held
from studies.plan import jobs_root, journal_file
from studies.run_state import final_value, has_result, mark_failed
from studies.runner.deaths import LOST, note_death
from studies.runner.heartbeat import HANG_SECONDS, Silence, forget
from studies.runner.order import Claim
from studies.runner.storage import queue_folder, store_of, study_in, trials_in, worker_lock_in
from studies.runner.tasks import Task

UNSIGNED_CLAIM_SECONDS = 60
"""Seen for so long without its worker's name a claim is that of a worker killed in between."""
WAITING_SECONDS = 2.0
"""For so long a list of what waits is good enough to claim from."""


class Queue:
    """The jobs of one study in one setting that wait, run, or ended; shared by any number of processes."""

    def __init__(self, runs: Path, study: str, setting: str, hang_seconds: float = HANG_SECONDS) -> None:
        self._jobs = jobs_root(runs)
        self._silence = Silence(hang_seconds)
        folder, self._workers = queue_folder(runs, study)
        self._store = store_of(folder, journal_file(runs, study).name, f"{study}.enqueue.lock")
        self._storage = self._store.storage
        self._study, self._study_id = study_in(self._store, setting)
        self._unsigned: dict[int, float] = {}
        self._waiting: list[FrozenTrial] = []
        self._read = float("-inf")

    def worker_lock(self, worker: str) -> Path:
        """The file that a worker holds locked for as long as it lives."""
        return worker_lock_in(self._workers, worker)

    def at_once(self) -> AbstractContextManager[None]:
        """Within it nothing waits for a database that is gone: `studies.runner.stores.Unreachable` is raised."""
        return self._store.at_once()

    def enqueue(self, tasks: Sequence[Task]) -> int:
        """Adds the jobs that neither wait nor run, in this order; returns how many."""
        added: set[str] = set()

        def add_missing() -> None:
            pending = set(self._digests(TrialState.WAITING, TrialState.RUNNING))
            for task in tasks:
                if task.digest not in pending:
                    self._add({"job": task.digest, "variant": task.variant, "seed": task.seed})
                    pending.add(task.digest)
                    added.add(task.digest)

        self._store.exclusively(add_missing)
        return len(added)

    def claim(self, wanted: Sequence[str], worker: str) -> Claim | None:
        """The first waiting job in the order of `wanted`, now this worker's; None when none waits."""
        place = {digest: index for index, digest in enumerate(wanted)}
        for trial in self._claimable(place):
            # A claim that a database's outage kept from being signed may have been taken for a dead worker's.
            with suppress(UpdateFinishedTrialError):
                if self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                    self._storage.set_trial_user_attr(trial._trial_id, "worker", worker)
                    return Claim(trial.number, str(trial.user_attrs["job"]))
        return None

    def _claimable(self, place: Mapping[str, int]) -> Iterator[FrozenTrial]:
        """What waits, in the order of `place`: first as read a moment ago, which spares reading hundreds for each
        claim, then read anew. Whether it still waits is decided by claiming it."""
        if time.monotonic() - self._read > WAITING_SECONDS:
            self._waiting = []
        for anew in (False, True):
            if anew:
                self._waiting, self._read = self._trials(TrialState.WAITING), time.monotonic()
            mine = [trial for trial in self._waiting if trial.user_attrs["job"] in place]
            for trial in sorted(mine, key=lambda trial: (place[trial.user_attrs["job"]], trial.number)):
                self._waiting.remove(trial)
                yield trial

    def settle(self, claim: Claim) -> None:
        """Tells how the job ended, as its folder says: its last metric, inf where it diverged, FAIL otherwise."""
        folder = RunFolder(self._jobs, claim.digest)
        outcome = folder.outcome()
        value = final_value(folder)
        if outcome is None or outcome.status == "failed":
            self._end(claim.number, None)
        else:
            self._end(claim.number, value if outcome.status == "finished" and value is not None else math.inf)

    def release(self, claim: Claim, *, again: bool) -> None:
        """Gives up a claim that came to no result; `again` puts the job back into the queue, at its end."""
        if again:
            self._store.exclusively(lambda: self._put_back(claim))
        else:
            self._end(claim.number, None)

    def held_by(self, worker: str) -> Claim | None:
        """What this worker is training."""
        for trial in self._trials(TrialState.RUNNING):
            if trial.user_attrs.get("worker") == worker:
                return Claim(trial.number, str(trial.user_attrs["job"]))
        return None

    def completed_by(self, worker: str) -> int:
        """How many results this worker has brought."""
        return sum(trial.user_attrs.get("worker") == worker for trial in self._trials(TrialState.COMPLETE))

    def has_claimed(self, worker: str) -> bool:
        """Whether this worker ever had a job, whatever became of it."""
        return any(trial.user_attrs.get("worker") == worker for trial in self._trials(*TrialState))

    def release_orphans(self, gone: Collection[str] = ()) -> list[str]:
        """Puts back what nobody trains any more though it was claimed: its worker is gone and its folder is free.

        A worker on another host is gone when its heartbeat has stopped for too long. Of those in `gone` somebody else
        knows it, whatever heartbeats and locks say. A job that loses one worker after
        the other without getting further is failed instead (`studies.runner.deaths`).
        """
        for worker in gone:
            forget(self.worker_lock(worker))
        orphans: list[str] = []
        for trial in self._trials(TrialState.RUNNING):
            claim, worker = Claim(trial.number, str(trial.user_attrs["job"])), trial.user_attrs.get("worker")
            folder = RunFolder(self._jobs, claim.digest)
            if worker is None:
                # Other machines' clocks say nothing here.
                seen = self._unsigned.setdefault(trial.number, time.monotonic())
                trained = time.monotonic() - seen < UNSIGNED_CLAIM_SECONDS or is_held(folder.lock_file)
            else:
                lock = self.worker_lock(str(worker))
                trained = worker not in gone and self._silence.trained(lock, folder.lock_file)
            if not trained and self._store.exclusively(partial(self._take_from, worker, claim)):
                orphans.append(claim.digest)
        return orphans

    def waiting(self, wanted: Collection[str]) -> list[str]:
        """Which of these jobs wait."""
        return [digest for digest in self._digests(TrialState.WAITING) if digest in wanted]

    def running(self, wanted: Collection[str]) -> list[str]:
        """Which of these jobs are claimed, by whomever."""
        return [digest for digest in self._digests(TrialState.RUNNING) if digest in wanted]

    def _take_from(self, worker: str | None, claim: Claim) -> bool:
        """Ends the claim of a worker that is gone, unless somebody has done so. True where the job was put back."""
        folder = RunFolder(self._jobs, claim.digest)
        if worker is not None and self._is_running(claim) and not has_result(folder):
            death = note_death(folder, worker, LOST, lost=True)
            if death.given_up is not None:
                mark_failed(folder, death.given_up)
                self._end(claim.number, None)
                return False
        return self._put_back(claim)

    def _put_back(self, claim: Claim) -> bool:
        """Puts the job of a claim into the queue, then ends the claim. True where that was to be done.

        A kill between the two leaves a claim without a worker beside a job that waits, never neither.
        """
        if not self._is_running(claim):
            return False
        if has_result(RunFolder(self._jobs, claim.digest)):
            self.settle(claim)
            return False
        pending = self._trials(TrialState.WAITING, TrialState.RUNNING)
        mine = next(trial for trial in pending if trial.number == claim.number)
        if not any(trial.number != claim.number and trial.user_attrs["job"] == claim.digest for trial in pending):
            self._add({key: mine.user_attrs[key] for key in ("job", "variant", "seed") if key in mine.user_attrs})
        self._end(claim.number, None)
        return True

    def _is_running(self, claim: Claim) -> bool:
        return bool(self._storage.get_trial(self._trial_id(claim.number)).state == TrialState.RUNNING)

    def _digests(self, *states: TrialState) -> list[str]:
        return [str(trial.user_attrs["job"]) for trial in self._trials(*states)]

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        trials = trials_in(self._store, self._study_id, *states)
        return [trial for trial in trials if "job" in trial.user_attrs]

    def _trial_id(self, number: int) -> int:
        return int(self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number))

    def _end(self, number: int, value: float | None) -> None:
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        # Another runner may have taken this worker for dead; what counts is in the folder.
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(self._trial_id(number), state, None if value is None else [value])

    def _add(self, attributes: Mapping[str, object]) -> None:
        self._study.enqueue_trial(params={}, user_attrs=dict(attributes))
