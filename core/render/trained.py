"""The trained generator, or the fitted INRs, of a run's folder: read as data, and what it makes of latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from core import config as cfg
from core.build import build_generator, check_layer
from core.errors import InputError
from core.evaluation import fixed_latents
from core.files import check_tree, placed
from core.folder import RunFolder
from core.imported import check_allowed
from core.metrics.interpolation import slerp
from core.models.generator import Renderer
from core.needs import check_memory
from core.reading import Damaged, opened
from core.reconstruct import build_inrs
from core.streams import initialising, stream

MOST_WEIGHTS = 2**35
"""Bytes of a generator."""

REMEDIES = {
    "running": "render it when it has ended",
    "interrupted": "give the command again that trained it, and it goes on",
    "failed": "its log.txt says why; give the command again that trained it",
    "diverged": "choose another seed or variant",
}
"""What helps where a run has no weights, by its state."""


@dataclass(frozen=True)
class Source:
    """Pictures by number: from what and how INR parameters are made, and what people call picture `i`.

    `latents` are [N, Z], and `emit` makes [1, E] of one of them; of fitted images they are the parameters themselves.
    """

    renderer: Renderer
    latents: Tensor
    emit: Callable[[Tensor], Tensor]
    words: str

    @torch.inference_mode()
    def picture(self, index: int) -> Tensor:
        """INR parameters [1, E]. One latent at a time, for of a batch the last bits depend on its size."""
        return self.emit(self.latents[index : index + 1])

    @torch.inference_mode()
    def between(self, start: int, end: int, part: float) -> Tensor:
        """The same on the spherical path between two latents, 0 at `start` and 1 at `end`."""
        ends = self.latents[start : start + 1], self.latents[end : end + 1]
        return self.emit(slerp(*ends, torch.tensor([part])))


def read_source(path: Path, *, seed: int | None, last: int, paths: bool, allowed: Sequence[Path]) -> Source:
    """Of the run in the folder `path` the evaluation's latents, or those drawn from `seed`, up to number `last`.

    With `paths` there have to be latents to go between. Layers' files are run from installed packages and the folders
    `allowed`. Raises InputError for what is no run, has no weights that can be read, or no such latents.
    """
    there = placed(path)
    if not there.is_dir():
        raise InputError(f"{path} is no folder: give that of a run, as runs/jobs/DIGEST")
    folder = RunFolder(there.parent, there.name)
    try:
        job = folder.job()
    except FileNotFoundError:
        raise InputError(f"{path} is no run's folder (it has no job.json): give one, as runs/jobs/DIGEST") from None
    check_tree(folder.path, folder.path)
    state = folder.state()
    if state != "finished":
        remedy = REMEDIES.get(state, "train it")
        raise InputError(f"{path} has no finished weights (the run is {state}): {remedy}")
    config = job.config
    check_memory(config, on_cpu=False)
    check_allowed(config, allowed, near=[Path()])
    check_layer(config.inr)
    match config:
        case cfg.Config():
            return _of_gan(folder, config, seed, last)
        case cfg.Reconstruction():
            if seed is not None or paths:
                option = "--between" if paths else "--seed"
                raise InputError(f"{option}: {path} has fitted images and no other latents: leave it out")
            return _of_fit(folder, config, last)
        case _:
            assert_never(config)


def _of_gan(folder: RunFolder, config: cfg.Config, seed: int | None, last: int) -> Source:
    if seed is None:
        latents, words = fixed_latents(config, "cpu"), f"run {folder.digest}, evaluation latent"
        _check_index(last, len(latents), "the evaluation has latents", ", or draw others with --seed")
    else:
        random = stream(seed, "render")
        # One after the other: those that come first are the same however many are drawn.
        drawn = [torch.randn(config.hypernetwork.latent_dim, generator=random) for _ in range(last + 1)]
        latents, words = torch.stack(drawn), f"run {folder.digest}, seed {seed}, latent"
    with initialising(0, "generator"):
        generator = build_generator(config)
    _load(generator, folder)
    return Source(generator.eval(), latents, generator.hypernetwork, words)


def _of_fit(folder: RunFolder, config: cfg.Reconstruction, last: int) -> Source:
    _check_index(last, config.images, "the run has fitted images", "")
    with initialising(0, "generator"):
        inrs = build_inrs(config)
    _load(inrs, folder)
    with torch.inference_mode():
        # As they are fitted and measured: all at once, in training mode.
        emitted_NE = inrs.parameters_of_all()
    return Source(inrs, emitted_NE, lambda emitted_1E: emitted_1E, f"run {folder.digest}, fitted image")


def _check_index(last: int, count: int, what: str, otherwise: str) -> None:
    if last >= count:
        raise InputError(f"number {last}: {what} 0 to {count - 1}: choose among these{otherwise}")


def _load(renderer: Renderer, folder: RunFolder) -> None:
    """Raises InputError where the weights are not there, and Damaged where they are not those of the run's config."""
    file = folder.generator_file
    try:
        with opened(file, folder.remedy, MOST_WEIGHTS):
            state = load_file(file)
    except FileNotFoundError:
        raise InputError(
            f"{file} is not here (published runs come without weights): copy it from where the run was trained, or "
            "move the folder away, and the run is trained anew"
        ) from None
    except (SafetensorError, ValueError, KeyError):
        raise Damaged(file, "it is no safetensors file", folder.remedy) from None
    try:
        renderer.load_state_dict(state)
    except (RuntimeError, ValueError):
        raise Damaged(file, "its tensors are not those of the run's config", folder.remedy) from None
