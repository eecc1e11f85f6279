"""A plan: the variants and jobs that a study comes to in one setting (profile, data, overrides).

The plan of a setting is kept in `<runs>/plans/<study>/<setting>.json` and grows: designs and seeds asked for later join
those asked for before, so that a report always covers everything that the setting has.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from ablations.designs import DESIGNS, DRAWING, variant_title
from ablations.schema import DesignName, Study
from core.config import AnyConfig, Job, LearningRates, Node
from core.errors import InputError
from core.files import check_inside, check_tree, make_folder, write_whole
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


def is_drawn(variant: PlannedVariant) -> bool:
    """Whether only designs ask for a variant that draw others in every seed."""
    return variant.seeds is not None and bool(variant.designs) and set(variant.designs) <= DRAWING


class TunedRates(Node):
    """Every variant has the best of the same `trials` pairs of learning rates, tried with `seed`; `rates` are by its
    name."""

    trials: int
    seed: Seed
    pairs: tuple[LearningRates, ...] = ()
    rates: dict[VariantName, LearningRates]


class SearchChoice(Node):
    """What a search chose: the best of `trials` ended trials, its number among them, its values by config path."""

    search: Name
    variant: VariantName
    trials: int
    trial: int
    values: dict[str, float]


class Decide(Node):
    """Seeds are added until every comparison is decided: how many seeds each of the looks has, the last one the most.

    `margin` is the factor within which a change is negligible. Both are declared before the first run.
    """

    looks: tuple[Annotated[int, Field(ge=2, le=MOST_SEEDS)], ...] = Field(min_length=1)
    margin: float = Field(gt=1)

    @model_validator(mode="after")
    def _more_at_every_look(self) -> Decide:
        if any(later <= earlier for earlier, later in pairwise(self.looks)):
            raise ValueError(f"looks are at ever more seeds, not at {self.looks}")
        return self


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
    With `decide` the seeds of a variant are as many as its comparisons have needed so far.
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
    retuned: TunedRates | None = None
    registered: dict[str, str] = Field(default_factory=dict)
    looks: tuple[Look, ...] = ()
    decide: Decide | None = None
    searched: tuple[SearchChoice, ...] = ()

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
        """The variants that people are told of one by one: all but those that only designs ask for which draw others in
        every seed; all where there are none such."""
        return tuple(variant for variant in self.variants if not is_drawn(variant)) or self.variants

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


def sized(**fields: Any) -> Plan:
    """The plan of these fields, which are sound. Raises InputError for one of more jobs than a plan may have."""
    try:
        return Plan(**fields)
    except ValidationError as error:
        raise InputError(f"the plan is too large ({what_is_wrong(error)}): ask for fewer seeds or designs") from None


def both_seeds(one: tuple[int, ...] | None, other: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """What one variant is trained with that is asked for twice: all seeds (None) where one asks for all."""
    return None if one is None or other is None else tuple(sorted({*one, *other}))


def of_found(plan: Plan, study: Study, file: str | None) -> Plan:
    """`plan` as the study that somebody typed has it: with the titles that `study` gives its variants now, for a plan
    on record has those of its day, and declared in the `file` that was typed. What a plan that was received names is
    shown to nobody as something to type."""
    known = {change.name for change in study.changes}
    apart = {*(choice.variant for choice in plan.searched), *(control.name for control in study.controls)}
    variants = (
        variant.replace(title=variant_title(study, variant.changes))
        if variant.name not in apart and known.issuperset(variant.changes)
        else variant
        for variant in plan.variants
    )
    return plan.replace(variants=tuple(variants), declared_in=file)


def _both_retuned(old: TunedRates | None, new: TunedRates | None) -> TunedRates | None:
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
        variants[key] = primary.replace(
            aliases=tuple(alias for alias in aliases if alias != primary.name),
            designs={**known.designs, **variant.designs},
            seeds=seeds,
        )
    return sized(
        **{
            **dict(new),
            "variants": tuple(variants.values()),
            "seeds": tuple(sorted({*old.seeds, *new.seeds})),
            "registered": old.registered,
            "looks": old.looks,
            "decide": old.decide or new.decide,
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
        _check_looks(old, plan, begun(old, runs))
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


def _check_looks(old: Plan, new: Plan, begun_runs: Sequence[str]) -> None:
    """Raises InputError where looks would be declared after runs of the setting could be seen."""
    if new.decide is None or not begun_runs or new.decide == old.decide:
        return
    had = "a fixed number of seeds" if old.decide is None else f"{_looks_words(old.decide)}"
    raise InputError(
        f"the setting {old.setting} of {old.study} was registered with {had}, and now {_looks_words(new.decide)} are "
        "asked for: looks are declared before the first run, so name another folder with --runs, or ask as before"
    )


def _looks_words(decide: Decide) -> str:
    return f"looks at {', '.join(map(str, decide.looks))} seeds and a factor of {decide.margin:g}"


def begun(plan: Plan, runs: Path) -> list[str]:
    """The digests of a plan's runs that have begun: their folders are there, and what they measured can be seen."""
    digests = (variant.job(seed).digest for variant, seed in plan.jobs())
    return [digest for digest in digests if (jobs_root(runs) / digest).exists()]


def _look(plan: Plan, runs: Path) -> Look:
    """All that a plan asks for, as one look."""
    seen = begun(plan, runs)
    seeds = plan.seeds if plan.decide is None else tuple(range(plan.decide.looks[-1]))
    return Look(seeds=seeds, designs=designs_in(plan), begun=len(seen), runs=len(plan.jobs()), seen=tuple(sorted(seen)))


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
