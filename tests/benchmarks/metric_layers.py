"""What each layer of the rooms extractor sees: `python -m tests.benchmarks.metric_layers [--runs DIR]`.

Prints, per layer, the distance of corrupted scenes to the held-out ones in units of the distance of as many real ones,
the spread of the latter over resampling, and for every finished run under --runs the distance of its generator, so
that a study can be read with the layer that it did not use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from core.build import build_generator
from core.config import Config, RoomsFrechet
from core.data import rooms
from core.folder import RunFolder
from core.metrics.features import generated
from core.metrics.frechet import Gaussian, frechet_distance
from core.metrics.measure import Measure, build_metric
from core.metrics.real import BATCH
from core.streams import stream
from studies.plan import jobs_root

SAMPLES, HELD_OUT, RESOLUTION, DRAWS = 2048, 4096, 16, 16

Corruption = Callable[[Tensor], Tensor]


def join_halves(images: Tensor) -> Tensor:
    """Left halves beside other scenes' right halves."""
    return torch.cat([images[..., : RESOLUTION // 2], images.flip(0)[..., RESOLUTION // 2 :]], dim=-1)


def noise(images: Tensor) -> Tensor:
    """Normal noise with a standard deviation of 0.1 in [-1, 1]."""
    return images + 12.75 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))


CORRUPTIONS: dict[str, Corruption] = {
    "noise 0.1": noise,
    "halves joined": join_halves,
    "grey": lambda images: images.mean(1, keepdim=True).expand_as(images),
    "32 scenes only": lambda images: images[:32].repeat(len(images) // 32, 1, 1, 1),
    "half way to the mean": lambda images: images.lerp(images.mean(0), 0.5),
}


def batches(images: Tensor) -> Iterator[Tensor]:
    """Quantised batches of float images in [0, 255]."""
    return iter(images.round().clamp(0, 255).to(torch.uint8).split(BATCH))


def resampling_spread(measure: Measure, shown: Tensor) -> float:
    """Standard deviation over the mean of real against real, each time with other real scenes."""
    with torch.inference_mode():
        features = torch.cat([measure.features(batch) for batch in batches(shown)]).double().numpy()
    values = [frechet_distance(Gaussian.fit(part), measure.real.gaussian) for part in np.split(features, DRAWS)]
    return float(np.std(values, ddof=1) / np.mean(values))


def generated_by(folder: RunFolder) -> tuple[str, Iterator[Tensor]]:
    """What trained there, and its images at the job's own evaluation latents."""
    job = folder.job()
    assert isinstance(job.config, Config)
    generator = build_generator(job.config)
    generator.load_state_dict(safetensors.torch.load_file(folder.generator_file))
    seed = stream(job.config.evaluation.latents_seed, "evaluation")
    latents = torch.randn(SAMPLES, job.config.hypernetwork.latent_dim, generator=seed)
    return f"{folder.digest} seed {job.seed}", generated(generator.eval(), latents)


@click.command(help=__doc__)
@click.option("--runs", type=click.Path(path_type=Path, exists=True), help="folder of a study's runs")
def main(runs: Path | None) -> None:
    held_out = torch.from_numpy(rooms.render(rooms.held_out_indices(HELD_OUT), RESOLUTION))
    shown = torch.from_numpy(rooms.render(rooms.train_indices(DRAWS * SAMPLES), RESOLUTION)).float()
    measures = {}
    for layer in ("pooled", "bottleneck"):
        measure = build_metric(RoomsFrechet(samples=SAMPLES, layer=layer), held_out, device="cpu", cache=None)
        assert isinstance(measure, Measure)
        measures[layer] = measure
    floors = {layer: measure(batches(shown[:SAMPLES])) for layer, measure in measures.items()}
    print(f"{'':40s}" + "".join(f"{layer:>12s}" for layer in measures))
    print(f"{'real against real':40s}" + "".join(f"{floors[layer]:12.4g}" for layer in measures))
    spreads = [resampling_spread(measure, shown) for measure in measures.values()]
    print(f"{f'its spread over {DRAWS} sets of scenes':40s}" + "".join(f"{spread:12.1%}" for spread in spreads))
    for name, corrupt in CORRUPTIONS.items():
        corrupted = corrupt(shown[:SAMPLES])
        cells = [f"{measure(batches(corrupted)) / floors[layer]:11.1f}x" for layer, measure in measures.items()]
        print(f"{name:40s}" + "".join(cells))
    for digest in sorted(path.name for path in jobs_root(runs).iterdir()) if runs else ():
        folder = RunFolder(jobs_root(runs), digest)
        if folder.generator_file.exists() and isinstance(folder.job().config, Config):
            values = []
            for measure in measures.values():
                name, images = generated_by(folder)
                values.append(measure(images))
            print(f"{name:40s}" + "".join(f"{value:12.4g}" for value in values))


if __name__ == "__main__":
    main()
