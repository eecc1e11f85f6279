"""The commands a report tells its reader to type."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ablations.designs import DESIGNS, variant_name
from ablations.schema import DesignName
from reports.results import Results
from studies.overrides import override
from studies.plan import PlannedVariant


def train_command(
    results: Results,
    designs: Sequence[DesignName] = (),
    only: Sequence[str] = (),
    *,
    seeds: Sequence[int] | None = None,
    as_published: bool = False,
) -> str:
    """Trains these designs (or variants) of the report's study in the report's setting.

    `seeds` are those of the plan where nothing else is said. `as_published` leaves out that learning rates were tuned
    again.
    """
    plan = results.plan
    seeds = plan.seeds if seeds is None else seeds
    words = ["python", "-m", "studies.run", plan.asked_as, "--profile", plan.profile]
    if plan.protocol is not None:
        words += ["--protocol", plan.protocol]
    if designs:
        words += ["--design", ",".join(designs)]
    if only:
        words += ["--only", ",".join(only)]
    # A comma after a single seed says that it is one, not a number of seeds.
    words += ["--seeds", ",".join(str(seed) for seed in seeds) + ("," if len(seeds) == 1 else "")]
    if {control.name for control in results.study.controls} & {variant.name for variant in plan.variants}:
        words.append("--controls")
    if plan.retuned is not None and not as_published:
        words += ["--retune", str(plan.retuned.trials)]
    if plan.variants and plan.variants[0].config.data.kind == "images":
        words += ["--data", f"<{plan.data_name}>"]
    words += [override(path, value) for path, value in plan.overrides.items()]
    budgets = {search.name: search.trials for search in results.study.searches}
    trials = {choice.trials for choice in plan.searched if choice.trials != budgets.get(choice.search)}
    if trials:
        words += ["--trials", str(max(trials))]
    return wrapped(words)


def render_command(results: Results) -> str:
    """Writes the report again."""
    return wrapped(["python", "-m", "reports.render", results.plan.asked_as, "--setting", results.plan.setting])


def ui_command(results: Results) -> str:
    """Opens the report's experiment in MLflow."""
    return wrapped(["python", "-m", "studies.ui", results.plan.asked_as, "--setting", results.plan.setting])


def wrapped(words: Sequence[str]) -> str:
    """A command over as many lines as it needs, each but the last ended by a backslash."""
    lines = [""]
    for word in (shlex.quote(word) for word in words):
        if lines[-1] and len(lines[-1]) + len(word) > 96:
            lines.append("   ")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return " \\\n".join(lines)


def planned_designs(results: Results) -> list[DesignName]:
    """The designs that some planned variant was asked for by."""
    planned = {design for variant in results.plan.variants for design in variant.designs}
    return [design for design in DESIGNS if design in planned]


def reproduce_commands(results: Results) -> list[str]:
    """The commands that train the whole plan and write its report: designs that are complete, then those that are with
    some seeds, then single variants of others."""
    study, plan = results.study, results.plan
    complete = {design: results.seeds_with(design) for design in planned_designs(results)}
    whole = [design for design, seeds in complete.items() if seeds == plan.seeds]
    commands = [train_command(results, whole)] if whole else []
    partly = {d: seeds for d, seeds in complete.items() if seeds and seeds != plan.seeds}
    commands += [train_command(results, [design], seeds=seeds) for design, seeds in partly.items()]
    covered: set[tuple[str, int]] = set()
    for design, seeds in complete.items():
        for subset, own in DESIGNS[design](study, seeds).items():
            variant = results.variant(variant_name(study, subset)) if seeds else None
            covered |= {(variant.name, seed) for seed in own or seeds} if variant else set()
    # What searches choose comes with them, whenever the study is run.
    chosen = {variant.name for choice in plan.searched if (variant := results.variant(choice.variant))}
    rest: dict[tuple[int, ...], list[PlannedVariant]] = {}
    for variant in plan.variants:
        seeds = tuple(seed for seed in plan.seeds_of(variant) if (variant.name, seed) not in covered)
        if seeds and variant.name not in chosen:
            rest.setdefault(seeds, []).append(variant)
    for seeds, variants in rest.items():
        wanted = [d for d in complete if any(d in variant.designs for variant in variants)]
        commands.append(train_command(results, wanted, only=[variant.name for variant in variants], seeds=seeds))
    return [*commands, render_command(results)]
