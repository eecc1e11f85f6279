"""A plan: the variants and jobs that a study comes to in one setting (profile, data, overrides).

The plan of a setting is kept in `<runs>/plans/<study>/<setting>.json` and grows: designs and seeds asked for later join
those asked for before, so that a report always covers everything that the setting has.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from ablations import patch
from ablations.designs import DESIGNS, Subset, subset_named, variant_name, variant_title
from ablations.paths import PathOf, places, suggestion
from ablations.protocols import PROTOCOLS
from ablations.schema import DesignName, Profile, Study, edited
from ablations.search import Search
from core.config import (
    AnyConfig,
    Config,
    Data,
    GanMetric,
    Job,
    LearningRates,
    Node,
    Reconstruction,
    RoomsFrechet,
    canonical,
    parse,
    place_of,
)
from core.errors import InputError
from core.files import check_inside, check_tree, make_folder, write_whole
from core.metrics.identity import extractor_sha256
from core.names import Digest, Name, SettingName, VariantName
from core.numbers import Seed
from core.reading import model_of, what_is_wrong

MOST_SEEDS, MOST_VARIANTS, MOST_JOBS = 1_000, 5_000, 10_000
"""Of one plan: every command that looks at it asks after each of its jobs."""

Seeds = Annotated[tuple[Seed, ...], Field(max_length=MOST_SEEDS)]


class PlannedVariant(Node):
    """One distinct config. `aliases` are further names that came out as the same config at this scale; `designs` gives
    the variant's place in each design (the rung, for the ladder); it is empty for one that only a claim asks for.
    `seeds` are those it is trained with where a design draws other variants for each seed; None: all the plan's."""

    name: VariantName
    aliases: tuple[VariantName, ...] = ()
    title: str
    changes: tuple[Name, ...]
    designs: dict[DesignName, int] = Field(default_factory=dict)
    seeds: Seeds | None = None
    config: AnyConfig

    def job(self, seed: int) -> Job:
        """This variant trained with this seed."""
        return Job(config=self.config, seed=seed)


class Retuned(Node):
    """Every variant has the best of the same `trials` pairs of learning rates, tried with `seed`; `rates` are by its
    name."""

    trials: int
    seed: Seed
    pairs: tuple[LearningRates, ...] = ()
    rates: dict[VariantName, LearningRates]


class Searched(Node):
    """What a search chose: the best of `trials` ended trials, its number among them, its values by config path."""

    search: Name
    variant: VariantName
    trials: int
    trial: int
    values: dict[str, float]


class Look(Node):
    """Seeds and designs that were asked for together, when `begun` of all `runs` that the plan then had were there.

    The first look of a setting is what was registered; a later one was asked for after runs could be seen. `seen` are
    the digests of those that had begun when it was registered: other studies' or, of a plan that was moved away, its
    own.
    """

    seeds: Seeds
    designs: tuple[DesignName, ...]
    begun: NonNegativeInt = 0
    runs: NonNegativeInt = 0
    seen: tuple[Digest, ...] = ()


