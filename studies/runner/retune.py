"""The same small learning-rate budget for every variant: `--retune N`.

The deck changed learning rates together with losses, so a change may look bad only for want of its own rates. Every
variant is tried at the same N pairs of rates of G and D, with one seed that no study uses; its best pair is kept, and
the study's seeds judge the variants at these. The pairs are those that the study's own variants have, then others that
fill the neighbourhood of all of them: no arm is tuned in a place that another arm cannot reach. A change of the rates
alone is tuned away: its two arms become one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ablations.schema import Study
from core.config import AnyConfig, Config, LearningRates
from core.errors import InputError
from core.folder import RunFolder
from core.metrics.protocol import differences, from_json
from studies.overrides import overridden
from studies.plan import Plan, PlannedVariant, TunedRates, jobs_root
from studies.planning import distinct
from studies.run_state import final_value

SEED = 3000
"""Neither a study's nor the one that the cpu profile was chosen with."""

REACH = 4.0
"""The neighbourhood goes from the least of the study's rates / REACH to the largest times REACH."""


def pairs_of(study: Study, plan: Plan, trials: int) -> list[LearningRates]:
    """The pairs of rates that every variant is tried at, whichever of the study's designs are planned.

    First those that the base and each change alone have, then a Halton sequence that fills, on the log scale, the
    rectangle around them. Raises InputError for fewer trials than pairs of the study's own, and for what has no rates.
    """
    from scipy.stats.qmc import Halton  # Takes half a second, for a command that tries rates alone.

    profile = study.profile(plan.profile)
    subsets = [(), *((change.name,) for change in study.changes)]
    configs = [profile.scaled(study.folded(subset)) for subset in subsets]
    own = list(dict.fromkeys(rates_of(overridden(config, plan.overrides)) for config in configs))
    if trials < len(own):
        raise InputError(
            f"--retune {trials}: the variants of {study.name} have {len(own)} pairs of learning rates: try {len(own)} "
            "or more"
        )
    ends = [
        (min(rates) / REACH, max(rates) * REACH)
        for rates in ([pair.generator for pair in own], [pair.discriminator for pair in own])
    ]
    places = Halton(2, scramble=False).random(trials - len(own) + 1)[1:]
    filled = [
        LearningRates(
            **{
                name: float(f"{low * (high / low) ** float(place):.6g}")
                for name, (low, high), place in zip(("generator", "discriminator"), ends, point, strict=True)
            }
        )
        for point in places
    ]
    return [*own, *filled]


def rates_of(config: AnyConfig) -> LearningRates:
    """The rates of a GAN. Raises InputError for what is none."""
    if not isinstance(config, Config):
        raise InputError("--retune tunes the rates of G and D: this study fits images and has neither")
    return config.optimizers.learning_rates


def tried(config: AnyConfig, rates: LearningRates) -> AnyConfig:
    """The config at these rates."""
    return overridden(config, {"optimizers.learning_rates": rates.model_dump(mode="json")})


def tuning_plan(study: Study, plan: Plan, trials: int) -> Plan:
    """Every variant at every pair of rates, one seed.

    Raises InputError where the study would judge by that seed, and for what has no rates of G and D.
    """
    if SEED in plan.seeds:
        raise InputError(f"--seeds: {SEED} is the seed that --retune chooses by, choose another")
    variants = [
        PlannedVariant(
            name=f"{variant.name}@{index}",
            title=f"{variant.title}, rates {rates.generator:g} / {rates.discriminator:g}",
            changes=variant.changes,
            config=tried(variant.config, rates),
        )
        for index, rates in enumerate(pairs_of(study, plan, trials))
        for variant in plan.variants
    ]
    setting = f"{plan.setting}-tuning{trials}"
    return plan.replace(setting=setting, seeds=(SEED,), variants=distinct(variants))


def retuned_plan(study: Study, plan: Plan, trials: int, runs: Path) -> Plan:
    """The plan with every variant at the best of the tried rates; ties and runs without a value leave its own."""
    pairs = pairs_of(study, plan, trials)
    chosen: dict[str, LearningRates] = {}
    variants = []
    for variant in plan.variants:
        own = rates_of(variant.config)
        ordered = sorted(pairs, key=lambda rates: rates != own)
        configs = [tried(variant.config, rates) for rates in ordered]
        values = [value_of(config, runs) for config in configs]
        check_alike(variant.name, configs, runs)
        best = min(values)
        rates = ordered[values.index(best)] if math.isfinite(best) else own
        chosen |= dict.fromkeys((variant.name, *variant.aliases), rates)
        variants.append(variant.replace(config=tried(variant.config, rates)))
    retuned = TunedRates(trials=trials, seed=SEED, pairs=tuple(pairs), rates=chosen)
    setting = f"{plan.setting}-retuned{trials}"
    return plan.replace(setting=setting, retuned=retuned, variants=distinct(variants))


def check_alike(variant: str, configs: Sequence[AnyConfig], runs: Path) -> None:
    """Raises InputError where the metric of tried configs was not measured alike: none is then the best of them."""
    tried_in = (folder_of(config, runs) for config in configs)
    folders = [f for f in tried_in if (outcome := f.outcome()) is not None and outcome.status == "finished"]
    metrics = [next(iter(from_json(folder.read("protocol.json")).values()), None) for folder in folders]
    for folder, protocol in zip(folders, metrics, strict=True):
        for field, (first, this) in differences(metrics[0], protocol).items():
            raise InputError(
                f"the rates tried of {variant} were measured under different protocols: {field} is {first[:40]} in "
                f"{folders[0].digest} and {this[:40]} in {folder.digest}: remove the folder of one to train it again"
            )


def folder_of(config: AnyConfig, runs: Path) -> RunFolder:
    """Where a config is tried."""
    variant = PlannedVariant(name="tried", title="tried", changes=(), config=config)
    return RunFolder(jobs_root(runs), variant.job(SEED))


def value_of(config: AnyConfig, runs: Path) -> float:
    """The last value of a tried config, inf where it diverged or failed."""
    folder = folder_of(config, runs)
    outcome = folder.outcome()
    value = final_value(folder) if outcome is not None and outcome.status == "finished" else None
    return math.inf if value is None else value
