"""Makes plans: folds, scales and overrides the variants of designs and claims, and joins what searches chose."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ablations import patch
from ablations.designs import DESIGNS, Subset, subset_named, variant_name, variant_title
from ablations.protocols import DECK_2020, EMBEDDED, IMAGENET, PROTOCOLS
from ablations.schema import DesignName, Profile, Study, edited
from ablations.search import Search
from core.config import AnyConfig, Config, Data, GanMetric, Images, Pool, RoomsFrechet, Scenes, canonical
from core.errors import InputError, unknown
from core.metrics.identity import IMAGENET_INSTALL, extractor_sha256, imagenet_file, inception_here
from studies.overrides import check_overrides, overridden
from studies.plan import MOST_SEEDS, Plan, PlannedVariant, SearchChoice, both_seeds, sized


def metrics_of(protocol: str | None, config: AnyConfig) -> dict[str, GanMetric]:
    """What the protocol of that name puts into a config, by path: nothing where it is None."""
    if protocol is None or not isinstance(config, Config):
        return {}
    named = PROTOCOLS[protocol]
    metrics = {"evaluation.metric": _shipped(named.metric)}
    if config.evaluation.upsampling is not None:
        metrics["evaluation.upsampling.metric"] = _shipped(named.upsampling)
    return metrics


def _shipped(metric: GanMetric) -> GanMetric:
    """With the sha256 of the shipped weights, so that a retrained network never shares a run's identity."""
    if not isinstance(metric, RoomsFrechet):
        return metric
    return metric.replace(extractor=extractor_sha256(metric.resolution))


def measured_by(config: AnyConfig, protocol: str | None) -> AnyConfig:
    """`config` measured by the protocol of that name, enlarged images too where it measures such; None: as it is."""
    return edited(config, metrics_of(protocol, config))


def _knows_rooms(study: Study, profile: Profile) -> bool:
    """Whether the profile's own metric is over a network that was trained on rooms."""
    own = profile.scaled(study.base)
    return isinstance(own, Config) and isinstance(own.evaluation.metric, RoomsFrechet)


def protocol_of_images(study: Study, profile: Profile, overrides: Iterable[str]) -> str | None:
    """The protocol that real images are measured by where nobody names one; None: what the profile says.

    Where that knows rooms alone it is Inception's if its weights are here, else ImageNet's if its package is. Overrides
    of what is measured win.
    """
    measures = ("evaluation.metric", "evaluation.upsampling.metric")
    if not _knows_rooms(study, profile) or any(patch.overlap(path, own) for path in overrides for own in measures):
        return None
    if inception_here("legacy_pytorch"):
        return DECK_2020.name
    return None if imagenet_file() is None else IMAGENET.name


def metric_of_images(study: Study, plan: Plan) -> list[str]:
    """What measures real images, in one line, where the profile's own metric knows rooms alone; none elsewhere.

    The same whether the protocol was named or found (`protocol_of_images`).
    """
    config = plan.variants[0].config if plan.variants else None
    if not isinstance(config, Config) or not isinstance(config.data, Images):
        return []
    if not _knows_rooms(study, study.profile(plan.profile)):
        return []
    measured = f"these images are measured by {config.evaluation.metric.kind}"
    if isinstance(config.evaluation.metric, RoomsFrechet):
        return [
            f"{measured}, whose network knows rooms alone and says little of photographs: --protocol {IMAGENET.name} "
            f"measures them ({IMAGENET_INSTALL})"
        ]
    if plan.protocol in (None, EMBEDDED.name):
        return []
    inception = f"; {DECK_2020.name} asks for Inception's weights" if plan.protocol == IMAGENET.name else ""
    return [
        f"{measured} (protocol {plan.protocol}{inception}), not by the profile's fd_rooms, whose network knows rooms "
        "alone; --protocol names another"
    ]


def check_protocol(study: Study, configs: Iterable[AnyConfig], protocol: str, overrides: Mapping[str, Any]) -> None:
    """Raises InputError for a protocol that there is not, that does not fit the study, or that an override undoes."""
    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, list(PROTOCOLS))
    paths = dict.fromkeys(path for config in configs for path in metrics_of(protocol, config))
    if not paths:
        raise InputError(f"--protocol {protocol} is of generated images, {study.name} fits given ones: leave it out")
    for override in overrides:
        for path in paths:
            if patch.overlap(override, path):
                raise InputError(f"--protocol {protocol} sets {path}: leave out the override {override}, or --protocol")


def setting_name(profile: Profile, overrides: Mapping[str, Any], data: Data | None, protocol: str | None = None) -> str:
    """`cpu`, or `cpu-1f2e3d4c` where data or overrides differ from the profile's own. Images count by content.

    A protocol is named in it: `cpu-deck-2020`, `cpu-deck-2020-1f2e3d4c`.
    """
    begins = profile.name if protocol is None else f"{profile.name}-{protocol}"
    if not overrides and data is None:
        return begins
    content = json.dumps([dict(overrides), canonical(data)], sort_keys=True)
    return f"{begins}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def _idle(config: AnyConfig, overrides: Mapping[str, Any], rest: Mapping[str, Any]) -> bool:
    """Whether the `rest` of some overrides make the same config as all of them, which are allowed together."""
    whole = overridden(config, overrides)
    try:
        return overridden(config, rest) == whole
    except InputError:
        return False  # One may need another.


