"""The commands a report tells its reader to type."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from ablations.designs import DESIGNS, variant_name
from ablations.schema import DesignName
from reports.results import Results


def train_command(
    results: Results, designs: Sequence[DesignName] = (), only: Sequence[str] = (), *, as_published: bool = False
) -> str:
    """Trains these designs (or variants) of the report's study in the report's setting.

    `as_published` leaves out that learning rates were tuned again.
    """
    plan = results.plan
    words = ["python", "-m", "studies.run", plan.asked_as, "--profile", plan.profile]
    if plan.protocol is not None:
        words += ["--protocol", plan.protocol]
    if designs:
        words += ["--design", ",".join(designs)]
    if only:
        words += ["--only", ",".join(only)]
    # A comma after a single seed says that it is one, not a number of seeds.
    words += ["--seeds", ",".join(str(seed) for seed in plan.seeds) + ("," if len(plan.seeds) == 1 else "")]
    if plan.retuned is not None and not as_published:
        words += ["--retune", str(plan.retuned.trials)]
    if plan.variants and plan.variants[0].config.data.kind == "images":
        words += ["--data", f"<{plan.data_name}>"]
    words += [
        f"{path}={value if isinstance(value, str) else json.dumps(value)}" for path, value in plan.overrides.items()
    ]
    budgets = {search.name: search.trials for search in results.study.searches}
    asked = {choice.trials for choice in plan.searched if choice.trials != budgets.get(choice.search)}
    if asked:
        words += ["--trials", str(max(asked))]
    return wrapped(words)


def render_command(results: Results) -> str:
    """Writes the report again."""
    return wrapped(["python", "-m", "reports.render", results.plan.asked_as, "--setting", results.plan.setting])


def ui_command(results: Results) -> str:
    """Opens the report's experiment in MLflow."""
    return wrapped(["python", "-m", "studies.ui", results.plan.study, "--setting", results.plan.setting])


def wrapped(words: Sequence[str]) -> str:
    """A command over as many lines as it needs, each but the last ended by a backslash."""
    lines = [""]
    for word in (word if word.startswith("<") else shlex.quote(word) for word in words):
        if lines[-1] and len(lines[-1]) + len(word) > 96:
            lines.append("   ")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return " \\\n".join(lines)


def planned_designs(results: Results) -> list[DesignName]:
    """The designs that some planned variant was asked for by."""
    asked = {design for variant in results.plan.variants for design in variant.designs}
    return [design for design in DESIGNS if design in asked]


def reproduce_commands(results: Results) -> list[str]:
    """What trains the whole plan and writes its report: designs that are complete, then single variants of others."""
    study, seeds = results.study, results.plan.seeds
    names = {d: [variant_name(study, subset) for subset in DESIGNS[d](study, seeds)] for d in planned_designs(results)}
    whole = [d for d in names if all(results.variant(name) for name in names[d])]
    covered = {variant.name for d in whole for name in names[d] if (variant := results.variant(name))}
    # What searches choose comes with them, whenever the study is run.
    covered |= {variant.name for choice in results.plan.searched if (variant := results.variant(choice.variant))}
    rest = [variant for variant in results.plan.variants if variant.name not in covered]
    commands = [train_command(results, whole)] if whole else []
    if rest:
        wanted = [d for d in names if any(d in variant.designs for variant in rest)]
        commands.append(train_command(results, wanted, only=[variant.name for variant in rest]))
    return [*commands, render_command(results)]
