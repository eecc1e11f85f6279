"""Two studies, two settings of one, or one at two dates: what they have in common, and by how much they differ.

Values are read from tidy frames (`reports.frames.TIDY_COLUMNS`), so that a report folder kept from an earlier date
compares with today's runs. Which variants of two sides belong together is a matter of rules (`Comparison.matches`):
names say which changes were made on a study's base, and bases differ between studies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablations.beside_deck import leaves
from ablations.designs import title_of
from core.errors import InputError
from core.files import check_inside
from reports import kept, stats
from reports.comparability import UNRECORDED, Known, MixedProtocols, by_protocol, mixture, told_apart
from reports.numbers import listed
from reports.report import PUBLISHED
from reports.results import METRICS, load, window_words
from studies import catalogue

BASELINE = "baseline"

Rule = Literal["changes", "config", "training"]
"""Why two variants belong together: "changes", the same ones on the base of the same study, in two settings or at two
dates; "config", one config, whatever the two studies call it; "training", one config but for `evaluation`."""

RULES: tuple[Rule, ...] = ("changes", "config", "training")
"""The surest first: a variant is matched by the first that finds it a counterpart."""

ABSENT = "–"

Pair = tuple[str, stats.Effect, stats.Effect]
"""A variant with its effect in A and in B."""

MEASURED_BY = "evaluation"
"""The node of a config that changes what is measured, and nothing of what is trained."""


@dataclass(frozen=True)
class Side:
    """One of the two: its tidy frame, and the metric it reports.

    `data` is the name of its images, None where only a results.csv is there; `protocols` are those on record, by
    fingerprint. `configs` (as leaves by path), `changes` and `titles` are by variant, as far as they are on record;
    `registered` is the declaration of the study before its first run, empty where it is not on record.
    """

    name: str
    tidy: pd.DataFrame
    metric: str
    data: str | None = None
    protocols: Known = field(default_factory=dict)
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    registered: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def study(self) -> str:
        """The study's name."""
        return str(self.tidy["study"].iloc[0])

    def title(self, variant: str) -> str:
        """The variant's title, for people; its name where its study is not known here."""
        unknown = f"the base of {self.study}" if variant == BASELINE else variant
        return self.titles.get(variant, unknown)

    @cached_property
    def fingerprint(self) -> str:
        """Of the protocol of the reported metric, empty where none was recorded."""
        return next(iter(by_protocol(self.tidy, self.metric)), UNRECORDED)

    @property
    def metric_title(self) -> str:
        """The metric in words, with the word proxy where it is one."""
        return METRICS.get(self.metric, ("", self.metric))[1]

    @cached_property
    def windows(self) -> set[float | None]:
        """The shares of a run that its value is of, None for its last evaluation; nothing where no config is on
        record."""
        return {config.get("evaluation.window") for config in self.configs.values()}

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per variant and seed: status, run, last iteration and value, inf for a diverged run, NaN for one that
        did not finish."""
        job = ["variant", "seed"]
        measured = self.tidy[(self.tidy["metric"] == self.metric) & self.tidy["iteration"].notna()]
        measured = measured.assign(value=measured["averaged"])
        last = measured.sort_values("iteration", kind="stable").groupby(job)[["iteration", "value"]].tail(1)
        runs = self.tidy.drop_duplicates(job)[[*job, "status", "run"]]
        runs = runs.merge(measured.loc[last.index, [*job, "iteration", "value"]], "left", on=job)
        runs.loc[runs["status"] != "finished", ["iteration", "value"]] = np.nan
        runs.loc[runs["status"] == "diverged", "value"] = np.inf
        return runs

    @cached_property
    def variants(self) -> dict[str, pd.DataFrame]:
        """The runs of each variant by seed, in the order of the plan."""
        return {str(name): runs.set_index("seed") for name, runs in self.runs.groupby("variant", sort=False)}

    def values(self, variant: str) -> NDArray[np.float64]:
        """The last values of one variant over its seeds."""
        return self.variants[variant]["value"].to_numpy(dtype=float)

    def digests(self, variant: str) -> set[tuple[int, str]]:
        """The seeds and digests of a variant's runs."""
        runs = self.variants[variant]
        return set(zip(runs.index.astype(int), runs["run"].astype(str), strict=True))

    @property
    def iterations(self) -> tuple[int, ...]:
        """The iterations at which finished runs were last measured."""
        return tuple(sorted({int(i) for i in self.runs["iteration"].dropna()}))

    def effect(self, variant: str, reference: str) -> stats.Effect:
        """The ratio of a variant to another one of this side, paired by seed."""
        pairs = by_seed(self.variants[reference], self.variants[variant])
        return stats.paired_effect(pairs["value_a"], pairs["value_b"])


