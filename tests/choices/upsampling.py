"""Enlarges true coarse images by every method of `evaluation.upsampling` and writes docs/upsampling.md.

    python -m tests.choices.upsampling

Of the embedded rooms alone, from 16 x 16 to 32 x 32. Takes about a minute of one core. Chooses how much is sharpened,
by training scenes, before anything is measured on others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from core.config import PAIRS, RoomsFrechet
from core.data import rooms
from core.metrics.enlarging import AMOUNT, BLUR, CONVENTIONS, METHODS, Convention, Method, interpolated, positions
from core.metrics.measure import Measure, build_metric
from core.metrics.super_resolution import SuperResolver, super_resolver
from studies.click_life import Command
from tests.choices.records import write

RECORD = Path(__file__).parents[2] / "docs" / "upsampling.json"
SIDE, FACTOR = 16, 2
SCENES, HELD_OUT, SEED = 2048, 4096, 8192
AMOUNTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)

TRUE, NETWORK = "true images", "sr_cnn"
NAMES = {
    TRUE: "true images of 32×32",
    "nearest": "nearest",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "lanczos": "Lanczos, a = 3",
    "sharpened": f"sharpened bicubic, {AMOUNT:g}",
    NETWORK: "network for super-resolution",
}

Enlarge = Callable[[Tensor], Tensor]


def by(method: Method, convention: Convention, images: Tensor) -> Tensor:
    """Images [N, 3, R, R] twice as large."""
    return interpolated(images, positions(images.shape[-1], FACTOR, convention), method)


def distance(measure: Measure, enlarge: Enlarge, coarse: Tensor) -> float:
    """Of all these images, enlarged, to real ones."""
    return round(measure(enlarge(batch) for batch in torch.split(coarse, 256)), 5)


def decibels(enlarge: Enlarge, coarse: Tensor, fine: Tensor) -> float:
    """PSNR against the truth, the mean over images."""
    errors = [
        (enlarge(batch).double() - true.double()).square().mean((1, 2, 3))
        for batch, true in zip(torch.split(coarse, 256), torch.split(fine, 256), strict=True)
    ]
    return round(float((10 * torch.log10(255**2 / torch.cat(errors))).mean()), 2)


def amounts(measure: Measure, coarse: Tensor) -> dict[str, float]:
    """The distance by how much true training images are sharpened when they are enlarged."""
    at = positions(SIDE, FACTOR, "centres")
    return {
        f"{amount:g}": distance(
            measure, partial(interpolated, position_S=at, method="sharpened", amount=amount), coarse
        )
        for amount in AMOUNTS
    }


def methods(network: SuperResolver) -> Iterator[tuple[str, Convention, Enlarge]]:
    """Every method under every convention that it has."""
    for method in METHODS:
        for convention in CONVENTIONS if method != "nearest" else ("centres",):
            yield method, convention, partial(by, method, convention)
    yield NETWORK, "centres", network


def measured() -> dict[str, Any]:
    """The record."""
    torch.set_num_threads(1)
    images = {}
    for side in (SIDE, FACTOR * SIDE):
        scenes = rooms.train_indices(PAIRS + SCENES)
        images[side] = torch.split(torch.from_numpy(rooms.render(scenes, side)), [PAIRS, SCENES])
    (known, coarse), (truth, fine) = images[SIDE], images[FACTOR * SIDE]
    real = torch.from_numpy(rooms.render(rooms.held_out_indices(HELD_OUT), FACTOR * SIDE))
    measure = build_metric(RoomsFrechet(samples=SCENES, resolution=32), real, device="cpu", cache=None)

    chosen = amounts(measure, known[:SCENES])
    started = time.process_time()
    network = super_resolver(known, truth, seed=SEED, cache=None, device="cpu")
    seconds = time.process_time() - started
    rows: dict[str, Any] = {TRUE: {"centres": round(measure(iter([fine])), 5)}}
    for name, convention, enlarge in methods(network):
        row = rows.setdefault(name, {})
        row[convention] = distance(measure, enlarge, coarse)
        if convention == "centres":
            row["psnr"] = decibels(enlarge, coarse, fine)
    return {"amounts": chosen, "rows": rows, "network": network.details, "seconds": round(seconds, 1)}


# --- the page ---------------------------------------------------------------------------------------------------------


def times(value: float, floor: float) -> str:
    """A distance with, in brackets, times the floor."""
    ratio = value / floor
    return f"{value:.3f} ({ratio:.0f})" if ratio >= 10 else f"{value:.3f} ({ratio:.1f})"


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Every method, the distances under both conventions and the PSNR."""
    floor = rows[TRUE]["centres"]
    lines = ["| true images of 16×16 by | aligned to areas | corners | PSNR, dB |", "|:--|--:|--:|--:|"]
    for name, title in NAMES.items():
        row = rows[name]
        cells = [times(row[convention], floor) if convention in row else "–" for convention in CONVENTIONS]
        psnr = f"{row['psnr']:.2f}" if "psnr" in row else "–"
        lines.append(f"| {title} | {' | '.join(cells)} | {psnr} |")
    return "\n".join(lines)


