"""The same small learning-rate budget for every variant: `--retune N`.

The deck changed learning rates together with losses, so a change may look bad only for want of its own rates. Every
variant is tried with the same N pairs of factors on its rates of G and D, the first of them its own rates as they are,
with one seed that no study uses; its best pair is kept, and the study's seeds judge the variants at these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from core.config import AnyConfig, Config, LearningRates
from core.errors import InputError
from core.folder import RunFolder
from core.metrics.protocol import differences, from_json
from studies.plan import Plan, PlannedVariant, Retuned, jobs_root, overridden
from studies.runner.tasks import final_value

SEED = 3000
"""Neither a study's nor the one that the cpu profile was chosen with."""

REACH = 4.0
"""Factors lie between 1 / REACH and REACH."""


def factors(trials: int) -> list[tuple[float, float]]:
    """Factors on the rates of G and D: (1, 1), then a Halton sequence that fills the square on the log scale."""
    from scipy.stats.qmc import Halton  # Loads slowly, and most commands do without.

    spread = Halton(2, scramble=False).random(trials)[1:]
    return [(1.0, 1.0), *((float(REACH ** (2 * g - 1)), float(REACH ** (2 * d - 1))) for g, d in spread)]


def rates_of(config: AnyConfig) -> LearningRates:
    """The rates of a GAN. Raises InputError for what is none."""
    if not isinstance(config, Config):
        raise InputError("--retune tunes the rates of G and D: this study fits images and has neither")
    return config.optimizers.learning_rates


def tried(config: AnyConfig, factor: tuple[float, float]) -> AnyConfig:
    """The config with its rates times these factors."""
    rates = rates_of(config)
    new = LearningRates(
        generator=float(f"{rates.generator * factor[0]:.6g}"),
        discriminator=float(f"{rates.discriminator * factor[1]:.6g}"),
    )
    return overridden(config, {"optimizers.learning_rates": new.model_dump(mode="json")})


def tuning_plan(plan: Plan, trials: int) -> Plan:
    """Every variant with every pair of factors, one seed.

    Raises InputError where the study would judge by that seed, and for what has no rates of G and D.
    """
    if SEED in plan.seeds:
        raise InputError(f"--seeds: {SEED} is the seed that --retune chooses by, choose another")
    pairs = factors(trials)
    variants = [
        PlannedVariant(
            name=f"{variant.name}@{index}",
            title=f"{variant.title}, rates of G × {g:.3g} and of D × {d:.3g}",
            changes=variant.changes,
            config=tried(variant.config, (g, d)),
        )
        for variant in plan.variants
        for index, (g, d) in enumerate(pairs)
    ]
    setting = f"{plan.setting}-tuning{trials}"
    return Plan(**{**dict(plan), "setting": setting, "seeds": (SEED,), "variants": tuple(variants)})


def retuned_plan(plan: Plan, trials: int, runs: Path) -> Plan:
    """The plan with every variant at the best of its tried rates; ties and runs without a value leave its own."""
    chosen: dict[str, LearningRates] = {}
    variants = []
    for variant in plan.variants:
        configs = [tried(variant.config, factor) for factor in factors(trials)]
        values = [value_of(config, runs) for config in configs]
        check_alike(variant.name, configs, runs)
        best = configs[min(range(trials), key=values.__getitem__)]
        chosen[variant.name] = rates_of(best)
        variants.append(PlannedVariant(**{**dict(variant), "config": best}))
    retuned = Retuned(trials=trials, seed=SEED, rates=chosen)
    setting = f"{plan.setting}-retuned{trials}"
    return Plan(**{**dict(plan), "setting": setting, "retuned": retuned, "variants": tuple(variants)})


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
