"""The queue of a plan's setting, held by Optuna: one study per setting, one trial per attempt at a job.

Optuna samples nothing here: a design is a fixed table, so trials are enqueued whole and claimed by their state, which a
journal, and a database by its row locks, changes for exactly one claimant.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from core.folder import RunFolder
from core.locks import is_held
from studies.plan import journal_file
from studies.run_state import has_result
from studies.runner.claim import Claim
from studies.runner.claimed_jobs import Claims
from studies.runner.heartbeat import HANG_SECONDS
from studies.runner.optuna_stores import trials_in
from studies.runner.tasks import Task

UNSIGNED_CLAIM_SECONDS = 60
"""A claim that is still unsigned after so long belongs to a worker that died between claiming and signing."""
WAITING_SECONDS = 2.0
"""For so long a list of what waits is good enough to claim from."""


class Queue(Claims):
    """The jobs of one study in one setting that wait, run, or ended."""

    def __init__(self, runs: Path, study: str, setting: str, hang_seconds: float = HANG_SECONDS) -> None:
        super().__init__(runs, study, journal_file(runs, study), f"{study}.enqueue.lock", setting, hang_seconds)
        self._unsigned: dict[int, float] = {}
        self._waiting: list[FrozenTrial] = []
        self._read = float("-inf")

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

    def release_orphans(self, gone: Collection[str] = ()) -> list[str]:
        """See `Claims`. A job is an orphan where its worker is gone and its folder is free.

        A worker on another host is gone when its heartbeat has stopped for too long. A job that loses one worker after
        the other without getting further is failed instead (`studies.runner.deaths`).
        """
        super().release_orphans(gone)
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
        """See `Claims`."""
        return [digest for digest in self._digests(TrialState.WAITING) if digest in wanted]

    def running(self, wanted: Collection[str]) -> list[str]:
        """See `Claims`."""
        return [digest for digest in self._digests(TrialState.RUNNING) if digest in wanted]

    def _take_from(self, worker: str | None, claim: Claim) -> bool:
        """Ends the claim of a worker that is gone, unless somebody has done so. True where the job was put back."""
        folder = RunFolder(self._jobs, claim.digest)
        is_lost = worker is not None and self._is_running(claim) and not has_result(folder)
        if is_lost and self._lost_too_often(folder, str(worker)):
            self._end(claim.number, TrialState.FAIL)
            return False
        return self._put_back(claim)

    def _leave(self, claim: Claim) -> None:
        self._store.exclusively(lambda: self._put_back(claim))

    def _put_back(self, claim: Claim) -> bool:
        """Puts the job of a claim behind all others of the queue, then ends the claim. True where that was to be done.

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
        self._end(claim.number, TrialState.FAIL)
        return True

    def _is_running(self, claim: Claim) -> bool:
        return bool(self._trial(claim.number).state == TrialState.RUNNING)

    def _digests(self, *states: TrialState) -> list[str]:
        return [str(trial.user_attrs["job"]) for trial in self._trials(*states)]

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        trials = trials_in(self._store, self._study_id, *states)
        return [trial for trial in trials if "job" in trial.user_attrs]

    def _add(self, attributes: Mapping[str, object]) -> None:
        self._study.enqueue_trial(params={}, user_attrs=dict(attributes))
