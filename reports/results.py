"""Everything that one report is made from: the plan as it was recorded, and what became of it, with the values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from ablations.designs import DESIGNS, title_of, variant_name
from ablations.protocols import PROTOCOLS
from ablations.schema import DesignName, Profile, Study
from core.errors import InputError
from core.folder import RunFolder
from core.metrics.protocol import Protocol, from_json
from core.words import typed
from reports import stats
from reports.comparability import Known, MixedProtocols, by_protocol, mixture
from reports.frames import read_jobs, readable, reported_key
from reports.numbers import counted, listed
from studies import catalogue
from studies.plan import Plan, PlannedVariant, check_received, jobs_root, of_found, plan_file, read_plan, settings_of
from studies.planning import searched_title


@dataclass(frozen=True)
class Results:
    """Everything one report is made from. `metric` is the key of the metric that is reported.

    `protocols` are what the runs measured with, by fingerprint; all values of the reported metric have one.
    """

    study: Study
    plan: Plan
    profile: Profile
    runs: Path
    metric: str
    tidy: pd.DataFrame
    jobs: pd.DataFrame
    protocols: Known = field(default_factory=dict)

    @cached_property
    def other_settings(self) -> tuple[Results, ...]:
        """The study's other settings that can be read, each read once.

        Raises MixedProtocols where one of them measured its runs differently.
        """
        found = []
        for setting in settings_of(self.runs, self.plan.study):
            if setting == self.plan.setting:
                continue
            try:
                found.append(load(self.plan.asked_as, self.runs, setting))
            except MixedProtocols:
                raise
            except InputError:
                continue
        return tuple(found)

    def variant(self, name: str) -> PlannedVariant | None:
        """The planned variant of that name or alias."""
        return self.plan.variant(name)

    def title(self, name: str) -> str:
        """What the variant of that name or alias is called, for people; an alias as itself, not as its twin."""
        searches = {search.name: search for search in self.study.searches}
        for choice in self.plan.searched:
            if choice.variant == name and choice.search in searches:
                return searched_title(choice, searches[choice.search])
        return next((c.title for c in self.study.controls if c.name == name), None) or title_of(self.study, name)

    def brief(self, variant: PlannedVariant) -> str:
        """The short title of a variant of one change, the title of others."""
        return self.study.change(variant.changes[0]).brief if len(variant.changes) == 1 else variant.title

    def folder(self, run: str) -> RunFolder:
        """The run folder of a digest."""
        return RunFolder(jobs_root(self.runs), run)

    @cached_property
    def _rows(self) -> dict[str, dict[int, pd.Series]]:
        rows: dict[str, dict[int, pd.Series]] = {}
        for _, row in self.jobs.iterrows():
            rows.setdefault(str(row["variant"]), {})[int(row["seed"])] = row
        return rows

    @cached_property
    def _curves(self) -> dict[tuple[str, int], pd.DataFrame]:
        measured = self.tidy[(self.tidy["metric"] == self.metric) & self.tidy["iteration"].notna()]
        measured = measured.assign(evaluated=measured["value"], value=measured["averaged"])
        grouped = measured.groupby(["variant", "seed"], sort=False)
        return {(str(key[0]), int(key[1])): frame for key, frame in cast(Any, grouped)}

    def job(self, variant: PlannedVariant, seed: int) -> pd.Series:
        """The outcome row of one planned job."""
        return self._rows[variant.name][seed]

    def folder_of(self, variant: PlannedVariant, seed: int) -> RunFolder | None:
        """The run folder of one variant with one seed, None where that is not planned."""
        row = self._rows.get(variant.name, {}).get(seed)
        return None if row is None else self.folder(str(row["run"]))

    def seeds_with(self, design: DesignName) -> tuple[int, ...]:
        """The plan's seeds with which every variant of a design is planned."""
        return tuple(seed for seed in self.plan.seeds if not self.missing_from(design, seed))

    def missing_from(self, design: DesignName, seed: int) -> list[str]:
        """The variants of a design that are not planned with a seed."""
        names = [variant_name(self.study, subset) for subset in DESIGNS[design](self.study, [seed])]
        planned = {name: variant for name in names if (variant := self.variant(name)) is not None}
        return [name for name in names if name not in planned or seed not in self.plan.seeds_of(planned[name])]

    def curve(self, variant: PlannedVariant, seed: int) -> pd.DataFrame:
        """One job's values in order (iteration, images, seconds, value, evaluated), empty where it has none.

        A value is the run's as if it had ended there (`core.values`), as all values of the reported metric are;
        `evaluated` is the evaluation there alone.
        """
        return self._curves.get((variant.name, seed), self.tidy.iloc[:0].assign(evaluated=0.0))

    def last(self, variant: PlannedVariant) -> np.ndarray:
        """The run's value per seed of the plan (`core.values`): inf where it diverged, NaN where it has not got to its
        last iteration and where the variant is not trained with that seed."""
        rows = self._rows.get(variant.name, {})
        return np.array([rows[seed]["value"] if seed in rows else np.nan for seed in self.plan.seeds], dtype=float)

    def ends(self, name: str) -> stats.LogSummary:
        """The last values of the variant of that name or alias, a summary of none where it is not planned."""
        variant = self.variant(name)
        return stats.log_summary([] if variant is None else self.last(variant))

    @cached_property
    def unstable(self) -> frozenset[str]:
        """The variants whose seeds ended wildly apart, by the rule of `stats.unstable` over the study's variants."""
        marks = stats.unstable([self.last(variant) for variant in self.plan.variants])
        return frozenset(v.name for v, apart in zip(self.plan.variants, marks, strict=True) if apart)

    def last_of(self, variant: PlannedVariant, metric: str) -> np.ndarray:
        """The value of another recorded metric at the last iteration per planned seed, NaN where there is none.

        Raises MixedProtocols for one that runs measured differently.
        """
        if (reason := self._mixture(metric)) is not None:
            raise MixedProtocols(reason)
        there = self._values.get((variant.name, metric, variant.config.iterations), {})
        return np.array([there.get(seed, np.nan) for seed in self.plan.seeds], dtype=float)

    @cached_property
    def _values(self) -> dict[tuple[str, str, int], dict[int, float]]:
        """Every value by seed, of a variant, a metric and an iteration."""
        values: dict[tuple[str, str, int], dict[int, float]] = {}
        measured = self.tidy[self.tidy["iteration"].notna()]
        columns = ("variant", "metric", "iteration", "seed", "value")
        for variant, metric, iteration, seed, value in zip(*(measured[column] for column in columns), strict=True):
            values.setdefault((str(variant), str(metric), int(iteration)), {})[int(seed)] = float(value)
        return values

    def _mixture(self, series: str) -> str | None:
        if series not in self._mixtures:
            self._mixtures[series] = mixture(self.tidy, series, self.protocols)
        return self._mixtures[series]

    @cached_property
    def _mixtures(self) -> dict[str, str | None]:
        return {}

    def protocol(self, series: str) -> Protocol | None:
        """What a series was measured with; None where no run recorded it, or not all of them alike."""
        fingerprints = list(by_protocol(self.tidy, series))
        return self.protocols.get(fingerprints[0]) if len(fingerprints) == 1 else None

    def worst_where_diverged(self, variant: PlannedVariant, metric: str) -> np.ndarray:
        """`last_of` a measure that is better the lower it is: inf where the run diverged."""
        return np.where(np.isinf(self.last(variant)), np.inf, self.last_of(variant, metric))

    def at(self, variant: PlannedVariant, iteration: int) -> np.ndarray:
        """The value at `iteration` per planned seed: inf from where it diverged, NaN where it was not measured."""
        values = []
        for seed in self.plan.seeds:
            measured = self._measured.get((variant.name, seed), {})
            lost = any(np.isinf(value) for when, value in measured.items() if when <= iteration)
            values.append(np.inf if lost else measured.get(iteration, np.nan))
        return np.array(values)

    @cached_property
    def _measured(self) -> dict[tuple[str, int], dict[int, float]]:
        return {
            job: dict(zip(curve["iteration"].astype(int), curve["value"].astype(float), strict=True))
            for job, curve in self._curves.items()
        }

    @cached_property
    def evaluated_iterations(self) -> list[int]:
        """Iterations on the evaluation grid of `without_controls` that some run reached, in order."""
        iterations: set[int] = set()
        for variant in self.without_controls:
            every, end = variant.config.evaluation.every, variant.config.iterations
            for seed in self.plan.seeds_of(variant):
                reached = self._measured.get((variant.name, seed), {})
                iterations |= {i for i in reached if i == end or i % every == 0}
        return sorted(iterations)

    @property
    def iterations(self) -> tuple[int, ...]:
        """The last iteration of the plan's variants: one number unless the study varies it, or they are `controls`."""
        return tuple(sorted({variant.config.iterations for variant in self.without_controls}))

    @property
    def without_controls(self) -> list[PlannedVariant]:
        """The plan's variants but for control arms, which are trained for longer."""
        controls = {control.name for control in self.study.controls}
        return [variant for variant in self.plan.variants if variant.name not in controls]

    @cached_property
    def declaration(self) -> dict[str, str]:
        """What the study declares now in this profile (`ablations.schema.Study.declaration`)."""
        return self.study.declaration(self.profile.name)

    def exploratory(self, name: str) -> str | None:
        """Why a part of the declaration, as in "claim overall", was not planned before the first run; None: it was."""
        registered, now = self.plan.registered, self.declaration
        if not registered:
            return "the plan does not say what was declared before the first run"
        for part in (name, "question", "base", f"profile {self.profile.name}"):
            if part not in registered:
                return f"{part} was declared after the first run"
            if registered[part] != now[part]:
                return f"{part} was changed after the first run"
        return None

    @property
    def late_seeds(self) -> tuple[int, ...]:
        """Seeds of the plan that were asked for after runs of it had begun."""
        first = self.plan.looks[:1]
        return tuple(seed for look in first for seed in self.plan.seeds if seed not in look.seeds)

    def late_design(self, design: DesignName) -> bool:
        """Whether a design was asked for after runs had begun, or never."""
        return any(design not in look.designs for look in self.plan.looks[:1])

    def unplanned(self, design: DesignName | None = None) -> str | None:
        """Why a verdict on all seeds, in a design or outside of designs, does not stand as registered; None: it does.

        Whoever looks again and again at more seeds until something is significant finds it in one study of six where
        nothing is true (docs/intervals.md).
        """
        looks = self.plan.looks
        if not looks:
            return "the plan does not say which seeds and designs were asked for before the first run"
        if looks[0].runs and looks[0].begun == looks[0].runs:
            return "all of its runs were there when it was registered"
        reasons = []
        if design is not None and self.late_design(design):
            begun = next((look.begun for look in looks[1:] if design in look.designs), None)
            when = "was never asked for" if begun is None else f"was asked for after {counted(begun, 'run')} had begun"
            reasons.append(f"the design {when}")
        if late := self.late_seeds:
            begun = min((look.begun for look in looks[1:] if set(late) & set(look.seeds)), default=looks[0].begun)
            reasons.append(f"{which_seeds(late)} asked for after {counted(begun, 'run')} had begun")
        return " and ".join(reasons) or None

    def trained_before(self, names: Sequence[str]) -> str | None:
        """Why a comparison of these variants was not planned: of some seed, each of its runs had been there when it was
        registered. None: for every seed one was yet to come."""
        seen = {digest for look in self.plan.looks[:1] for digest in look.seen}
        variants = [variant for name in names if (variant := self.variant(name)) is not None]
        mine = [[v.job(seed).digest for v in variants if seed in self.plan.seeds_of(v)] for seed in self.plan.seeds]
        known = sum(bool(runs) and seen.issuperset(runs) for runs in mine)
        total = sum(map(bool, mine))
        return (
            f"the runs of {known} of {counted(total, 'seed')} had been there when it was registered" if known else None
        )

    def registered_seeds(self) -> Results:
        """The same runs without the seeds that were asked for later."""
        return self.without_seeds(self.late_seeds)

    def first_seeds(self, count: int) -> Results:
        """The runs of the plan's first seeds, as many as that."""
        return self.without_seeds(self.plan.seeds[count:])

    def without_seeds(self, seeds: Sequence[int]) -> Results:
        """The same runs without those of these seeds."""
        if not seeds:
            return self
        kept = tuple(seed for seed in self.plan.seeds if seed not in seeds)
        tidy, jobs = (frame[~frame["seed"].isin(seeds)] for frame in (self.tidy, self.jobs))
        return replace(self, plan=self.plan.replace(seeds=kept), tidy=tidy, jobs=jobs)

    @cached_property
    def damaged(self) -> dict[str, str]:
        """Why nothing of a run counts, by run: the file that cannot be read, and what to do."""
        rows = self.jobs[self.jobs["status"] == "damaged"]
        return dict(zip(rows["run"].astype(str), rows["reason"].astype(str), strict=True))

    def count(self, status: str) -> int:
        """How many planned jobs ended so."""
        return int((self.jobs["status"] == status).sum())

    def recorded(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """(run, content) of that JSON file for every run that has it, in the plan's order."""
        contents = ((run, self.folder(run).read(name)) for run in readable(self.jobs))
        return [(run, content) for run, content in contents if content]


def which_seeds(seeds: Sequence[int]) -> str:
    """Seeds as a subject: "seeds 3 and 4"."""
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {listed([str(seed) for seed in seeds])}"


def load(study: str, runs: Path, setting: str | None = None) -> Results:
    """Reads one setting of a study. Raises InputError where there is nothing to read, and MixedProtocols for runs that
    measured the reported metric differently."""
    check_received(runs)
    entry = catalogue.find(study, runs)
    declared = entry.study
    train = typed("python", "-m", "studies.run", study)
    study = declared.name
    there = settings_of(runs, study)
    if not there:
        raise InputError(f"nothing of '{study}' has been trained under {runs} yet: do so with '{train}'")
    if setting is None:
        if "cpu" not in there and len(there) > 1:
            raise InputError(f"'{study}' has several settings, choose one with --setting: {', '.join(there)}")
        setting = "cpu" if "cpu" in there else there[0]
    if setting not in there:
        raise InputError(f"'{study}' has no setting '{setting}' under {runs}: it has {', '.join(there)}")
    plan = of_found(read_plan(plan_file(runs, study, setting)), declared, entry.file)
    check_received(runs, plan)
    try:
        profile = declared.profile(plan.profile)
    except KeyError as error:
        raise InputError(f"the plan of setting '{setting}' is out of date: {error.args[0]}") from None
    if plan.protocol is not None and plan.protocol not in PROTOCOLS:
        raise InputError(f"the plan of setting '{setting}' is out of date: there is no protocol '{plan.protocol}'")
    tidy, jobs = read_jobs(plan, runs)
    if (jobs["status"] == "not started").all():
        raise InputError(f"nothing of '{study}' ({setting}) has been trained yet, only planned: do so with '{train}'")
    configured = plan.variants[0].config.evaluation.metric.kind if plan.variants else ""
    metric = reported_key(configured, [str(key) for key in tidy["metric"].dropna().unique()])
    tidy["reported"] = tidy["metric"] == metric
    protocols = read_protocols(jobs, runs)
    if (reason := mixture(tidy, metric, protocols)) is not None:
        raise MixedProtocols(f"{study} ({setting}): {reason}")
    return Results(declared, plan, profile, runs, metric, tidy, jobs, protocols)


def read_protocols(jobs: pd.DataFrame, runs: Path) -> dict[str, Protocol]:
    """What these jobs' run folders say that they measured with, by fingerprint."""
    protocols: dict[str, Protocol] = {}
    for run in readable(jobs):
        recorded = from_json(RunFolder(jobs_root(runs), run).read("protocol.json"))
        protocols |= {protocol.fingerprint: protocol for protocol in recorded.values()}
    return protocols


METRICS = {
    "mae": ("MAE", "MAE in [−1, 1]"),
    "fd_rooms": ("FD", "rooms FD (a proxy, not an FID)"),
    "fd_imagenet": ("FD", "ImageNet FD (a proxy, not an FID)"),
    "clean_fid": ("FID", "FID (Inception, clean-fid)"),
}


WINDOWS = {0.5: "half", 0.25: "quarter", 0.2: "fifth", 0.1: "tenth"}


def window_of(results: Results) -> float | None:
    """The share of a run that its value is of, None for its last evaluation (`core.values`)."""
    return results.plan.variants[0].config.evaluation.window if results.plan.variants else None


def window_words(window: float | None) -> str:
    """What part of a run its value is of: "last evaluation", "last quarter"."""
    return "last evaluation" if window is None else f"last {WINDOWS.get(window, f'{window:.0%}')}"


def last_part(results: Results) -> str:
    """The same of the results' runs."""
    return window_words(window_of(results))


def when(results: Results, iteration: int | None = None) -> str:
    """When values are read: "at the last iteration", "over the last quarter of the iterations" or, of an `iteration`,
    "at iteration 400", "over the last quarter before iteration 400"."""
    if window_of(results) is None:
        return "at the last iteration" if iteration is None else f"at iteration {iteration:,}"
    whole = "of the iterations" if iteration is None else f"before iteration {iteration:,}"
    return f"over the {last_part(results)} {whole}"


def metric_letters(results: Results) -> str:
    """The metric as a table's head says it."""
    return METRICS.get(results.metric, (results.metric, ""))[0]


def metric_name(results: Results) -> str:
    """The metric as an axis says it, with the word proxy where it is one."""
    return METRICS.get(results.metric, ("", results.metric))[1]
