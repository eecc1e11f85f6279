"""Two studies, two settings of one, or one at two dates: what they have in common, and by how much they differ.

Values are read from tidy frames (`reports.results.TIDY_COLUMNS`), so that a report folder kept from an earlier date
compares with today's runs. Which variants of two sides belong together is a matter of rules (`Comparison.matches`):
names say which changes were made on a study's base, and bases differ between studies.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablations.beside_deck import leaves
from ablations.designs import title_of
from ablations.schema import Study
from core.arguments import MOST, MOST_SEED
from core.config import parse
from core.errors import InputError
from core.files import check_inside
from core.metrics.protocol import from_json
from core.names import FINGERPRINT, NAME, SERIES, VARIANT, fits
from core.numbers import MOST_VALUE
from core.reading import bytes_of, lines_of, record_of
from core.words import first_words
from reports import stats
from reports.numbers import listed
from reports.protocols import UNRECORDED, Known, MixedProtocols, by_protocol, mixture, told_apart
from reports.report import PUBLISHED
from reports.results import STATUSES, TIDY_COLUMNS, Results, load
from reports.tables import METRICS
from studies import catalogue
from studies.plan import MOST_JOBS

BASELINE = "baseline"

Rule = Literal["changes", "config", "training"]
"""Why two variants belong together: "changes", the same ones on the base of the same study, in two settings or at two
dates; "config", one config, whatever the two studies call it; "training", one config but for `evaluation`."""

ABSENT = "–"

MEASURED_BY = "evaluation"
"""The node of a config that changes what is measured, and nothing of what is trained."""


@dataclass(frozen=True)
class Side:
    """One of the two: its tidy frame, and the metric it reports.

    `data` is what its images are called, None where only a results.csv is there. `protocols` are those it recorded, by
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
        """What a variant is called, for people; its name where its study is not known here."""
        unknown = f"the base of {self.study}" if variant == BASELINE else variant
        return self.titles.get(variant, unknown)

    @cached_property
    def digests(self) -> dict[str, frozenset[tuple[int, str]]]:
        """The seeds and digests of each variant's runs."""
        found: dict[str, set[tuple[int, str]]] = {}
        for variant, seed, run in zip(self.runs["variant"], self.runs["seed"], self.runs["run"], strict=True):
            found.setdefault(str(variant), set()).add((int(seed), str(run)))
        return {variant: frozenset(runs) for variant, runs in found.items()}

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

    def effect(self, variant: str, reference: str) -> stats.Effect:
        """The ratio of a variant to another one of this side, paired by seed."""
        before, after = (self.of(name)["value"].dropna() for name in (reference, variant))
        shared = sorted(set(before.index) & set(after.index))
        return stats.paired_effect(before.loc[shared].to_numpy(float), after.loc[shared].to_numpy(float))


def read_side(text: str, runs: Path, other_metric: str | None = None) -> Side:
    """`STUDY`, `STUDY:SETTING` or the path of a folder with a results.csv. Raises InputError where it is none of them.

    Of a results.csv that does not say which of its metrics was reported it is `other_metric` if recorded, else the one
    known to `reports.tables.METRICS`. Raises MixedProtocols for one whose metric was measured differently in its runs.
    """
    folder = Path(text)
    if (folder / "results.csv").is_file():
        for name in ("results.csv", RECORD, PUBLISHED):
            check_inside(folder, folder / name)
        tidy = read_tidy(folder / "results.csv")
        metric = metric_of(tidy, text, other_metric)
        data, protocols = read_record(folder / RECORD)
        if (reason := mixture(tidy, metric, protocols)) is not None:
            raise MixedProtocols(f"{text}: {reason}")
        names = list(dict.fromkeys(tidy["variant"]))
        titles = titles_of(str(tidy["study"].iloc[0]), names, runs)
        return Side(text, tidy, metric, data, protocols, read_configs(folder / PUBLISHED), titles=titles)
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


def titles_of(study: str, names: list[str], runs: Path) -> dict[str, str]:
    """What the study of that name calls these variants; nothing where there is no such study here."""
    try:
        declared: Study = catalogue.named(study)
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


