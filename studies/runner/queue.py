"""The queue of a plan's setting, held by Optuna: one study per setting, one trial per attempt at a job.

A trial says who trains what and how attempts ended; the run folders stay the truth about results. Optuna samples
nothing here: a design is a fixed table, so trials are enqueued whole and claimed by their state, which the journal
changes for exactly one claimant.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from core.folder import RunFolder
from studies.plan import jobs_root
from studies.runner.heartbeat import HANG_SECONDS, Silence, is_elsewhere
from studies.runner.journal import journal
from studies.runner.tasks import Task, final_value, is_held

UNSIGNED_CLAIM_SECONDS = 60
"""After so long a claim without its worker's name is that of a worker killed in between."""


@dataclass(frozen=True)
class Claim:
    """A job that this worker, and no other, is to train."""

    number: int
    digest: str


class Queue:
    """The jobs of one study in one setting that wait, run, or ended; shared by any number of processes."""

    def __init__(self, runs: Path, study: str, setting: str, hang_seconds: float = HANG_SECONDS) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder = runs / "queue"
        folder.mkdir(parents=True, exist_ok=True)
        self._jobs = jobs_root(runs)
        self._silence = Silence(hang_seconds)
        self._enqueueing = FileLock(folder / f"{study}.enqueue.lock")
        self._workers = folder / f"{study}.workers"
        self._workers.mkdir(exist_ok=True)
        self._storage = journal(folder / f"{study}.journal")
        self._study = optuna.create_study(
            storage=self._storage, study_name=setting, direction="minimize", load_if_exists=True
        )
        self._study_id = self._storage.get_study_id_from_name(setting)

    def worker_lock(self, worker: str) -> Path:
        """The file that a worker holds locked for as long as it lives."""
        return self._workers / f"{worker}.lock"

    def enqueue(self, tasks: Sequence[Task]) -> int:
        """Adds the jobs that neither wait nor run, in this order; returns how many."""
        with self._enqueueing:
            pending = {str(trial.user_attrs["job"]) for trial in self._trials(TrialState.WAITING, TrialState.RUNNING)}
            missing = [task for task in tasks if task.digest not in pending]
            for task in missing:
                self._study.enqueue_trial(
                    params={}, user_attrs={"job": task.digest, "variant": task.variant, "seed": task.seed}
                )
        return len(missing)

    def claim(self, wanted: Sequence[str], worker: str) -> Claim | None:
        """The first waiting job in the order of `wanted`, now this worker's; None when none waits."""
        place = {digest: index for index, digest in enumerate(wanted)}
        waiting = [trial for trial in self._trials(TrialState.WAITING) if trial.user_attrs["job"] in place]
        for trial in sorted(waiting, key=lambda trial: (place[trial.user_attrs["job"]], trial.number)):
            trial_id = self._trial_id(trial.number)
            try:
                mine = self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
            except UpdateFinishedTrialError:
                continue
            if mine:
                self._storage.set_trial_user_attr(trial_id, "worker", worker)
                return Claim(trial.number, str(trial.user_attrs["job"]))
        return None

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
        self._end(claim.number, None)
        if again:
            self._enqueue_again({claim.digest: self._study.trials[claim.number]})

    def held_by(self, worker: str) -> Claim | None:
        """What this worker is training."""
        for trial in self._trials(TrialState.RUNNING):
            if trial.user_attrs.get("worker") == worker:
                return Claim(trial.number, str(trial.user_attrs["job"]))
        return None

    def completed_by(self, worker: str) -> int:
        """How many results this worker has brought."""
        return sum(trial.user_attrs.get("worker") == worker for trial in self._trials(TrialState.COMPLETE))

    def release_orphans(self) -> list[str]:
        """Puts back what nobody trains any more though it was claimed: its worker is gone and its folder is free.

        A worker on another host is gone when its heartbeat has stopped for too long.
        """
        orphans: dict[str, FrozenTrial] = {}
        for trial in self._trials(TrialState.RUNNING):
            digest, worker = str(trial.user_attrs["job"]), trial.user_attrs.get("worker")
            elsewhere = False
            if worker is None:
                claimed = trial.datetime_start or datetime.min
                alive = (datetime.now() - claimed).total_seconds() < UNSIGNED_CLAIM_SECONDS
            else:
                elsewhere = is_elsewhere(lock := self.worker_lock(str(worker)))
                alive = self._silence.alive(lock)
            folder = RunFolder(self._jobs, digest)
            if alive or (not elsewhere and is_held(folder.lock_file)):
                continue
            outcome = folder.outcome()
            if outcome is not None and outcome.status != "failed":
                self.settle(Claim(trial.number, digest))
            else:
                self._end(trial.number, None)
                orphans[digest] = trial
        self._enqueue_again(orphans)
        return list(orphans)

    def waiting(self, wanted: Collection[str]) -> list[str]:
        """Which of these jobs wait."""
        return self._digests(TrialState.WAITING, wanted)

    def running(self, wanted: Collection[str]) -> list[str]:
        """Which of these jobs are claimed, by whomever."""
        return self._digests(TrialState.RUNNING, wanted)

    def _digests(self, state: TrialState, wanted: Collection[str]) -> list[str]:
        return [digest for trial in self._trials(state) if (digest := str(trial.user_attrs["job"])) in wanted]

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False, states=states)
        return [trial for trial in trials if "job" in trial.user_attrs]

    def _trial_id(self, number: int) -> int:
        return int(self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number))

    def _end(self, number: int, value: float | None) -> None:
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        # Another runner may have taken this worker for dead; what counts is in the folder.
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(self._trial_id(number), state, None if value is None else [value])

    def _enqueue_again(self, trials: dict[str, FrozenTrial]) -> None:
        with self._enqueueing:
            pending = {str(trial.user_attrs["job"]) for trial in self._trials(TrialState.WAITING, TrialState.RUNNING)}
            for digest, trial in trials.items():
                if digest not in pending:
                    kept = {key: trial.user_attrs[key] for key in ("job", "variant", "seed")}
                    self._study.enqueue_trial(params={}, user_attrs=kept)
