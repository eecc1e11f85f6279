"""From the options of a command to the plan they mean: profile, designs, seeds, data, and the variants wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from ablations.designs import DESIGNS, available, variant_name
from ablations.schema import DesignName, Profile, Study
from core.arguments import MOST_SEED
from core.config import Images
from core.errors import InputError, unknown
from studies import catalogue
from studies.catalogue import Entry
from studies.options import Asked
from studies.overrides import overridden, parse_override
from studies.plan import Plan
from studies.planning import make_plan, protocol_of_images

MOST_SEEDS = 10_000
"""More than anybody trains."""


def entry_of(asked: Asked) -> Entry:
    """The study that a command is about. Raises InputError."""
    if asked.study is None:
        raise InputError("name a study: --list shows them, and --study FILE runs one of yours")
    return catalogue.find(asked.study, asked.runs)


def plan_of(study: Study, asked: Asked, gpus: tuple[str, ...], *, declared_in: str | None = None) -> Plan:
    """The plan of `study` that the options mean on a machine with these GPUs. Raises InputError.

    `declared_in` is the file of a study that is the user's.
    """
    overrides = _parsed(asked.overrides)
    profile = _profile(study, asked, gpus)
    wanted = asked.wanted
    seeds = _seeds(asked.seeds, profile.seeds)
    by_name = bool(wanted) and asked.designs is None
    designs = _designs_with(study, wanted, seeds) if by_name else designs_of(asked.designs, study)
    # Last: to describe a set that is not prepared takes as long as to read all of its images.
    data, data_name = _images(study, profile, overrides, asked.data_path) if asked.data_path else (None, None)
    found = None if data is None else protocol_of_images(study, profile, overrides)
    plan = make_plan(
        study,
        profile,
        designs=designs,
        seeds=seeds,
        overrides=overrides,
        data=data,
        data_name=data_name,
        protocol=asked.protocol or found,
        declared_in=declared_in,
        controls=asked.controls,
    )
    return _restricted(study, plan, wanted)


def _parsed(overrides: Sequence[str]) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for text in overrides:
        path, value = parse_override(text)
        if path in parsed:
            raise InputError(f"{path} is overridden twice")
        parsed[path] = value
    return parsed


def _profile(study: Study, asked: Asked, gpus: tuple[str, ...]) -> Profile:
    names = [profile.name for profile in study.profiles]
    wished = asked.profile or ("lsun64" if gpus and asked.data_path and "lsun64" in names else "cpu")
    if wished not in names:
        raise InputError(f"there is no profile '{wished}': {study.name} has {', '.join(names)}")
    return study.profile(wished)


def _designs_with(study: Study, names: Sequence[str], seeds: Sequence[int]) -> list[DesignName]:
    """The first designs that together have these variants, or as many of them as any has."""
    chosen: list[DesignName] = []
    missing = set(names)
    for design in available(study):
        mine = {variant_name(study, subset) for subset in DESIGNS[design](study, seeds)} if missing else set()
        if missing & mine:
            chosen.append(design)
            missing -= mine
    return chosen or list(study.designs)


def designs_of(text: str | None, study: Study) -> list[DesignName]:
    """The designs that `--design` names, the study's own where it is None. Raises InputError."""
    if text is None:
        return list(study.designs)
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if names == ["all"]:
        return available(study)
    if "all" in names:
        raise InputError(f"--design {text}: 'all' stands alone, for it is every design: leave out the others")
    for name in names:
        if name not in DESIGNS:
            raise unknown("design", name, [*DESIGNS, "all"])
        if name not in available(study):
            raise InputError(f"--design {name}: {study.name} has {', '.join(available(study))}")
    if not names:
        raise InputError("--design names no design")
    return cast(list[DesignName], names)


def _seeds(text: str | None, default: int) -> list[int]:
    if text is None:
        return list(range(default))
    parts = [part.strip() for part in text.split(",")]
    numbers = [part for part in parts if part]
    if not numbers or not all(part.isascii() and part.isdigit() for part in numbers):
        raise InputError(f"--seeds {text}: give a number of seeds, or a comma list such as 0,1,2")
    if (largest := max(map(int, numbers))) >= (MOST_SEED if len(parts) > 1 else MOST_SEEDS):
        raise InputError(f"--seeds {text}: {largest} is too large")
    if len(parts) > 1:
        return sorted({int(part) for part in numbers})
    if int(text) < 1:
        raise InputError("--seeds 0: a study needs at least one seed ('0,' is the seed 0)")
    return list(range(int(text)))


def _images(study: Study, profile: Profile, overrides: dict[str, Any], path: Path) -> tuple[Images, str]:
    """The images at `path` and what they are called.

    Their resolution is that of the profile and the overrides; images that are not prepared get the profile's filter.
    """
    if not path.exists():
        raise InputError(f"--data {path}: there is no such file or folder")
    from core.data.prepare import described, named  # Loads numpy and Pillow.

    own = {"data.resolution": overrides["data.resolution"]} if "data.resolution" in overrides else {}
    resolution = overridden(profile.scaled(study.base), own).data.resolution
    return described(path, resolution, profile.resampling), named(path)


def _restricted(study: Study, plan: Plan, only: Sequence[str]) -> Plan:
    if not only:
        return plan
    kept = set()
    for name in only:
        variant = plan.variant(name)
        if variant is None:
            if (search := next((search for search in study.searches if search.variant == name), None)) is not None:
                raise InputError(f"'{name}' is what the search {search.name} chooses: run {study.name} without --only")
            for design in available(study):
                if name in (variant_name(study, subset) for subset in DESIGNS[design](study, plan.seeds)):
                    raise InputError(f"the variant '{name}' is one of another design: add --design {design}")
            raise unknown("variant", name, [v for planned in plan.variants for v in (planned.name, *planned.aliases)])
        kept.add(variant.name)
    return plan.replace(variants=tuple(v for v in plan.variants if v.name in kept))