def page(record: Mapping[str, Any]) -> str:
    """docs/upsampling.md."""
    rows, network = record["rows"], record["network"]
    sweep: Mapping[str, float] = record["amounts"]
    floor = rows[TRUE]["centres"]
    best = min(sweep, key=lambda amount: sweep[amount])
    order = sorted((name for name in NAMES if name != TRUE), key=lambda name: rows[name]["centres"])
    steps = [f"{NAMES[one]} ({rows[one]['centres']:.3f})" for one in order]
    paragraphs = [
        "# Enlarging true images",
        "By `python -m tests.choices.upsampling`. `evaluation.upsampling` measures images that a generator renders at "
        "the training resolution and that are then enlarged, against real images of the larger size. What an "
        "enlargement adds by itself is seen where there is no generator: true scenes of 16×16, made twice as large, "
        "against true ones of 32×32. An INR's denser grid has something to show where it beats not its own enlarged "
        "images alone, but these: bicubic enlargement of *true* 16×16 images is what has to be beaten before anything "
        "is called super-resolution.",
        f"{SCENES:,} scenes that are neither among the {HELD_OUT:,} real ones nor among those that the network was "
        "trained on; the rooms Frechet distance by the network that sees 32×32 (a proxy, not an FID), as in the "
        "`cpu` profile of the study `upsampling`. In brackets: times the floor, what other true images read.",
        table(rows),
        f"From the nearest on: {'; '.join(steps)}. The floor is {floor:.3f}. Under “corners” every second fine pixel "
        "is a coarse one, so that images lie half a fine pixel off the true ones.",
        "## The opponents",
        "Nearest, bilinear and bicubic enlargement are always measured. `evaluation.upsampling.opponents` adds others, "
        "none where nothing is said; the study `upsampling` has all three.",
        "\n".join(
            [
                "- `lanczos`: Lanczos' kernel with a = 3. PIL's, but for edges: there their pixels are repeated, as by "
                "all methods here.",
                f"- `sharpened`: bicubic, then an unsharp mask: {AMOUNT:g} times what a Gaussian of {BLUR:g} coarse "
                "pixels takes away is added. The amount is one number for all data; no generator was looked at to "
                "choose it. Of these it is the one with which enlarged true *training* images are nearest to "
                f"true ones: {', '.join(f'{amount} reads {value:.4f}' for amount, value in sweep.items())} "
                f"(the least: {best}).",
                "- `sr_cnn`: a network of the form of ESPCN (Shi et al. 2016) added to bicubic. "
                f"{network['network'].capitalize()}; {network['numbers trained']} numbers. Trained on pairs of coarse "
                f"and fine training images ({network['trained on'].partition(', sha256')[0]}; "
                f"{network['trained by']}): {record['seconds']:.0f} s of one core, "
                f"{network['arithmetic of its training']}, once a cache, for all seeds of a study. Its loss is that of "
                "fidelity, not of a critic: it is sharper than bicubic where it can be sure, and nearer to the truth "
                "pixel by pixel than any other. There is one convention for it, that of the images it learned from.",
            ]
        ),
        "Of photographs the fine images are the stored originals at `factor` times the resolution, and a set that is "
        "not that large is refused before anything trains. Their training images are also the metric's real set, as "
        "FID has it, so that the network has seen those it is compared with, which favours it.",
        "That a network sees fine training images is the point of it and no fault: a generator at 16×16 has never seen "
        "any. The study's generators that are trained at the large size have seen them as well.",
    ]
    return "\n\n".join(paragraphs) + "\n"


@click.command(cls=Command)
def main() -> None:
    """Records what enlarged true images read."""
    write(RECORD, measured(), page)


if __name__ == "__main__":
    main()