class Plan(Node):
    """Everything a report needs beside the study's declaration, the run folders and the records of searches.

    `registered` is the study's declaration (`ablations.schema.Study.declaration`) before the first run of the setting,
    `looks` are the seeds and designs that were asked for, those before the first run first.
    `protocol` names what every variant is measured by instead of the profile's metric (`ablations.protocols`).
    `declared_in` is the file that declares the study where it was given by that, as it was given: relative to the
    folder in which the command ran, or absolute.
    """

    study: Name
    declared_in: str | None = None
    setting: SettingName
    profile: Name
    protocol: str | None = None
    overrides: dict[str, Any] = Field(default_factory=dict)
    data_name: str
    seeds: Seeds
    variants: tuple[PlannedVariant, ...] = Field(max_length=MOST_VARIANTS)
    retuned: Retuned | None = None
    registered: dict[str, str] = Field(default_factory=dict)
    looks: tuple[Look, ...] = ()
    searched: tuple[Searched, ...] = ()

    @model_validator(mode="after")
    def _check_jobs(self) -> Plan:
        jobs = sum(len(self.seeds) if v.seeds is None else min(len(self.seeds), len(v.seeds)) for v in self.variants)
        if jobs > MOST_JOBS:
            raise ValueError(f"it has up to {jobs:,} jobs, and a plan may have {MOST_JOBS:,}")
        return self

    @property
    def asked_as(self) -> str:
        """What commands call the study: its file, or its name."""
        return self.declared_in or self.study

    @property
    def folder_of_study(self) -> Path | None:
        """The folder of the study's file, absolute, for modules that lie beside it; None where a name was enough."""
        return Path(self.declared_in).absolute().parent if self.declared_in else None

    def seeds_of(self, variant: PlannedVariant) -> tuple[int, ...]:
        """The plan's seeds that this variant is trained with."""
        if variant.seeds is None:
            return self.seeds
        drawn = set(variant.seeds)
        return tuple(seed for seed in self.seeds if seed in drawn)

    def jobs(self) -> list[tuple[PlannedVariant, int]]:
        """Every variant with each of its seeds, seeds innermost."""
        return [(variant, seed) for variant in self.variants for seed in self.seeds_of(variant)]

    @property
    def listed(self) -> tuple[PlannedVariant, ...]:
        """The variants that people are told of one by one: those of all seeds; all where there are none such."""
        return tuple(variant for variant in self.variants if variant.seeds is None) or self.variants

    @property
    def drawn(self) -> tuple[PlannedVariant, ...]:
        """The others: a design draws dozens of them for each seed, and only its estimate from all of them tells."""
        listed = {variant.name for variant in self.listed}
        return tuple(variant for variant in self.variants if variant.name not in listed)

    @property
    def drawn_words(self) -> str:
        """What the drawn variants are called together: "screening, 72 variants"."""
        designs = dict.fromkeys(design for variant in self.drawn for design in variant.designs)
        return f"{', '.join(designs)}, {len(self.drawn)} variant{'s' * (len(self.drawn) != 1)}"

    def variant(self, name: str) -> PlannedVariant | None:
        """The variant of that name or alias, None where the plan has none."""
        return next((v for v in self.variants if name == v.name or name in v.aliases), None)


def parse_override(text: str) -> tuple[str, Any]:
    """`path=value`, the value read as JSON where it is JSON and as a word elsewhere. Raises InputError."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise InputError(f"'{text}' is no override: write path=value, as in iterations=200")
    if (meant := WRITTEN_OTHERWISE.get(value)) is not None:
        raise InputError(f"{text}: write {path}={meant}")
    try:
        return path, json.loads(value)
    except (ValueError, RecursionError):
        # JSON knows neither .5 nor 5. nor +5.
        return path, _number(value) if NUMBER.fullmatch(value) else value


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


WRITTEN_OTHERWISE = {"None": "null", "True": "true", "False": "false"}
"""Python's words, and JSON's for them."""

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def override(path: str, value: Any) -> str:
    """An override as `parse_override` takes it back, whatever its value is."""
    return f"{path}={as_typed(value)}"


def as_typed(value: Any) -> str:
    """A value as an override writes it: a word that stays one, or JSON."""
    if isinstance(value, str):
        with suppress(InputError):
            if parse_override(f"x={value}") == ("x", value):
                return value
    return json.dumps(value, ensure_ascii=False)


def overridden(config: AnyConfig, overrides: Mapping[str, Any]) -> AnyConfig:
    """`config` with the overrides it has a place for. A word at a union's path selects that member with its defaults.

    A node is put in before what is inside it, whichever was named first. Raises InputError for a value that the schema
    refuses.
    """
    data, _ = _applied(config.model_dump(mode="json"), overrides)
    try:
        return parse(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{place_of(first['loc'])}: " if len(first["loc"]) > 1 else ""
        said = first["msg"].removeprefix("Value error, ")
        raise InputError(f"override of {', '.join(overrides)} refused: {where}{said}") from None


def _applied(data: dict[str, Any], overrides: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Plain data with the overrides it has a place for, and the paths of these."""
    taken: list[str] = []
    if not overrides:
        return data, taken
    known = places(Reconstruction if data["task"] == "reconstruction" else Config)
    for path, value in sorted(overrides.items(), key=lambda item: item[0].count(".")):
        if not patch.has(data, path):
            continue
        fits = next((place for place in known.get(path, ()) if place.refusal(value) is None), None)
        data = patch.replaced(data, path, value if fits is None else fits.whole(value))
        taken.append(path)
    return data, taken