def by_seed(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The runs of two variants beside each other for the seeds that ended in both, in order."""
    both = a.merge(b, left_index=True, right_index=True, suffixes=("_a", "_b"))
    return both.dropna(subset=["value_a", "value_b"]).sort_index()


def read_side(text: str, runs: Path, other_metric: str | None = None) -> Side:
    """`STUDY`, `STUDY:SETTING` or the path of a folder with a results.csv. Raises InputError where it is none of them.

    Of a results.csv that does not say which of its metrics was reported it is `other_metric` if recorded, else the one
    known to `reports.results.METRICS`. Raises MixedProtocols for one whose metric was measured differently in its runs.
    """
    folder = Path(text)
    if is_folder(text):
        for name in (kept.TABLE, kept.PROTOCOLS, PUBLISHED):
            check_inside(folder, folder / name)
        tidy = kept.read_tidy(folder / kept.TABLE)
        metric = kept.metric_of(tidy, text, other_metric)
        data, protocols = kept.read_protocols(folder / kept.PROTOCOLS)
        if (reason := mixture(tidy, metric, protocols)) is not None:
            raise MixedProtocols(f"{text}: {reason}")
        titles = titles_of(str(tidy["study"].iloc[0]), list(tidy["variant"].unique()), runs)
        return Side(text, tidy, metric, data, protocols, kept.read_configs(folder / PUBLISHED), titles=titles)
    if folder.is_dir():
        raise InputError(f"{text} has no results.csv: name a report's folder, or a study as STUDY or STUDY:SETTING")
    study, _, setting = text.partition(":")
    results = load(study, runs, setting or None)
    plan = results.plan
    return Side(
        f"{plan.study}:{plan.setting}",
        results.tidy,
        results.metric,
        plan.data_name,
        results.protocols,
        configs={variant.name: leaves(variant.config.model_dump(mode="json")) for variant in plan.variants},
        changes={variant.name: variant.changes for variant in plan.variants},
        titles={variant.name: variant.title for variant in plan.variants},
        registered=plan.registered,
    )


def is_folder(text: str) -> bool:
    """Whether a side is a kept report rather than a study."""
    return (Path(text) / kept.TABLE).is_file()


def titles_of(study: str, names: list[str], runs: Path) -> dict[str, str]:
    """The titles that the study of that name gives these variants; none where there is no such study here."""
    try:
        declared = catalogue.named(study)
    except InputError:
        pass
    else:
        return {name: title for name in names if (title := title_of(declared, name)) != name}
    try:
        # A file of somebody's own declares it: its plans have the titles as well, and are only read.
        planned = [variant for plan in catalogue.plans_of(study, runs) for variant in plan.variants]
    except InputError:
        return {}
    return {variant.name: variant.title for variant in planned if variant.name in names}


# --- what two sides have in common ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """Two sides and the variants that both have."""

    a: Side
    b: Side

    @cached_property
    def apart(self) -> tuple[str, ...]:
        """The reasons that keep the values of the two out of one table: the fields in which their protocols differ.

        Where neither recorded its protocol, the metrics and the names of the data tell.
        """
        one, other = self.a, self.b
        if one.metric != other.metric:
            return (f"metric: {one.metric_title} in A, {other.metric_title} in B",)
        fingerprints = one.fingerprint, other.fingerprint
        if fingerprints[0] != fingerprints[1]:
            fields = told_apart(fingerprints, {**one.protocols, **other.protocols})
            return tuple(f"{name.replace('_', ' ')}: {a} in A, {b} in B" for name, (a, b) in fields.items())
        windows = one.windows, other.windows
        if all(windows) and windows[0] != windows[1]:
            said = (" and ".join(sorted(map(window_words, each))) for each in windows)
            return ("a run's value: {} in A, {} in B".format(*said),)
        if UNRECORDED in fingerprints and None not in (one.data, other.data) and one.data != other.data:
            return (f"data: {one.data} in A, {other.data} in B",)
        return ()

    @cached_property
    def one_study(self) -> bool:
        """Whether both are of one study, and nothing on record says that its base was another one then."""
        one, other = (side.registered.get("base") for side in (self.a, self.b))
        return self.a.study == self.b.study and (one == other or None in (one, other))

    @cached_property
    def matches(self) -> dict[str, tuple[str, Rule]]:
        """For each variant of A that has one its counterpart in B, and by which rule, in the order of A.

        Of one study the same changes belong together, in whatever settings: that is what two settings are compared
        for. What is left, and all of two studies, belongs together where the config is one: by the digests of runs of
        the same seed, or by the configs as recorded; then where it is one but for `evaluation`.
        """
        matches: dict[str, tuple[str, Rule]] = {}
        spare = list(self.b.variants)
        for rule in RULES:
            for ours in [name for name in self.a.variants if name not in matches]:
                if theirs := next((name for name in spare if self._alike(ours, name, rule)), None):
                    matches[ours] = (theirs, rule)
                    spare.remove(theirs)
        return {name: matches[name] for name in self.a.variants if name in matches}

    def _alike(self, ours: str, theirs: str, rule: Rule) -> bool:
        if rule == "changes":
            return self.one_study and ours == theirs and not self._edited_since(ours)
        if rule == "config" and self.a.digests(ours) & self.b.digests(theirs):
            return True
        paths = self.differences(ours, theirs)
        return paths is not None and all(rule == "training" and measured_by(path) for path in paths)

    def _edited_since(self, variant: str) -> bool:
        """Whether one of the variant's changes was declared with other edits in the two."""
        both = self.a.registered, self.b.registered
        keys = [f"change {name}" for name in self.a.changes.get(variant, self.b.changes.get(variant, ()))]
        return any(len({side[key] for side in both if key in side}) > 1 for key in keys)

    def partner(self, variant: str) -> str:
        """The name in B of a matched variant of A."""
        return self.matches[variant][0]

    @cached_property
    def shared(self) -> list[str]:
        """Variants of A that have a counterpart in B, in the order of A."""
        return list(self.matches)

    @cached_property
    def namesakes(self) -> list[str]:
        """Names that both have for what does not belong together: nothing is computed over these pairs."""
        return [
            name for name in self.a.variants if name in self.b.variants and self.matches.get(name, ("",))[0] != name
        ]

    def differences(self, ours: str, theirs: str) -> dict[str, tuple[Any, Any]] | None:
        """The paths in which the configs of a variant of A and one of B differ, as leaves, with both values; `ABSENT`
        stands for a path that one of them has not. None: not both are on record."""
        one, other = self.a.configs.get(ours), self.b.configs.get(theirs)
        if one is None or other is None:
            return None
        both = {path: (one.get(path, ABSENT), other.get(path, ABSENT)) for path in (*one, *other)}
        return {path: pair for path, pair in both.items() if pair[0] != pair[1]}

    @cached_property
    def pairs(self) -> dict[str, pd.DataFrame]:
        """The runs of each matched variant beside those of its counterpart (`by_seed`)."""
        return {ours: by_seed(self.a.variants[ours], self.b.variants[self.partner(ours)]) for ours in self.shared}

    def same_runs(self, variant: str) -> int:
        """How many of the seeds that both have are one and the same run."""
        pairs = self.pairs[variant]
        return int((pairs["run_a"] == pairs["run_b"]).sum())

    def paired(self, variant: str) -> bool:
        """Whether the two are paired by seed: two seeds in common or more."""
        return len(self.pairs[variant]) > 1

    def ratio(self, variant: str) -> stats.Effect | stats.UnpairedEffect:
        """B / A: paired over the seeds in common, Welch's on the logs where fewer than two are."""
        if self.paired(variant):
            return stats.paired_effect(self.pairs[variant]["value_a"], self.pairs[variant]["value_b"])
        return stats.unpaired_effect(self.a.values(variant), self.b.values(self.partner(variant)))

    @cached_property
    def reference(self) -> str | None:
        """The variant of A that effects are taken against: the base of A, else that of B, where both sides have it."""
        if BASELINE in self.matches:
            return BASELINE
        return next((ours for ours, (theirs, _) in self.matches.items() if theirs == BASELINE), None)

    def effects(self) -> list[Pair]:
        """Each matched variant's ratio to the reference, within its own side, where there is one."""
        if (against := self.reference) is None:
            return []
        return [
            (name, self.a.effect(name, against), self.b.effect(self.partner(name), self.partner(against)))
            for name in self.shared
            if name != against
        ]

    def order(self) -> stats.RankCorrelation | None:
        """Agreement of the order of the shared variants, over as many seeds as all of a side's have."""
        tables = []
        for side, names in ((self.a, self.shared), (self.b, [self.partner(name) for name in self.shared])):
            ended = [values[~np.isnan(values)] for values in map(side.values, names)]
            n = max((values.size for values in ended), default=0)
            # A variant that lacks a seed is left out by its NaN, as a diverged one is by its infinity.
            tables.append([[*values, *[np.nan] * (n - values.size)] for values in ended])
        if not self.shared or not all(len(table[0]) for table in tables):
            return None
        return stats.seed_bootstrap_rank_correlation(tables[0], tables[1])


def read(a: str, b: str, runs: Path) -> Comparison:
    """Both sides. Raises InputError where one cannot be read, and where they share no variant."""
    if is_folder(a) and not is_folder(b):
        other = read_side(b, runs)
        both = Comparison(read_side(a, runs, other.metric), other)
    else:
        one = read_side(a, runs)
        both = Comparison(one, read_side(b, runs, one.metric))
    if both.a.name == both.b.name:
        raise InputError(f"'{a}' and '{b}' are the same report: name two")
    if not both.shared:
        alone = "" if both.one_study else " (names say nothing here: they are of two studies)"
        named = " and ".join(f"{listed(list(side.variants)[:4])} …" for side in (both.a, both.b))
        raise InputError(f"'{a}' and '{b}' have no variant in common{alone}: {named}")
    return both


def measured_by(path: str) -> bool:
    """Whether a path of a config lies in what only says how a model is measured."""
    return path.partition(".")[0] == MEASURED_BY


def slug(comparison: Comparison) -> str:
    """The default folder's name."""
    return "_vs_".join(re.sub(r"[^A-Za-z0-9.]+", "-", side.name).strip("-.") for side in (comparison.a, comparison.b))
