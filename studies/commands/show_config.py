"""`--show-config`: every value of a variant's config by its path, beside that before the profile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.text import Text

from ablations import patch
from ablations.beside_deck import by_path, differing
from ablations.schema import Study
from ablations.sources import Standing, slides_of, standing
from core.command_line import DONE
from core.errors import InputError
from studies.options import FIRST_VARIANT, Asked
from studies.overrides import as_typed
from studies.plan import Plan, PlannedVariant
from studies.runner.resources import accelerators
from studies.screen import print_json, screen
from studies.selection import entry_of, plan_of

WHOSE: dict[Standing, str] = {"deck": "deck", "public": "public code", "ours": "before the profile"}
"""Who has the value that stands behind a #."""


def _deck_and_here(study: Study, variant: PlannedVariant) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variant's config as plain data, before any profile and as it is trained here."""
    return study.folded(variant.changes).model_dump(mode="json"), variant.config.model_dump(mode="json")


def run(asked: Asked) -> int:
    """Shows the config; returns the exit code. Raises InputError."""
    entry, name = entry_of(asked), asked.shown_config or FIRST_VARIANT
    if asked.only:
        raise InputError(f"--show-config shows one variant, {name}: leave out --only")
    # The studies that train one variant alone have no baseline by that name.
    wanted = () if name == FIRST_VARIANT else (name,)
    plan = plan_of(entry.study, replace(asked, only=wanted), accelerators(), declared_in=entry.file)
    variant = plan.variant(name) or plan.variants[0]
    if asked.as_json:
        print_json(config_document(entry.study, plan, variant))
    else:
        print_config(entry.study, plan, variant, screen())
    return DONE


def print_config(study: Study, plan: Plan, variant: PlannedVariant, console: Console) -> None:
    """One line a value; behind a # what the variant has before the profile, where that differs, and whose it is."""
    title = f"# {study.name}, setting {plan.setting}, {variant.name}: {variant.title}"
    console.print(Text(title, "bold"), soft_wrap=True)
    unscaled, trained = _deck_and_here(study, variant)
    deck, here, slides = by_path(unscaled), by_path(trained), slides_of(study)
    others = differing(deck, here)
    lines = {path: as_typed(value) for path, value in here.items()}
    wide = max(len(f"{path} = {value}") for path, value in lines.items() if len(value) < 32)
    for path, value in lines.items():
        text = Text.assemble((path, "cyan"), " = ", value)
        if path in others:
            text.stylize("bold", 0, len(path))
            text.append(" " * max(0, wide - len(text)))
            before = as_typed(deck[path]) if path in deck else "none"
            kind = f"{path}.kind" if patch.has(unscaled, f"{path}.kind") else path
            whose = standing(unscaled, kind, deck[path], slides) if path in deck else "ours"
            text.append(f"  # {WHOSE[whose]}: {before}", "yellow")
        console.print(text, soft_wrap=True, highlight=False)
    console.print(
        Text(f"# {len(others)} of {len(lines)} values differ from this variant's before the profile", "dim"),
        soft_wrap=True,
    )


def config_document(study: Study, plan: Plan, variant: PlannedVariant) -> dict[str, Any]:
    """The same as plain data (docs/command_line.md lists the keys)."""
    unscaled, trained = _deck_and_here(study, variant)
    here = by_path(trained)
    return {
        "study": study.name,
        "setting": plan.setting,
        "profile": plan.profile,
        "protocol": plan.protocol,
        "overrides": dict(plan.overrides),
        "variant": variant.name,
        "aliases": list(variant.aliases),
        "title": variant.title,
        "changes": list(variant.changes),
        "digests": {str(seed): variant.job(seed).digest for seed in plan.seeds_of(variant)},
        "config": trained,
        "differs": {
            path: {"deck": deck, "here": here[path]} for path, deck in differing(by_path(unscaled), here).items()
        },
    }