def read_configs(file: Path) -> dict[str, dict[str, Any]]:
    """The configs of a published report by variant, as leaves by path; nothing where it kept none."""
    if not file.is_file():
        return {}
    found: dict[str, dict[str, Any]] = {}
    for _, line in lines_of(file, AGAIN, MOST_JOBS):
        try:
            told = json.loads(line)
            variant, config = str(told["variant"]), told["job"]["config"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # A run that did not begin has none.
        if variant not in found:
            found[variant] = leaves(of_today(config))
    return found


def of_today(config: Any) -> Any:
    """A config with the fields that have joined since; as it is where the schema of today refuses it."""
    try:
        return parse(config).model_dump(mode="json")
    except (ValueError, TypeError):
        return config


AGAIN = "render the report again"

RECORD = "protocols.json"
"""Beside a results.csv: the name of its data, and the fields of its protocols by fingerprint."""


def record(results: Results) -> str:
    """The content of `RECORD`."""
    protocols = {fingerprint: protocol.model_dump(mode="json") for fingerprint, protocol in results.protocols.items()}
    return json.dumps({"data": results.plan.data_name, "protocols": protocols}, indent=1) + "\n"


def read_record(file: Path) -> tuple[str | None, Known]:
    """What a report's folder says of its data and its protocols: nothing where it is of an earlier version."""
    try:
        said = record_of(file, AGAIN)
        return str(said["data"]), from_json(said["protocols"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, {}


def read_tidy(file: Path) -> pd.DataFrame:
    """A results.csv. Raises InputError where it is not one."""
    content = bytes_of(file, AGAIN, MOST_TABLE)
    if content[:MOST_HEAD].partition(b"\n")[0].count(b",") > MOST_COLUMNS:
        raise InputError(f"{file} has more columns than any results.csv: {AGAIN}")
    try:
        tidy = pd.read_csv(io.BytesIO(content), dtype=dict.fromkeys((*COLUMNS, "run", "reported"), str))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as a table: {first_words(error)}") from None
    # Reports of earlier versions have neither: their protocols count as not recorded.
    tidy["protocol"] = tidy["protocol"].fillna(UNRECORDED) if "protocol" in tidy.columns else UNRECORDED
    tidy["reported"] = tidy["reported"] == "True" if "reported" in tidy.columns else False
    if missing := [column for column in TIDY_COLUMNS if column not in tidy.columns]:
        raise InputError(f"{file} lacks the columns {listed(missing)}: render the report again to write it anew")
    for column, can_be in NUMBERS.items():
        try:
            numbers = pd.to_numeric(tidy[column]).astype("float64")
        except (ValueError, TypeError):
            raise InputError(f"{file} has words in its column '{column}', which holds numbers") from None
        if len(wrong := numbers[numbers.notna() & ~can_be(numbers)]):
            raise InputError(f"{file} has {wrong.iloc[0]:g} in its column '{column}', where that cannot be: {AGAIN}")
        tidy[column] = numbers
    if tidy.empty or tidy[["variant", "seed"]].isna().to_numpy().any():
        raise InputError(f"{file} has no runs, or runs without a variant or a seed: render the report again")
    tidy["seed"] = tidy["seed"].astype("int64")
    for column, pattern in COLUMNS.items():
        for text in tidy[column].dropna().unique():
            if not fits(pattern, str(text)):
                raise InputError(f"{file} has '{text}' as a {column}, which is none: render the report again")
    if (studies := tidy["study"].nunique(dropna=False)) != 1:
        raise InputError(f"{file} is of {studies} studies: render the report of one")
    return tidy


MOST_TABLE = 2**26
"""Bytes of a results.csv: ten thousand runs with fifty measurements each."""

MOST_HEAD, MOST_COLUMNS = 2**16, 100

Numbers = Callable[["pd.Series[float]"], "pd.Series[bool]"]

NUMBERS: Mapping[str, Numbers] = {
    "seed": lambda numbers: (numbers >= 0) & (numbers < MOST_SEED) & (numbers % 1 == 0),
    "iteration": lambda numbers: (numbers >= 0) & (numbers <= MOST) & (numbers % 1 == 0),
    "value": lambda numbers: (numbers.abs() <= MOST_VALUE) | (numbers.abs() == np.inf),
}
"""What the numbers of a results.csv can be, as those of a run (`core.numbers`), where they are there."""

COLUMNS = {
    "study": NAME,
    "variant": VARIANT,
    "metric": SERIES,
    "protocol": FINGERPRINT,
    "status": "|".join(STATUSES),
}
"""What the words of a results.csv look like that may be anybody's; runs are only compared with each other."""


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
        found: dict[str, tuple[str, Rule]] = {}

        def match(rule: Rule) -> None:
            taken = {theirs for theirs, _ in found.values()}
            for ours in self.a.variants:
                if ours in found:
                    continue
                for theirs in self.b.variants:
                    if theirs not in taken and self._alike(ours, theirs, rule):
                        found[ours] = (theirs, rule)
                        taken.add(theirs)
                        break

        match("changes")
        match("config")
        match("training")
        return {name: found[name] for name in self.a.variants if name in found}

    def _alike(self, ours: str, theirs: str, rule: Rule) -> bool:
        if rule == "changes":
            return self.one_study and ours == theirs and not self._edited_since(ours)
        if rule == "config" and self.a.digests[ours] & self.b.digests[theirs]:
            return True
        one, other = self.a.configs.get(ours), self.b.configs.get(theirs)
        if one is None or other is None:
            return False
        return all(rule == "training" and measured_by(path) for path in differing(one, other))

    def _edited_since(self, variant: str) -> bool:
        """Whether one of the variant's changes was declared with other edits in the two."""
        both = self.a.registered, self.b.registered
        keys = [f"change {name}" for name in self.a.changes.get(variant, self.b.changes.get(variant, ()))]
        return any(len({side[key] for side in both if key in side}) > 1 for key in keys)

    def partner(self, variant: str) -> str:
        """What B calls a matched variant of A."""
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
        """In which paths the configs of a variant of A and one of B differ, with both values; None: not on record."""
        one, other = self.a.configs.get(ours), self.b.configs.get(theirs)
        return None if one is None or other is None else differing(one, other)

    def pair(self, variant: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The runs of a matched variant of A and of its counterpart, by seed."""
        return self.a.of(variant), self.b.of(self.partner(variant))

    def seeds(self, variant: str) -> list[int]:
        """Seeds that have ended in both."""
        return sorted(set.intersection(*(set(runs["value"].dropna().index) for runs in self.pair(variant))))

    def same_runs(self, variant: str) -> int:
        """How many of the seeds that both have are one and the same run."""
        one, other = (runs["run"] for runs in self.pair(variant))
        return sum(one[seed] == other[seed] for seed in self.seeds(variant))

    def paired(self, variant: str) -> bool:
        """Whether the two are paired by seed: two seeds in common or more."""
        return len(self.seeds(variant)) > 1

    def ratio(self, variant: str) -> stats.Effect | stats.UnpairedEffect:
        """B / A: paired over the seeds in common, Welch's on the logs where fewer than two are."""
        if self.paired(variant):
            seeds = self.seeds(variant)
            one, other = (runs.loc[seeds, "value"].to_numpy(float) for runs in self.pair(variant))
            return stats.paired_effect(one, other)
        return stats.unpaired_effect(self.a.values(variant), self.b.values(self.partner(variant)))

    @cached_property
    def reference(self) -> str | None:
        """The variant of A that effects are taken against: the base of A, else that of B, where both sides have it."""
        if BASELINE in self.matches:
            return BASELINE
        return next((ours for ours, (theirs, _) in self.matches.items() if theirs == BASELINE), None)

    def effects(self) -> list[tuple[str, stats.Effect, stats.Effect]]:
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
            ended = [side.values(name) for name in names]
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
        alone = "" if found.one_study else " (names say nothing here: they are of two studies)"
        raise InputError(
            f"'{a}' and '{b}' have no variant in common{alone}: "
            f"{listed(found.a.variants[:4])} … and {listed(found.b.variants[:4])} …"
        )
    return found


def measured_by(path: str) -> bool:
    """Whether a path of a config lies in what only says how a model is measured."""
    return path.partition(".")[0] == MEASURED_BY


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The paths of two configs, as leaves, whose values differ; `ABSENT` stands for a path that one of them has not."""
    both = {path: (one.get(path, ABSENT), other.get(path, ABSENT)) for path in (*one, *other)}
    return {path: pair for path, pair in both.items() if pair[0] != pair[1]}


def is_folder(text: str) -> bool:
    """Whether a side is a kept report rather than a study."""
    return (Path(text) / "results.csv").is_file()


def slug(comparison: Comparison) -> str:
    """The default folder's name."""
    return "_vs_".join(re.sub(r"[^A-Za-z0-9.]+", "-", side.name).strip("-.") for side in (comparison.a, comparison.b))