def metrics_of(protocol: str | None, config: AnyConfig) -> dict[str, GanMetric]:
    """What the protocol of that name puts into a config, by path: nothing where it is None."""
    if protocol is None or not isinstance(config, Config):
        return {}
    named = PROTOCOLS[protocol]
    found = {"evaluation.metric": _shipped(named.metric)}
    if config.evaluation.upsampling is not None:
        found["evaluation.upsampling.metric"] = _shipped(named.upsampling)
    return found


def _shipped(metric: GanMetric) -> GanMetric:
    """With the sha256 of the shipped weights, so that a retrained network never shares a run's identity."""
    if not isinstance(metric, RoomsFrechet):
        return metric
    return metric.replace(extractor=extractor_sha256(metric.resolution))


def measured_by(config: AnyConfig, protocol: str | None) -> AnyConfig:
    """`config` measured by the protocol of that name, enlarged images too where it measures such; None: as it is."""
    return edited(config, metrics_of(protocol, config))


def check_protocol(study: Study, configs: Iterable[AnyConfig], protocol: str, overrides: Mapping[str, Any]) -> None:
    """Raises InputError for a protocol that there is not, that does not fit the study, or that an override undoes."""
    if protocol not in PROTOCOLS:
        raise nearest("protocol", protocol, list(PROTOCOLS))
    paths = dict.fromkeys(path for config in configs for path in metrics_of(protocol, config))
    if not paths:
        raise InputError(f"--protocol {protocol} is of generated images, {study.name} fits given ones: leave it out")
    for override in overrides:
        for path in paths:
            if patch.overlap(override, path):
                raise InputError(f"--protocol {protocol} sets {path}: leave out the override {override}, or --protocol")


