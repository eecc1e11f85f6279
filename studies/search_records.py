"""The record of a search, a file that needs neither optuna nor torch to be read.

`<runs>/sweeps/<study>/<setting>/<search>.json` is written whole whenever a trial has ended. The journal beside the
queue stays the truth about trials, run folders about their numbers; a trial's folder is that of any job.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Literal

from ablations.search import Search
from core.config import AnyConfig, Job, Node
from core.errors import InputError
from core.files import make_folder, write_whole
from core.folder import RunFolder
from core.names import Digest, Name, SettingName
from core.numbers import Count, Seconds, Value
from core.reading import Damaged, model_of
from studies.plan import Plan, PlannedVariant, SearchChoice, jobs_root

TrialState = Literal["running", "complete", "pruned", "diverged", "failed"]
Proposal = Literal["start", "hypercube", "estimator"]
ENDED: tuple[TrialState, ...] = ("complete", "pruned", "diverged")
"""The states that count as a trial of the budget."""


class Trial(Node):
    """One trial. `values` are by config path, `measured` the finite (iteration, metric) of its evaluations in order.

    `seconds` of training went by until its last event.
    """

    number: int
    state: TrialState
    proposal: Proposal
    values: dict[str, Value]
    digest: Digest
    measured: tuple[tuple[Count, Value], ...] = ()
    seconds: Seconds = 0.0

    def at(self, iteration: int) -> float | None:
        """The metric at an iteration, None where it was not measured."""
        return dict(self.measured).get(iteration)


class Importance(Node):
    """The share of the variance of log(metric) that is one parameter's own, among all parameters' own shares.

    By fANOVA (Hutter et al. 2014) of `trials` trials at `iteration`: the mean over resampled trials, `low` and `high`
    their 2.5% and 97.5% quantiles. A forest of few points is a rough guide, and a wide interval says so.
    """

    path: str
    iteration: Count
    trials: Count
    share: Value
    low: Value
    high: Value


class Sweep(Node):
    """One search in one setting. `key` tells two searches of one name apart whose base, ranges or seed differ."""

    study: Name
    setting: SettingName
    key: str
    search: Search
    metric: str
    iterations: Count
    ranges: dict[str, tuple[Value, Value]]
    base: dict[str, Value]
    trials: tuple[Trial, ...]
    importances: tuple[Importance, ...] = ()

    @property
    def ended(self) -> tuple[Trial, ...]:
        """The trials that count: complete, pruned and diverged ones."""
        return tuple(trial for trial in self.trials if trial.state in ENDED)

    @property
    def complete(self) -> tuple[Trial, ...]:
        """The complete trials, the best first."""
        there = [trial for trial in self.trials if trial.state == "complete" and trial.at(self.iterations) is not None]
        return tuple(sorted(there, key=lambda trial: (trial.at(self.iterations) or 0.0, trial.number)))

    @property
    def best(self) -> Trial | None:
        """The complete trial with the least metric at the last iteration.

        Where a search begins at another one's choice, that is no choice of its own unless it has no other.
        """
        own = [trial for trial in self.complete if self.search.begins_at is None or trial.proposal != "start"]
        return next(iter([*own, *self.complete]), None)

    @property
    def common_iteration(self) -> int | None:
        """The last iteration that every complete or pruned trial measured; None where there is none."""
        there = [{i for i, _ in trial.measured} for trial in self.trials if trial.state in ("complete", "pruned")]
        return max(set.intersection(*there), default=None) if there else None

    def at_edge(self, path: str, share: float = 0.05) -> Literal["low", "high"] | None:
        """Whether the best trial's value lies within this share of the range's length from one of its ends."""
        if self.best is None:
            return None
        place = self.place(path, self.best.values[path])
        return "low" if place < share else "high" if place > 1 - share else None

    def place(self, path: str, value: float) -> float:
        """Where a value lies in its range, 0 at the low end, 1 at the high one, on the scale that is searched."""
        low, high = self.ranges[path]
        if next(p for p in self.search.parameters if p.path == path).log:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)


def key_of(search: Search, base: AnyConfig) -> str:
    """The identity of a search: its base config, what it seeks and how, but neither for how long nor from where."""
    plain = search.model_dump(
        mode="json",
        exclude={"title": True, "trials": True, "begins_at": True, "parameters": {"__all__": {"title", "why"}}},
    )
    canonical = json.dumps([plain, Job(config=base, seed=search.seed).digest], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def recorded_as(search: Search, base: AnyConfig) -> str:
    """What Optuna calls a search over `base`."""
    return f"{search.name}-{key_of(search, base)}"


def sweep_file(runs: Path, study: str, setting: str, search: str) -> Path:
    """Where the record of a search is."""
    return runs / "sweeps" / study / setting / f"{search}.json"


def write_sweep(runs: Path, sweep: Sweep) -> None:
    """Writes the record whole."""
    file = sweep_file(runs, sweep.study, sweep.setting, sweep.search.name)
    make_folder(file.parent)
    write_whole(file, (sweep.model_dump_json(indent=1) + "\n").encode())


def become_of(folder: RunFolder) -> Literal["running", "failed"] | None:
    """How a trial stands that came to a result which its folder no longer has; None where nothing speaks against it.

    It is the jobs' own rule (`RunFolder.state`), but a folder that is not there says nothing: the value stands in
    the search's own record. Raises Damaged.
    """
    match folder.state(running=()):
        case "interrupted":
            return "running"
        case "failed":
            return "failed"
    return None


def _standing(trial: Trial, jobs: Path) -> Trial:
    if trial.state not in ("complete", "diverged"):
        return trial
    try:
        state = become_of(RunFolder(jobs, trial.digest))
    except Damaged:
        return trial
    return trial if state is None else trial.replace(state=state)


def read_sweep(runs: Path, study: str, setting: str, search: str) -> Sweep | None:
    """The record of a search, None where there is none; a trial that has lost its result counts as `become_of` says.

    Raises InputError when it was written for another schema.
    """
    file = sweep_file(runs, study, setting, search)
    if not file.exists():
        return None
    sweep = model_of(file, Sweep, "it is no sweep of this version, move it away")
    if (sweep.study, sweep.setting, sweep.search.name) != (study, setting, search):
        raise InputError(f"{file} is the record of another search than its place says: move it away")
    jobs = jobs_root(runs)
    return sweep.replace(trials=tuple(_standing(trial, jobs) for trial in sweep.trials))


def baseline_of(plan: Plan) -> PlannedVariant:
    """What searches start from. Raises InputError for a plan that has it not."""
    baseline = plan.variant("baseline")
    if baseline is None:
        raise InputError(f"{plan.study} has no baseline to search around in this plan")
    return baseline


def choice_of(sweep: Sweep) -> SearchChoice | None:
    """What the search chose, as a plan records it; None while no trial is complete."""
    best = sweep.best
    if best is None:
        return None
    return SearchChoice(
        search=sweep.search.name,
        variant=sweep.search.variant,
        trials=len(sweep.ended),
        trial=best.number,
        values=best.values,
    )


def values_line(values: dict[str, float]) -> str:
    """The values of a trial, as in "learning_rates.generator 0.001"."""
    return ", ".join(f"{path.removeprefix('optimizers.')} {value:.3g}" for path, value in values.items())