def check_data(study: Study) -> None:
    """Raises InputError for a study of which a change is about its own data: given ones would take its place."""
    for change in study.changes:
        for edit in change.edits:
            if edit.path.partition(".")[0] == "data":
                raise InputError(
                    f"--data: the change '{change.name}' of {study.name} is about {edit.path}, which given images have "
                    "not: leave it out"
                )


def with_data(config: AnyConfig, data: Data) -> AnyConfig:
    """`config` with other data. Windows of real images are cut from a pool where rooms are drawn: of as many pixels as
    detail is measured at, else of those of the densest window."""
    values: dict[str, Any] = {"data": data.model_dump(mode="json")}
    if isinstance(config, Config) and isinstance(config.fine, Scenes) and isinstance(data, Images):
        scales = config.evaluation.scales
        values["fine"] = Pool(resolution=scales.fine if scales else 4 * data.resolution).model_dump(mode="json")
    return overridden(config, values)


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
    controls: bool = False,
) -> Plan:
    """Folds, scales and overrides every variant of the designs and of the claims; equal configs become one variant.

    `data` replaces the profile's data (at its resolution), `data_name` is what people call it. `protocol` replaces what
    every variant is measured by, `declared_in` is the study's file. With `controls` the study's control arms are
    there whose two variants are. Raises InputError for overrides and a protocol that do not fit.
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
        check_data(study)
        configs = {subset: with_data(config, data) for subset, config in configs.items()}
    check_overrides(study, configs.values(), overrides)
    # What changes nothing is no setting of its own: its runs are those that are there.
    for path in list(overrides):
        rest = {other: value for other, value in overrides.items() if other != path}
        if all(_idle(config, overrides, rest) for config in configs.values()):
            overrides = rest
    if protocol is not None:
        check_protocol(study, configs.values(), protocol, overrides)
        configs = {subset: measured_by(config, protocol) for subset, config in configs.items()}
    if not configs:
        raise InputError(f"the study {study.name} trains nothing: it has neither designs nor claims")
    variants = distinct(
        PlannedVariant(
            name=variant_name(study, subset),
            title=variant_title(study, subset),
            changes=subset,
            designs=places[subset],
            seeds=trained[subset],
            config=overridden(config, overrides),
        )
        for subset, config in configs.items()
    )
    if controls:
        variants = with_controls(study, variants)
    return sized(
        study=study.name,
        declared_in=declared_in,
        setting=setting_name(profile, overrides, data, protocol),
        profile=profile.name,
        protocol=protocol,
        overrides=overrides,
        data_name=data_name or "embedded rooms",
        seeds=tuple(seeds),
        variants=variants,
        registered=study.declaration(profile.name),
    )


def distinct(variants: Iterable[PlannedVariant]) -> tuple[PlannedVariant, ...]:
    """The variants with equal configs as one: the first one, with the others' names and places in designs."""
    by_digest: dict[str, PlannedVariant] = {}
    for variant in variants:
        twin = by_digest.setdefault(variant.job(0).digest, variant)
        if twin is not variant:
            by_digest[variant.job(0).digest] = twin.replace(
                aliases=(*twin.aliases, variant.name, *variant.aliases),
                designs={**variant.designs, **twin.designs},
                seeds=both_seeds(twin.seeds, variant.seeds),
            )
    return tuple(by_digest.values())


def with_controls(study: Study, variants: tuple[PlannedVariant, ...]) -> tuple[PlannedVariant, ...]:
    """The variants and the study's controls of those among them, each trained with the seeds that its variant has.

    Raises InputError for a study that has none.
    """
    if not study.controls:
        raise InputError(f"--controls: {study.name} has no control arms")
    by_name = {name: variant for variant in variants for name in (variant.name, *variant.aliases)}
    there = [control for control in study.controls if control.of in by_name and control.against in by_name]
    return distinct(
        (
            *variants,
            *(
                by_name[control.of].replace(
                    name=control.name,
                    aliases=(),
                    title=control.title,
                    designs={},
                    config=control.applied(by_name[control.of].config),
                )
                for control in there
            ),
        )
    )


def with_searched(plan: Plan, study: Study, chosen: Sequence[SearchChoice]) -> Plan:
    """`plan` with the configs that searches over its baseline chose, each a variant of its own, or a further name.

    Raises KeyError for a plan without the baseline.
    """
    baseline = plan.variant("baseline")
    if baseline is None:
        raise KeyError(f"the plan of {plan.study} has no baseline to search around")
    searches = {search.name: search for search in study.searches}
    variants = [
        PlannedVariant(
            name=choice.variant,
            title=searched_title(choice, searches[choice.search]),
            changes=(),
            config=searches[choice.search].applied(baseline.config, choice.values),
        )
        for choice in chosen
    ]
    return plan.replace(variants=distinct([*plan.variants, *variants]), searched=tuple(chosen))


def searched_title(choice: SearchChoice, search: Search) -> str:
    """What the config that a search chose is called, for people."""
    return f"best of {choice.trials} trials, {search.title}"
