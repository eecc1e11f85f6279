"""What completion offers of declarations: of the study on the line, and of the user's clusters.

Each function returns the words for one place of the line; `studies.completion` keeps those that begin as typed.
"""

from __future__ import annotations

from collections.abc import Iterable

import click

from ablations.designs import DESIGNS, available, variant_name
from ablations.paths import places
from ablations.schema import Study
from core.errors import InputError
from studies import catalogue
from studies.names import LAUNCHERS
from studies.runner.clusters import declared, launcher_file

COMBINING = ("screening", "shapley")
"""Designs whose variants are many and called after what they combine: nobody types those names."""


def profiles(ctx: click.Context, param: click.Parameter, incomplete: str) -> Iterable[str]:
    """The study's profiles."""
    study = _study(ctx)
    return [profile.name for profile in study.profiles] if study else ()


def launchers(ctx: click.Context, param: click.Parameter, incomplete: str) -> Iterable[str]:
    """The launchers of this machine and the clusters that the user has declared."""
    try:
        clusters = list(declared(launcher_file(ctx.params.get("launcher_file"))))
    except InputError:
        clusters = []
    return [*LAUNCHERS, *clusters]


def designs(ctx: click.Context, param: click.Parameter, incomplete: str) -> Iterable[str]:
    """The study's designs, behind the commas of a list too."""
    study = _study(ctx)
    return _in_list(incomplete, [*available(study), "all"] if study else ())


def variants(ctx: click.Context, param: click.Parameter, incomplete: str) -> Iterable[str]:
    """The variants of the study's designs and claims, behind the commas of a list too where there may be one."""
    study = _study(ctx)
    names = variants_of(study) if study else ()
    return _in_list(incomplete, names) if param.multiple else names


def variants_of(study: Study) -> Iterable[str]:
    """The variants that somebody may type."""
    named = [design for design in available(study) if design not in COMBINING]
    names = [variant_name(study, subset) for design in named for subset in DESIGNS[design](study, ())]
    return dict.fromkeys([*names, *(name for claim in study.claims for name in claim.variants)])


def overrides(ctx: click.Context, param: click.Parameter, incomplete: str) -> Iterable[str]:
    """Paths of the study's config, one level at a time, and behind the equals sign what may stand there."""
    study = _study(ctx)
    known = words_by_path(study) if study else {}
    path, equals, _ = incomplete.partition("=")
    if equals:
        return [f"{path}={word}" for word in known.get(path) or ()]
    depth = path.count(".")
    offered = []
    for name, words in known.items():
        if name.count(".") == depth:
            offered += [f"{name}="] if words is not None else []
            offered += [f"{name}."] if any(other.startswith(f"{name}.") for other in known) else []
    return offered


def words_by_path(study: Study) -> dict[str, list[str] | None]:
    """The words that may stand at each path; None where no word may: for a node, and for what a change varies."""
    varied = [edit.path for change in study.changes for edit in change.edits]
    words: dict[str, list[str] | None] = {}
    for path, there in places(type(study.base)).items():
        free = not any(other == path or other.startswith(f"{path}.") for other in varied)
        takes_value = free and any(place.takes_value for place in there)
        words[path] = list(dict.fromkeys(word for place in there for word in place.words)) if takes_value else None
    return words


def _study(ctx: click.Context) -> Study | None:
    """The study on the line where it is one of the deck's: completing runs nobody's file."""
    name = ctx.params.get("study_given") or ctx.params.get("study")
    return catalogue.study(name) if name in catalogue.NAMES else None


def _in_list(incomplete: str, names: Iterable[str]) -> list[str]:
    before, comma, _ = incomplete.rpartition(",")
    given = before.split(",")
    return [f"{before}{comma}{name}" for name in names if name not in given]
