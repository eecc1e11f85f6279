"""Two studies, two settings of one, or one at two dates: what they have in common, and by how much they differ.

Everything is read from tidy frames (`reports.results.TIDY_COLUMNS`), so that a report folder kept from an earlier date
compares with today's runs.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import InputError
from core.metrics.protocol import from_json
from reports import stats
from reports.numbers import listed
from reports.protocols import UNRECORDED, Known, MixedProtocols, by_protocol, mixture, told_apart
from reports.results import TIDY_COLUMNS, Results, load
from reports.tables import METRICS

BASELINE = "baseline"


@dataclass(frozen=True)
class Side:
    """One of the two: its tidy frame, and the metric it reports.

    `data` is what its images are called, None where only a results.csv is there. `protocols` are those it recorded, by
    fingerprint.
    """

    name: str
    tidy: pd.DataFrame
    metric: str
    data: str | None = None
    protocols: Known = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """Of the protocol of the reported metric, empty where none was recorded."""
        return next(iter(by_protocol(self.tidy, self.metric)), UNRECORDED)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per variant and seed: status, run, last iteration and value, inf for a diverged run, NaN for one that
        did not finish."""
        rows = []
        for key, mine in self.tidy.groupby(["variant", "seed"], sort=False):
            variant, seed = cast(Any, key)
            status, run = str(mine["status"].iloc[0]), str(mine["run"].iloc[0])
            measured = mine[(mine["metric"] == self.metric) & mine["iteration"].notna()].sort_values("iteration")
            last = measured.iloc[-1] if len(measured) else None
            ended = last is not None and status == "finished"
            value = np.inf if status == "diverged" else float(last["value"]) if ended and last is not None else np.nan
            iteration = int(last["iteration"]) if ended and last is not None else None
            rows.append((str(variant), int(seed), status, run, iteration, value))
        return pd.DataFrame(rows, columns=["variant", "seed", "status", "run", "iteration", "value"])

    @cached_property
    def variants(self) -> list[str]:
        """Names in the order of the plan."""
        return list(dict.fromkeys(self.runs["variant"]))

    @cached_property
    def _by_variant(self) -> dict[str, pd.DataFrame]:
        return {name: self.runs[self.runs["variant"] == name].set_index("seed") for name in self.variants}

    def of(self, variant: str) -> pd.DataFrame:
        """The runs of one variant by seed."""
        return self._by_variant[variant]

    def values(self, variant: str) -> NDArray[np.float64]:
        """The last values of one variant over its seeds."""
        return self.of(variant)["value"].to_numpy(dtype=float)

    @property
    def iterations(self) -> tuple[int, ...]:
        """At which iterations finished runs were last measured."""
        return tuple(sorted({int(i) for i in self.runs["iteration"].dropna()}))

    @property
    def metric_title(self) -> str:
        """The metric in words, with the word proxy where it is one."""
        return METRICS.get(self.metric, ("", self.metric))[1]

    def effect(self, variant: str) -> stats.Effect:
        """The ratio of a variant to this side's own baseline, paired by seed."""
        before, after = (self.of(name)["value"].dropna() for name in (BASELINE, variant))
        shared = sorted(set(before.index) & set(after.index))
        return stats.paired_effect(before.loc[shared].to_numpy(float), after.loc[shared].to_numpy(float))


def read_side(text: str, runs: Path, other_metric: str | None = None) -> Side:
    """`STUDY`, `STUDY:SETTING` or the path of a folder with a results.csv. Raises InputError where it is none of them.

    Of a results.csv that does not say which of its metrics was reported it is `other_metric` if recorded, else the one
    known to `reports.tables.METRICS`. Raises MixedProtocols for one whose metric was measured differently in its runs.
    """
    folder = Path(text)
    if (folder / "results.csv").is_file():
        tidy = read_tidy(folder / "results.csv")
        metric = metric_of(tidy, text, other_metric)
        data, protocols = read_record(folder / RECORD)
        if (reason := mixture(tidy, metric, protocols)) is not None:
            raise MixedProtocols(f"{text}: {reason}")
        return Side(text, tidy, metric, data, protocols)
    if folder.is_dir():
        raise InputError(f"{text} has no results.csv: name a report's folder, or a study as STUDY or STUDY:SETTING")
    study, _, setting = text.partition(":")
    results = load(study, runs, setting or None)
    name = f"{results.plan.study}:{results.plan.setting}"
    return Side(name, results.tidy, results.metric, results.plan.data_name, results.protocols)


RECORD = "protocols.json"
"""Beside a results.csv: the name of its data, and the fields of its protocols by fingerprint."""


def record(results: Results) -> str:
    """The content of `RECORD`."""
    protocols = {fingerprint: protocol.model_dump(mode="json") for fingerprint, protocol in results.protocols.items()}
    return json.dumps({"data": results.plan.data_name, "protocols": protocols}, indent=1) + "\n"