def nearest(kind: str, name: str, names: Sequence[str]) -> InputError:
    """The error for a name that is not among `names`, with the one that was probably meant."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(names)}"
    return InputError(f"there is no {kind} '{name}': {hint}")


def check_overrides(study: Study, configs: Iterable[AnyConfig], overrides: Mapping[str, Any]) -> None:
    """Raises InputError for a path or a value that the schema has not, for a path that no variant has, and for one that
    would overwrite what a change varies or a search seeks."""
    if not overrides:
        return
    known = places(type(study.base))
    sought = [(parameter.path, search.name) for search in study.searches for parameter in search.parameters]
    for path, value in overrides.items():
        for where, search in sought:
            if patch.overlap(path, where):
                raise InputError(f"{where} is what the search '{search}' seeks: it can't be overridden for all")
        for change in study.changes:
            for edit in change.edits:
                if path in (edit.path, f"{edit.path}.kind") or edit.path.startswith(f"{path}."):
                    raise InputError(
                        f"{path} is what the change '{change.name}' varies: it can't be overridden for all"
                    )
        _check_against_schema(path, value, known)
    plain = [config.model_dump(mode="json") for config in configs]
    taken: set[str] = set()
    for data in plain:
        taken.update(_applied(data, overrides)[1])
    for path in overrides:
        if path not in taken:
            raise InputError(f"override {path}: no variant has it, {_why_missing(path, known, plain)}")


def _check_against_schema(path: str, value: Any, known: Mapping[str, Sequence[PathOf]]) -> None:
    if path.endswith(".kind") and path.removesuffix(".kind") in known:
        path = path.removesuffix(".kind")
    if path not in known:
        above = next((part for part in _parents(path) if part in known), None)
        if above is not None and any(place.is_open for place in known[above]):
            return
        if (hint := suggestion(path, list(known))) == "" and above is not None:
            inside = [
                name for name in known if name.startswith(f"{above}.") and name.count(".") == above.count(".") + 1
            ]
            hint = f"{above} has {', '.join(inside)}" if inside else f"{above} takes {known[above][0].expects}"
        raise InputError(f"override {path}: no config has this path, {hint or '--show-config lists them all'}")
    refusals = [place.refusal(value) for place in known[path]]
    if None not in refusals:
        raise InputError(f"override {path}: {refusals[0]}")


def _parents(path: str) -> list[str]:
    """The paths around one, the nearest first."""
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)]


def _why_missing(path: str, known: Mapping[str, Sequence[PathOf]], plain: Sequence[Mapping[str, Any]]) -> str:
    """Which part of the config would have to be there for this path, and how to bring it about."""
    off = next(
        (p for p in reversed(_parents(path)) if any(patch.has(d, p) and patch.lookup(d, p) is None for d in plain)),
        None,
    )
    if off is not None:
        return f"for {off} is off: {off}={{}} switches it on"
    if path not in known:
        above = next(part for part in _parents(path) if part in known)
        return f"{above} has no such key"
    needed = dict(pair for place in known[path] for pair in place.within[-1:])
    kinds = [f"{where}={kind}" for place in known[path] for where, kind in place.within[-1:]]
    return f"it is of {' or '.join(dict.fromkeys(kinds))}" if needed else "it is of another member of a union"


def setting_name(profile: Profile, overrides: Mapping[str, Any], data: Data | None, protocol: str | None = None) -> str:
    """`cpu`, or `cpu-1f2e3d4c` where data or overrides differ from the profile's own. Images count by content.

    A protocol is named in it: `cpu-deck-2020`, `cpu-deck-2020-1f2e3d4c`.
    """
    begins = profile.name if protocol is None else f"{profile.name}-{protocol}"
    if not overrides and data is None:
        return begins
    told = json.dumps([dict(overrides), canonical(data)], sort_keys=True)
    return f"{begins}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def make_plan(
    study: Study,
    profile: Profile,
    *,
    designs: Sequence[DesignName],
    seeds: Sequence[int],
    overrides: Mapping[str, Any] | None = None,
    data: Data | None = None,
    data_name: str | None = None,
    protocol: str | None = None,
    declared_in: str | None = None,
) -> Plan:
    """Folds, scales and overrides every variant of the designs and of the claims; equal configs become one variant.

    `data` replaces the profile's data (at its resolution), `data_name` is what people call it. `protocol` replaces what
    every variant is measured by, `declared_in` is the study's file. Raises InputError for overrides and a protocol that
    do not fit.
    """
    overrides = dict(overrides or {})
    if len(seeds) > MOST_SEEDS:
        raise InputError(f"{len(seeds):,} seeds are too many: a plan may have {MOST_SEEDS:,}")
    configs: dict[Subset, AnyConfig] = {}
    places: dict[Subset, dict[DesignName, int]] = {}
    trained: dict[Subset, tuple[int, ...] | None] = {}
    for design in designs:
        for place, (subset, with_seeds) in enumerate(DESIGNS[design](study, seeds).items()):
            if subset not in configs:
                configs[subset] = profile.scaled(study.folded(subset))
            places.setdefault(subset, {}).setdefault(design, place)
            trained[subset] = both_seeds(trained.get(subset, ()), with_seeds)
    for claim in study.claims:
        for name in claim.variants:
            subset = subset_named(study, name)
            configs.setdefault(subset, profile.scaled(study.folded(subset)))
            places.setdefault(subset, {})
            trained[subset] = None
    if data is not None:
        configs = {
            subset: overridden(config, {"data": data.model_dump(mode="json")}) for subset, config in configs.items()
        }
    check_overrides(study, configs.values(), overrides)
    # What changes nothing is no setting of its own: its runs are those that are there.
    for path in list(overrides):
        rest = {other: value for other, value in overrides.items() if other != path}
        if all(overridden(config, rest) == overridden(config, overrides) for config in configs.values()):
            overrides = rest
    if protocol is not None:
        check_protocol(study, configs.values(), protocol, overrides)
        configs = {subset: measured_by(config, protocol) for subset, config in configs.items()}
    if not configs:
        raise InputError(f"the study {study.name} trains nothing: it has neither designs nor claims")
    variants: dict[str, PlannedVariant] = {}
    for subset, config in configs.items():
        final = overridden(config, overrides)
        name = variant_name(study, subset)
        key = Job(config=final, seed=0).digest
        twin = variants.get(key)
        variants[key] = PlannedVariant(
            name=twin.name if twin else name,
            aliases=(*twin.aliases, name) if twin else (),
            title=twin.title if twin else variant_title(study, subset),
            changes=twin.changes if twin else subset,
            designs={**places[subset], **(twin.designs if twin else {})},
            seeds=both_seeds(twin.seeds if twin else (), trained[subset]),
            config=final,
        )
    return _sized(
        study=study.name,
        declared_in=declared_in,
        setting=setting_name(profile, overrides, data, protocol),
        profile=profile.name,
        protocol=protocol,
        overrides=overrides,
        data_name=data_name or "embedded rooms",
        seeds=tuple(seeds),
        variants=tuple(variants.values()),
        registered=study.declaration(profile.name),
    )


def _sized(**fields: Any) -> Plan:
    """The plan of these fields, which are sound. Raises InputError for one of more jobs than a plan may have."""
    try:
        return Plan(**fields)
    except ValidationError as error:
        raise InputError(f"the plan is too large ({what_is_wrong(error)}): ask for fewer seeds or designs") from None


def distinct(variants: Iterable[PlannedVariant]) -> tuple[PlannedVariant, ...]:
    """The variants with equal configs as one: the first one, with the others' names and places in designs."""
    found: dict[str, PlannedVariant] = {}
    for variant in variants:
        key = variant.job(0).digest
        if (twin := found.get(key)) is not None:
            joined = {
                "aliases": (*twin.aliases, variant.name, *variant.aliases),
                "designs": {**variant.designs, **twin.designs},
                "seeds": both_seeds(twin.seeds, variant.seeds),
            }
            found[key] = twin.replace(**joined)
        else:
            found[key] = variant
    return tuple(found.values())


