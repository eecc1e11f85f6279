"""The trials of one search, held by Optuna in a journal or a database that any number of workers share.

Optuna proposes and judges, the run folders stay the truth about numbers. Every claim is made under one lock, so that
the budget holds exactly and a trial has one worker. A trial whose worker is gone goes on with the next one that claims:
same number, same values, same folder with its checkpoint. So does one that was complete and whose folder has lost its
result; since Optuna changes no trial that has ended, the study says that it is trained again, and by whom (`AGAIN`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState
from scipy.stats.qmc import LatinHypercube

from ablations import patch
from ablations.search import Search
from core.config import AnyConfig, Job
from core.events import Event
from core.folder import RunFolder
from core.locks import is_held
from studies import search_records
from studies.plan import journal_file
from studies.run_state import has_result, values_of
from studies.runner.claim import Claim, GivenUp
from studies.runner.claimed_jobs import Claims, result_of
from studies.runner.heartbeat import HANG_SECONDS
from studies.runner.optuna_stores import trials_in
from studies.runner.outages import Unreachable
from studies.search_records import Proposal, Sweep, become_of, key_of, recorded_as

COMPLETE_BEFORE_PRUNING = 4
"""The median of fewer complete trials says too little to give one up by."""

AGAIN = "again "
"""Begins the name, with a trial's number, of the study's attribute that says who trains a complete trial again: its
worker, "" for none."""


class Trials(Claims):
    """One search over `base`, at most `budget` ended trials and `failures` failed ones.

    The first trial has the values in `start`, and the base's own for parameters that are not in it.
    """

    def __init__(
        self,
        runs: Path,
        study: str,
        setting: str,
        search: Search,
        base: AnyConfig,
        *,
        start: Mapping[str, float],
        budget: int,
        failures: int,
        hang_seconds: float = HANG_SECONDS,
    ) -> None:
        self.search, self.base, self.budget, self.failures = search, base, budget, failures
        self._names, self._start = (study, setting), dict(start)
        self._key = key_of(search, base)
        self._ranges = {parameter.path: parameter.ends(base) for parameter in search.parameters}
        journal = journal_file(runs, study, setting)
        warmup = math.ceil(search.prune_from * base.iterations)
        pruner = MedianPruner(n_startup_trials=COMPLETE_BEFORE_PRUNING, n_warmup_steps=warmup)
        name, lock = recorded_as(search, base), journal.with_suffix(".lock").name
        super().__init__(runs, study, journal, lock, name, hang_seconds, pruner)

    # --- what a worker does -------------------------------------------------------------------------------------------

    def claim(self, worker: str) -> Claim | None:
        """A trial that its worker left, else a new one; None when the budget is used or in others' hands."""
        begun = False

        def claimed() -> Claim | None:
            nonlocal begun
            # Begun again, for the lock was lost: perhaps after the trial had been signed.
            mine = self.held_by(worker) if begun else None
            begun = True
            return mine or self._claim(worker)

        return self._store.exclusively(claimed)

    def job(self, claim: Claim) -> Job:
        """What the trial trains."""
        return self._job(self._trial(claim.number))

    def report(self, claim: Claim) -> None:
        """Tells Optuna the evaluations in the trial's folder that it does not know yet."""
        known = self._trial(claim.number).intermediate_values
        for iteration, value in measured(RunFolder(self._jobs, claim.digest)):
            if iteration not in known:
                with suppress(UpdateFinishedTrialError):
                    self._storage.set_trial_intermediate_value(self._id(claim.number), iteration, value)

    def follow(self, claim: Claim, event: Event) -> None:
        """Reports an evaluation, and gives the trial up where that leaves no hope.

        Where the trials are out of reach the training goes on, and its next evaluation reports this one too.
        """
        if event.kind == "evaluated":
            with suppress(Unreachable), self.at_once():
                self.report(claim)
                if self.hopeless(claim):
                    self.prune(claim)
                    raise GivenUp

    def hopeless(self, claim: Claim) -> bool:
        """Whether the trial is worse, at its last evaluation, than the median of the complete trials there."""
        trial = self._trial(claim.number)
        # One that is trained again has been found worth its end.
        ends = trial.state.is_finished() or trial.last_step == self.base.iterations
        return not ends and self._study.pruner.prune(self._study, trial)

    def prune(self, claim: Claim) -> None:
        """Gives the trial up; its folder stays without an outcome."""
        values = self._trial(claim.number).intermediate_values
        self._end(claim.number, TrialState.PRUNED, values[max(values)] if values else None)

    def settle(self, claim: Claim) -> None:
        """See `Claims`."""
        self.report(claim)
        super().settle(claim)

    # --- what a launcher asks -----------------------------------------------------------------------------------------

    def take_back_lost(self) -> None:
        """Lets the trials be trained again whose folders have lost the result. Raises Damaged.

        For the command, before it starts workers: across a shared file system what a worker wrote just now may look
        as if it were not there.
        """

        def taken_back() -> None:
            known = self._storage.get_study_user_attrs(self._study_id)
            for trial in self._trials(TrialState.COMPLETE):
                state = "job" in trial.user_attrs and become_of(RunFolder(self._jobs, str(trial.user_attrs["job"])))
                if state == "running" and f"{AGAIN}{trial.number}" not in known:
                    self._sign(trial.number, "")

        self._store.exclusively(taken_back)

    def waiting(self, wanted: Collection[str] = ()) -> list[str]:
        """One entry for each trial that a worker could claim now."""
        orphans = [f"trial {trial.number}" for trial in self._orphans()]
        return [*orphans, *("new" for _ in range(self._room()))]

    def running(self, wanted: Collection[str] = ()) -> list[str]:
        """The jobs of the trials that are claimed, by whomever."""
        orphans = {trial.number for trial in self._orphans()}
        return [str(t.user_attrs.get("job")) for t in self._trials(TrialState.RUNNING) if t.number not in orphans]

    # --- what is recorded ---------------------------------------------------------------------------------------------

    def ended(self) -> int:
        """How many trials count against the budget."""
        return len(self._trials(TrialState.COMPLETE, TrialState.PRUNED))

    def failed(self) -> int:
        """How many trials failed: they say nothing about their values and do not count."""
        return len(self._trials(TrialState.FAIL))

    def sweep(self) -> Sweep:
        """All trials as they stand, without importances."""
        study, setting = self._names
        plain = self.base.model_dump(mode="json")
        return Sweep(
            study=study,
            setting=setting,
            key=self._key,
            search=self.search,
            metric=self.base.evaluation.metric.kind,
            iterations=self.base.iterations,
            ranges=self._ranges,
            base={path: float(patch.lookup(plain, path)) for path in self._ranges},
            trials=tuple(self._record(trial) for trial in self._trials() if "job" in trial.user_attrs),
        )

    def _record(self, trial: FrozenTrial) -> search_records.Trial:
        folder = RunFolder(self._jobs, str(trial.user_attrs["job"]))
        last = folder.last_event()
        state: search_records.TrialState = "running"
        match trial.state:
            case TrialState.COMPLETE:
                state = "complete" if trial.value is not None and math.isfinite(trial.value) else "diverged"
            case TrialState.PRUNED:
                state = "pruned"
            case TrialState.FAIL:
                state = "failed"
        return search_records.Trial(
            number=trial.number,
            state=state,
            proposal=self._proposal(trial.number),
            values={path: float(trial.params[path]) for path in self._ranges},
            digest=folder.digest,
            measured=tuple(sorted(trial.intermediate_values.items())),
            seconds=last.seconds if last else 0.0,
        )

    # --- within the lock ----------------------------------------------------------------------------------------------

    def _claim(self, worker: str) -> Claim | None:
        for trial in self._orphans():
            cut_off = set(trial.params) != set(self._ranges)  # Killed while it was being proposed.
            if not cut_off and not self._was_lost_too_often(trial):
                return self._signed(trial.number, worker)
            self._end(trial.number, TrialState.FAIL)
        if self._room() <= 0:
            return None
        return self._signed(self._proposed(), worker)

    def _leave(self, claim: Claim) -> None:
        with suppress(UpdateFinishedTrialError):
            self._sign(claim.number, "")

    def _was_lost_too_often(self, trial: FrozenTrial) -> bool:
        """Whether the worker that left the trial, where one did, was one too many."""
        worker, job = trial.user_attrs.get("worker"), trial.user_attrs.get("job")
        if not worker or job is None:
            return False
        folder = RunFolder(self._jobs, str(job))
        return not has_result(folder) and self._lost_too_often(folder, str(worker))

    def _orphans(self) -> list[FrozenTrial]:
        """Running trials without a live worker whose folder is free."""
        return [trial for trial in self._trials(TrialState.RUNNING) if not self._is_trained(trial)]

    def _is_trained(self, trial: FrozenTrial) -> bool:
        worker, job = trial.user_attrs.get("worker"), trial.user_attrs.get("job")
        if job is None:  # It is named before a worker signs.
            return False
        lock = RunFolder(self._jobs, str(job)).lock_file
        return self._silence.trained(self.worker_lock(str(worker)), lock) if worker else is_held(lock)

    def _room(self) -> int:
        """How many more trials the budget lets begin."""
        if self.failed() >= self.failures:
            return 0
        return max(0, self.budget - self.ended() - len(self._trials(TrialState.RUNNING)))

    def _proposed(self) -> int:
        """Begins a new trial and returns its number."""
        number = len(self._trials())
        waiting = self._trials(TrialState.WAITING)
        if not waiting and self._proposal(number) != "estimator":
            self._study.enqueue_trial(self._design(number))
        # A generator of its own for each trial: the proposals after an interruption are not those before it again.
        self._study.sampler = TPESampler(
            n_startup_trials=1, multivariate=True, constant_liar=True, seed=self.search.seed * 10_000 + number
        )
        scales = {parameter.path: parameter.log for parameter in self.search.parameters}
        ranges = {path: FloatDistribution(*ends, log=scales[path]) for path, ends in self._ranges.items()}
        return int(self._study.ask(ranges).number)

    def _proposal(self, number: int) -> Proposal:
        return "start" if number == 0 else "hypercube" if number < self.search.startup else "estimator"

    def _design(self, number: int) -> dict[str, float]:
        """The start first, moved to the range's end where it lies outside; then a Latin hypercube."""
        if number == 0:
            plain = self.base.model_dump(mode="json")
            own = {path: self._start.get(path, float(patch.lookup(plain, path))) for path in self._ranges}
            return {path: min(max(value, self._ranges[path][0]), self._ranges[path][1]) for path, value in own.items()}
        hypercube = LatinHypercube(len(self._ranges), rng=self.search.seed)
        shares = hypercube.random(self.search.startup - 1)[number - 1]
        return {
            parameter.path: placed(float(share), *self._ranges[parameter.path], log=parameter.log)
            for parameter, share in zip(self.search.parameters, shares, strict=True)
        }

    def _signed(self, number: int, worker: str) -> Claim:
        digest = self._job(self._trial(number)).digest
        if not self._trial(number).state.is_finished():
            self._storage.set_trial_user_attr(self._id(number), "job", digest)
        self._sign(number, worker)
        return Claim(number, digest)

    def _sign(self, number: int, worker: str) -> None:
        if self._trial(number).state == TrialState.COMPLETE:
            self._storage.set_study_user_attr(self._study_id, f"{AGAIN}{number}", worker)
        else:
            self._storage.set_trial_user_attr(self._id(number), "worker", worker)

    def _job(self, trial: FrozenTrial) -> Job:
        return Job(config=self.search.applied(self.base, trial.params), seed=self.search.seed)

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        trials = trials_in(self._store, self._study_id, values=self._ranges)
        attributes = self._storage.get_study_user_attrs(self._study_id)
        if any(name.startswith(AGAIN) for name in attributes):
            trials = [self._as_trained_again(trial, attributes.get(f"{AGAIN}{trial.number}")) for trial in trials]
        return [trial for trial in trials if not states or trial.state in states]

    def _as_trained_again(self, trial: FrozenTrial, worker: object) -> FrozenTrial:
        """The trial as its folder says it stands, where the study says that it is trained again."""
        if worker is None or trial.state != TrialState.COMPLETE or "job" not in trial.user_attrs:
            return trial
        folder = RunFolder(self._jobs, str(trial.user_attrs["job"]))
        shown = copy.copy(trial)
        shown.user_attrs = {**trial.user_attrs, "worker": str(worker)}
        if (become := become_of(folder)) is not None:
            shown.state = TrialState.RUNNING if become == "running" else TrialState.FAIL
        elif (result := result_of(folder)) is not None:
            # Elsewhere, or with other threads, numbers differ in their last digits.
            shown.values, shown.intermediate_values = [result], dict(measured(folder))
        return shown


def measured(folder: RunFolder) -> list[tuple[int, float]]:
    """The finite (iteration, value) of the job's own metric, each iteration once, in order."""
    return [(iteration, value) for iteration, value in values_of(folder).items() if math.isfinite(value)]


def placed(share: float, low: float, high: float, *, log: bool) -> float:
    """The value at this share of a range."""
    return float(low * (high / low) ** share) if log else low + share * (high - low)