def read_record(file: Path) -> tuple[str | None, Known]:
    """What a report's folder says of its data and its protocols: nothing where it is of an earlier version."""
    try:
        said = json.loads(file.read_text())
        return str(said["data"]), from_json(said["protocols"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, {}


def read_tidy(file: Path) -> pd.DataFrame:
    """A results.csv. Raises InputError where it is not one."""
    try:
        tidy = pd.read_csv(
            file, dtype={"variant": str, "metric": str, "status": str, "run": str, "protocol": str, "reported": str}
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as a table: {str(error).splitlines()[0]}") from None
    # Reports of earlier versions have neither: their protocols count as not recorded.
    tidy["protocol"] = tidy["protocol"].fillna(UNRECORDED) if "protocol" in tidy.columns else UNRECORDED
    tidy["reported"] = tidy["reported"] == "True" if "reported" in tidy.columns else False
    if missing := [column for column in TIDY_COLUMNS if column not in tidy.columns]:
        raise InputError(f"{file} lacks the columns {listed(missing)}: render the report again to write it anew")
    try:
        for column in ("seed", "iteration", "value"):
            tidy[column] = pd.to_numeric(tidy[column])
    except (ValueError, TypeError):
        raise InputError(f"{file} has words in its column '{column}', which holds numbers") from None
    if tidy.empty or tidy[["variant", "seed"]].isna().to_numpy().any():
        raise InputError(f"{file} has no runs, or runs without a variant or a seed: render the report again")
    return tidy


def metric_of(tidy: pd.DataFrame, where: str, wanted: str | None) -> str:
    """The reported metric of a frame. Raises InputError where nothing was measured, or nothing says which it is."""
    recorded = [str(key) for key in tidy["metric"].dropna().unique()]
    reported = tidy[tidy["reported"]]["metric"].unique()
    if len(reported) == 1:
        return str(reported[0])
    known = [key for key in METRICS if key in recorded]
    if wanted in recorded:
        return str(wanted)
    if len(known) == 1 or len(recorded) == 1:
        return (known or recorded)[0]
    if not recorded:
        raise InputError(f"nothing was measured in {where}: there is nothing to compare")
    raise InputError(f"{where} records several metrics ({listed(recorded)}) and does not say which it reports")


# --- what two sides have in common ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """Two sides and the variants that both have."""

    a: Side
    b: Side

    @cached_property
    def apart(self) -> tuple[str, ...]:
        """What keeps the values of the two out of one table: the fields in which their protocols differ.

        Where neither recorded its protocol, the metrics and the names of the data tell.
        """
        one, other = self.a, self.b
        if one.metric != other.metric:
            return (f"metric: {one.metric_title} in A, {other.metric_title} in B",)
        fingerprints = one.fingerprint, other.fingerprint
        if fingerprints[0] != fingerprints[1]:
            fields = told_apart(fingerprints, {**one.protocols, **other.protocols})
            return tuple(f"{name.replace('_', ' ')}: {a} in A, {b} in B" for name, (a, b) in fields.items())
        if UNRECORDED in fingerprints and None not in (one.data, other.data) and one.data != other.data:
            return (f"data: {one.data} in A, {other.data} in B",)
        return ()

    @cached_property
    def shared(self) -> list[str]:
        """Variants of both, in the order of A."""
        return [name for name in self.a.variants if name in self.b.variants]

    def seeds(self, variant: str) -> list[int]:
        """Seeds that have ended in both."""
        ended = (set(side.of(variant)["value"].dropna().index) for side in (self.a, self.b))
        return sorted(set.intersection(*ended))

    def same_runs(self, variant: str) -> int:
        """How many of the seeds that both have are one and the same run."""
        one, other = self.a.of(variant)["run"], self.b.of(variant)["run"]
        return sum(one[seed] == other[seed] for seed in self.seeds(variant))

    def paired(self, variant: str) -> bool:
        """Whether the two are paired by seed: two seeds in common or more."""
        return len(self.seeds(variant)) > 1

    def ratio(self, variant: str) -> stats.Effect | stats.UnpairedEffect:
        """B / A: paired over the seeds in common, Welch's on the logs where fewer than two are."""
        if self.paired(variant):
            seeds = self.seeds(variant)
            one, other = (side.of(variant).loc[seeds, "value"].to_numpy(float) for side in (self.a, self.b))
            return stats.paired_effect(one, other)
        return stats.unpaired_effect(self.a.values(variant), self.b.values(variant))

    def effects(self) -> list[tuple[str, stats.Effect, stats.Effect]]:
        """Each shared variant's ratio to its own side's baseline, where both have one."""
        if BASELINE not in self.shared:
            return []
        return [(name, self.a.effect(name), self.b.effect(name)) for name in self.shared if name != BASELINE]

    def order(self) -> stats.RankCorrelation | None:
        """Agreement of the order of the shared variants, over as many seeds as all of a side's have."""
        tables = []
        for side in (self.a, self.b):
            ended = [side.values(name) for name in self.shared]
            ended = [values[~np.isnan(values)] for values in ended]
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
        found = Comparison(read_side(a, runs, other.metric), other)
    else:
        one = read_side(a, runs)
        found = Comparison(one, read_side(b, runs, one.metric))
    if found.a.name == found.b.name:
        raise InputError(f"'{a}' and '{b}' are the same report: name two")
    if not found.shared:
        raise InputError(
            f"'{a}' and '{b}' have no variant of the same name: "
            f"{listed(found.a.variants[:4])} … and {listed(found.b.variants[:4])} …"
        )
    return found


def is_folder(text: str) -> bool:
    """Whether a side is a kept report rather than a study."""
    return (Path(text) / "results.csv").is_file()


def slug(comparison: Comparison) -> str:
    """The default folder's name."""
    return "_vs_".join(re.sub(r"[^A-Za-z0-9.]+", "-", side.name).strip("-.") for side in (comparison.a, comparison.b))