def with_searched(plan: Plan, study: Study, chosen: Sequence[Searched]) -> Plan:
    """`plan` with the configs that searches over its baseline chose, each a variant of its own, or a further name.

    Raises KeyError for a plan without the baseline.
    """
    baseline = plan.variant("baseline")
    if baseline is None:
        raise KeyError(f"the plan of {plan.study} has no baseline to search around")
    variants = {variant.job(0).digest: variant for variant in plan.variants}
    searches = {search.name: search for search in study.searches}
    for choice in chosen:
        search = searches[choice.search]
        config = search.applied(baseline.config, choice.values)
        key = Job(config=config, seed=0).digest
        if (twin := variants.get(key)) is not None:
            variants[key] = twin.replace(aliases=(*twin.aliases, choice.variant), seeds=None)
        else:
            title = searched_title(choice, search)
            variants[key] = PlannedVariant(name=choice.variant, title=title, changes=(), config=config)
    return plan.replace(variants=tuple(variants.values()), searched=tuple(chosen))


def both_seeds(one: tuple[int, ...] | None, other: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """What one variant is trained with that is asked for twice: all seeds (None) where one asks for all."""
    return None if one is None or other is None else tuple(sorted({*one, *other}))


def searched_title(choice: Searched, search: Search) -> str:
    """What the config that a search chose is called, for people."""
    return f"best of {choice.trials} trials, {search.title}"


def of_found(plan: Plan, study: Study, file: str | None) -> Plan:
    """`plan` as the study that somebody typed has it: with the titles that `study` gives its variants now, for a plan
    on record has those of its day, and declared in the `file` that was typed. What a plan that was received names is
    shown to nobody as something to type."""
    known = {change.name for change in study.changes}
    searched = {choice.variant for choice in plan.searched}
    variants = (
        variant.replace(title=variant_title(study, variant.changes))
        if variant.name not in searched and known.issuperset(variant.changes)
        else variant
        for variant in plan.variants
    )
    return plan.replace(variants=tuple(variants), declared_in=file)


def _both_retuned(old: Retuned | None, new: Retuned | None) -> Retuned | None:
    """The chosen rates of the variants of both; the names that both have go to the new one."""
    if old is None or new is None:
        return new
    if old.pairs != new.pairs:
        raise InputError(
            f"the recorded plan was tuned at other pairs of learning rates than these {new.trials}: move its file away"
        )
    return new.replace(rates={**old.rates, **new.rates})


def merged(old: Plan, new: Plan) -> Plan:
    """Both plans of one setting as one: all seeds in order, all variants with all their names and designs.

    Equal configs stay one variant when designs that name them differently are joined. A name whose config has changed
    since goes to the new one, with the seeds that the old one had.
    """
    variants = {variant.job(0).digest: variant for variant in old.variants}
    for variant in new.variants:
        names = {variant.name, *variant.aliases}
        key = variant.job(0).digest
        known = variants.get(key, variant)
        seeds = both_seeds(known.seeds, variant.seeds)
        for replaced in variants.values():
            seeds = both_seeds(replaced.seeds, seeds) if replaced.name in names else seeds
        variants = {
            other: v.replace(aliases=tuple(a for a in v.aliases if a not in names))
            for other, v in variants.items()
            if other == key or v.name not in names
        }
        primary = variant if variant.name == known.name else known
        aliases = dict.fromkeys((*known.aliases, variant.name, *variant.aliases))
        variants[key] = PlannedVariant(
            **{
                **dict(primary),
                "aliases": tuple(alias for alias in aliases if alias != primary.name),
                "designs": {**known.designs, **variant.designs},
                "seeds": seeds,
            }
        )
    return _sized(
        **{
            **dict(new),
            "variants": tuple(variants.values()),
            "seeds": tuple(sorted({*old.seeds, *new.seeds})),
            "registered": old.registered,
            "looks": old.looks,
            "retuned": _both_retuned(old.retuned, new.retuned),
            "searched": new.searched or old.searched,
        }
    )


def plan_folder(runs: Path, study: str) -> Path:
    """Where the plans of a study are kept."""
    return runs / "plans" / study


def plans_lock(runs: Path) -> Path:
    """What whoever writes plans, or what is kept beside them, holds locked."""
    return runs / "plans" / ".lock"


def plan_file(runs: Path, study: str, setting: str) -> Path:
    """Where the plan of a setting is kept."""
    return plan_folder(runs, study) / f"{setting}.json"


def settings_of(runs: Path, study: str) -> list[str]:
    """The settings of a study that have a recorded plan. Raises NotADirectoryError where a file is in their place."""
    try:
        return sorted(file.stem for file in plan_folder(runs, study).iterdir() if file.suffix == ".json")
    except FileNotFoundError:
        return []


VERDICTS = "verdicts.json"
"""In a report's folder: what it found, written when everything else is there."""


def report_folder(runs: Path, study: str, setting: str) -> Path:
    """Where the report of a setting is written."""
    return runs / "reports" / study / setting


def read_plan(file: Path) -> Plan:
    """The plan in `file`. Raises InputError when it was written for another schema, or for another place than this."""
    plan = model_of(file, Plan, "it is no plan of this version, move it away")
    if (plan.study, plan.setting) != (file.parent.name, file.stem):
        whose = f"{plan.study} in the setting {plan.setting}"
        raise InputError(f"{file} is the plan of {whose}, and lies in another one's place: move it away")
    return plan


def record_plan(runs: Path, plan: Plan) -> Plan:
    """Joins `plan` to what its setting has, writes the whole, and returns it. Raises as `joined`."""
    file, whole = plan_file(runs, plan.study, plan.setting), joined(runs, plan)
    make_folder(file.parent)
    write_whole(file, (whole.model_dump_json(indent=1) + "\n").encode())
    return whole


def joined(runs: Path, plan: Plan) -> Plan:
    """`plan` and what its setting has on record as one. Writes nothing.

    The declaration, the seeds and the designs that are registered stay those before the setting's first run; what is
    asked for later is a further look. Raises InputError where the plan on record cannot be read, or does not go
    together with this one, and where a study in another file, which is still there, has the name.
    """
    file = plan_file(runs, plan.study, plan.setting)
    whole = plan
    if file.exists():
        old = read_plan(file)
        _check_same_file(old, plan)
        whole = merged(old, plan)
        first = old.looks[0] if old.looks else None
        seen = len(begun(old, runs))
        if seen <= (first.begun if first else 0):
            # Nothing has been trained yet: what is declared now is still declared before the first run.
            whole = whole.replace(registered=plan.registered, looks=(_look(whole, runs),))
        elif first is not None:
            whole = whole.replace(looks=(*old.looks, *_further(old.looks, plan, whole, seen)))
    else:
        whole = plan.replace(looks=(_look(plan, runs),))
    return whole


def begun(plan: Plan, runs: Path) -> list[str]:
    """The digests of a plan's runs that have begun: their folders are there, and what they measured can be seen."""
    digests = (variant.job(seed).digest for variant, seed in plan.jobs())
    return [digest for digest in digests if (jobs_root(runs) / digest).exists()]


def _look(plan: Plan, runs: Path) -> Look:
    """All that a plan asks for, as one look."""
    seen = begun(plan, runs)
    return Look(
        seeds=plan.seeds, designs=designs_in(plan), begun=len(seen), runs=len(plan.jobs()), seen=tuple(sorted(seen))
    )


def _further(looks: Sequence[Look], asked: Plan, whole: Plan, seen: int) -> tuple[Look, ...]:
    """What `asked` adds to these looks; nothing where they have all of it."""
    seeds = [seed for seed in asked.seeds if not any(seed in look.seeds for look in looks)]
    designs = [design for design in designs_in(asked) if not any(design in look.designs for look in looks)]
    if not seeds and not designs:
        return ()
    return (Look(seeds=tuple(seeds), designs=tuple(designs), begun=seen, runs=len(whole.jobs())),)


def designs_in(plan: Plan) -> tuple[DesignName, ...]:
    """The designs that some variant of the plan is in, in the order of `ablations.designs.DESIGNS`."""
    there = {design for variant in plan.variants for design in variant.designs}
    return tuple(design for design in DESIGNS if design in there)


def _check_same_file(old: Plan, new: Plan) -> None:
    if old.declared_in is None or new.declared_in is None:
        return
    before, now = Path(old.declared_in), Path(new.declared_in)
    if before.is_file() and not before.samefile(now):
        raise InputError(f"{before} declares a study '{new.study}', too, and has runs here: rename that in {now}")


def jobs_root(runs: Path) -> Path:
    """Where the run folders of all studies are, each named by its digest."""
    return runs / "jobs"


def journal_file(runs: Path, study: str, searched: str | None = None) -> Path:
    """Where the queue of a study is kept that is in files, or the trials of its searches in a setting."""
    return runs / "queue" / (f"{study}.journal" if searched is None else f"{study}.{searched}.search.journal")


def check_queue_folder(runs: Path) -> Path:
    """The folder of queues, orders and workers' logs. Raises InputError where a link in it leads out of `runs`."""
    # Versions before this one left links that were Optuna's locks, and lead to where the runs were: nobody opens them.
    return check_tree(runs, runs / "queue", unused="*.journal.lock")


def check_received(runs: Path, *plans: Plan) -> None:
    """Raises InputError where a link leads out of `runs` from anything that is read or written for these plans.

    Asked once by every command: a folder of runs may be somebody else's.
    """
    # The cache is read and written by training alone, and may well be on another disk.
    for name in ("jobs", "reports"):
        check_inside(runs, runs / name)
    check_queue_folder(runs)
    for name in ("plans", "sweeps", "calibration.json", "mlflow-synced.json"):
        check_tree(runs, runs / name)
    for plan in plans:
        check_tree(runs, report_folder(runs, plan.study, plan.setting))
        for variant, seed in plan.jobs():
            check_tree(runs, jobs_root(runs) / variant.job(seed).digest)
