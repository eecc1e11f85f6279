"""What a process loads once and all its jobs share: images, and metrics with their real sets behind them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from core import config as cfg
from core.data.load import ImageSet, load, load_real
from core.evaluate import Evaluation
from core.metrics.build import build_further, build_metric
from core.metrics.measure import Measure


@lru_cache(maxsize=2)
def images_of(data: cfg.Data, path: Path | None, cache: Path) -> ImageSet:
    """The images that `data` describes; raises InputError where they cannot be had."""
    return load(data, path=path, cache=cache)


def evaluation_of(config: cfg.Config, *, data_path: Path | None, cache: Path, device: str) -> Evaluation:
    """All that `config` measures. What can be refused, weights and real sets, is refused here, by InputError."""

    def against(metric: cfg.GanMetric, resolution: int) -> Measure:
        seed = config.evaluation.latents_seed
        return _measure(metric, config.data, resolution, data_path, cache, device, seed)

    measure = against(config.evaluation.metric, config.data.resolution)
    return Evaluation(config, measure, build_further(config, against), device=device)


@lru_cache(maxsize=4)
def _measure(
    metric: cfg.GanMetric,
    data: cfg.Data,
    resolution: int,
    path: Path | None,
    cache: Path,
    device: str,
    latents_seed: int,
) -> Measure:
    """Against the data's real set at `resolution`."""
    if resolution == data.resolution:
        real = images_of(data, path, cache).real
    else:
        real = load_real(data, resolution, path=path, cache=cache)
    return build_metric(metric, real, device=device, cache=cache, latents_seed=latents_seed)
