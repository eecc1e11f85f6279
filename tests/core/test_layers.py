"""Layers of an INR against their formulas: values, counts, both forms, sizes at the start, and that each trains."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ablations.layers import READINGS, ROWS, emitted_numbers
from core import config as cfg
from core.build import build_inr, build_layer
from core.grids import Pixels
from core.models.generator import Renderer
from core.models.layers.emitted import EmittedLayer, rms
from core.reconstruct import build_inrs
from core.signals import Picture

LAYERS: dict[str, cfg.Layer] = {row.name: row.layer for row in (*ROWS, *READINGS)}
BASES: dict[str, cfg.Basis] = {"siren": cfg.Siren(scale=2.0), "fourier": cfg.Fourier(scale=4.0)}
S_W, S_B = 0.5, 0.1
IN, OUT = 3, 4


def built(name: str, inputs: int = IN, outputs: int = OUT) -> EmittedLayer:
    torch.manual_seed(0)
    layer = LAYERS[name]
    if isinstance(layer, cfg.Factorized | cfg.FactorizedSE) and inputs == IN:
        layer = layer.replace(rank=2)
    return build_layer(layer)(inputs, outputs, weight_std=S_W, bias_std=S_B)


# --- formulas, written out for one image, W with one row per output ---------------------------------------------------


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def se_linear(layer: EmittedLayer, p: Tensor, s: float, t: float) -> tuple[Tensor, Tensor]:
    shared, bias = S_W * layer.weight_IO.T, S_B * layer.bias_O
    return shared * 2 * sigmoid(s * p[: IN * OUT].view(IN, OUT).T), bias * 2 * sigmoid(t * p[IN * OUT :])


def mfilm(layer: EmittedLayer, p: Tensor) -> tuple[Tensor, Tensor]:
    shared = layer.weight_IO.T
    unit = (shared - shared.mean(1, keepdim=True)) / shared.std(1, keepdim=True, unbiased=False)
    gamma, beta, c = p.split(OUT)
    return gamma[:, None] * unit + beta[:, None], layer.bias_O + c


def mfilm_no_norm(layer: EmittedLayer, p: Tensor) -> tuple[Tensor, Tensor]:
    gamma, beta, c = p.split(OUT)
    return gamma[:, None] * (S_W * layer.weight_IO.T) + S_W * beta[:, None], S_B * (layer.bias_O + c)


def mfilm_scale(layer: EmittedLayer, p: Tensor) -> tuple[Tensor, Tensor]:
    gamma, beta, c = p.split(OUT)
    weight = (1 + gamma / 10)[:, None] * (S_W * layer.weight_IO.T) + S_W / 10 * beta[:, None]
    return weight, S_B * layer.bias_O + S_B / 10 * c


def product_of(p: Tensor, root: float) -> tuple[Tensor, Tensor]:
    b, a = p[: 2 * IN].view(IN, 2), p[2 * IN : 2 * (IN + OUT)].view(2, OUT)
    return (b @ a).T / root, S_B * p[2 * (IN + OUT) :]


def factorized(p: Tensor, root: float = 1.0) -> tuple[Tensor, Tensor]:
    weight, bias = product_of(p, root)
    return S_W * weight, bias


def factorized_se(layer: EmittedLayer, p: Tensor, root: float = 1.0) -> tuple[Tensor, Tensor]:
    weight, bias = product_of(p, root)
    return layer.weight_IO.T * 2 * sigmoid(weight), bias


def adain(layer: EmittedLayer, p: Tensor) -> tuple[Tensor, Tensor]:
    scale = 2 * sigmoid(p[:OUT])
    return scale[:, None] * S_W * layer.weight_IO.T, scale * S_B * layer.bias_O + p[OUT:]


FORMULAS: dict[str, Callable[[EmittedLayer, Tensor], tuple[Tensor, Tensor]]] = {
    "linear": lambda layer, p: (S_W * p[: IN * OUT].view(IN, OUT).T, S_B * p[IN * OUT :]),
    "se_linear": lambda layer, p: se_linear(layer, p, S_W, S_B),
    "se_linear_unscaled": lambda layer, p: se_linear(layer, p, 1, 1),
    "mfilm": mfilm,
    "mfilm_no_norm": mfilm_no_norm,
    "mfilm_scale": mfilm_scale,
    "factorized": lambda layer, p: factorized(p),
    "factorized_root": lambda layer, p: factorized(p, math.sqrt(2)),
    "factorized_se": factorized_se,
    "factorized_se_root": lambda layer, p: factorized_se(layer, p, math.sqrt(2)),
    "adain": adain,
}


@pytest.mark.parametrize("name", LAYERS)
def test_formula(name: str) -> None:
    layer = built(name)
    x, emitted = torch.randn(2, 5, IN), torch.randn(2, layer.emitted)
    expected = []
    for image in range(2):
        weight, bias = FORMULAS[name](layer, emitted[image])
        expected.append(x[image] @ weight.T + bias)
    torch.testing.assert_close(layer(x, emitted), torch.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("n", [8, 64])
def test_parameter_counts_are_the_decks(name: str, n: int) -> None:
    """Slide "Size/quality tradeoff": n^2 + n, 3n, 2nr + n, 2n."""
    counts = {"n^2 + n": n**2 + n, "3n": 3 * n, "2nr + n": 2 * n * 10 + n, "2n": 2 * n}
    layer = LAYERS[name]
    quote = next(row.quote for row in ROWS if row.layer.kind == layer.kind and row.quote)
    formula = quote.split("$")[-2]
    assert built(name, n, n).emitted == emitted_numbers(layer, n, n) == counts[formula]


STRUCTURED = [name for name in LAYERS if type(built(name)).structured is not EmittedLayer.structured]


def test_layers_with_a_second_form() -> None:
    assert set(STRUCTURED) == {"mfilm", "mfilm_no_norm", "mfilm_scale", "factorized", "factorized_root", "adain"}


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize(("inputs", "outputs", "pixels"), [(32, 32, 256), (256, 256, 16), (64, 48, 100)])
@pytest.mark.parametrize("calibrated", [False, True])
def test_both_forms_agree(name: str, inputs: int, outputs: int, pixels: int, calibrated: bool) -> None:
    layer = built(name, inputs, outputs).double()
    x = torch.randn(2, pixels, inputs, dtype=torch.float64, requires_grad=True)
    emitted = torch.randn(2, layer.emitted, dtype=torch.float64, requires_grad=True)
    if calibrated:
        layer.calibrate(x, emitted)
    one, other = layer.structured(x, emitted), layer.materialised(x, emitted)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-8)
    cotangent = torch.randn_like(one)
    for a, b in zip(*(torch.autograd.grad(y, (x, emitted), cotangent) for y in (one, other)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", STRUCTURED)
def test_both_forms_agree_in_float32(name: str) -> None:
    layer = built(name, 256, 256)
    x, emitted = torch.randn(2, 64, 256), torch.randn(2, layer.emitted)
    one, other = layer.structured(x, emitted), layer.materialised(x, emitted)
    assert rms(one - other) < 1e-5 * rms(one)


# --- sizes at the start -----------------------------------------------------------------------------------------------


def renderer_of(config: cfg.Inr, resolution: int) -> Renderer:
    grid = Pixels(resolution, config.coordinates)
    return Renderer(build_inr(config, grid, Picture()), grid, Picture(), calibrated=config.init == "unit")


def outputs_at_start(name: str, basis: str, width: int, init: str, depth: int = 5) -> list[float]:
    """Root mean squares of hidden pre-activations and of the RGB layer's outputs, on other draws than calibration's."""
    torch.manual_seed(width)
    grid = cfg.Coordinates(low=-1.0, high=1.0, sampling="centres")
    layer = LAYERS[name]
    config = cfg.Inr(basis=BASES[basis], layer=layer, init=init, width=width, depth=depth, coordinates=grid)  # type: ignore[arg-type]
    renderer = renderer_of(config, 16)
    found: list[float] = []
    for module in (*renderer.inr.hidden_layers, renderer.inr.rgb_layer):
        module.register_forward_hook(lambda _module, _inputs, output: found.append(rms(output)))
    with torch.no_grad():
        renderer.render(torch.randn(32, renderer.inr.emitted))
    return found


LAYERS_AND_BASES = [*((name, "siren") for name in LAYERS), ("linear", "fourier")]
"""A layer never sees the basis."""

WIDER = [pytest.param(width, marks=pytest.mark.slow) for width in (128, 512)]


@pytest.mark.parametrize("width", [32, *WIDER])
@pytest.mark.parametrize(("name", "basis"), LAYERS_AND_BASES)
def test_unit_init_holds_pre_activations_and_output_near_one(name: str, basis: str, width: int) -> None:
    """Within what other draws of a few heavy-tailed products may be off."""
    assert all(0.6 < size < 1.6 for size in outputs_at_start(name, basis, width, "unit"))


def test_the_formulas_own_sizes_grow_where_the_deck_fails() -> None:
    """mFiLM, mFiLM -norm and Factorized start far beyond tanh's range at the deck's width; Linear does not."""
    for name in ("mfilm", "mfilm_no_norm", "factorized"):
        assert outputs_at_start(name, "fourier", 256, "deck")[-1] > 30
    assert outputs_at_start("linear", "fourier", 256, "deck")[-1] < 1.5


@pytest.mark.parametrize("name", LAYERS)
def test_measured_constants_travel_with_the_weights(name: str) -> None:
    grid = cfg.Coordinates(low=-1.0, high=1.0, sampling="centres")
    config = cfg.Inr(layer=LAYERS[name], init="unit", width=8, depth=3, coordinates=grid)
    one, other = (renderer_of(config, 8) for _ in range(2))
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    emitted = torch.randn(3, one.inr.emitted)
    assert torch.equal(one.render(emitted), other.render(emitted))


# --- training ---------------------------------------------------------------------------------------------------------


LONG = [pytest.param(200, width, marks=pytest.mark.slow) for width in (32, 256)]


@pytest.mark.parametrize(("iterations", "width"), [(5, 32), *LONG])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("name", "basis"), LAYERS_AND_BASES)
def test_every_layer_trains_with_finite_gradients(
    name: str, basis: str, precision: str, iterations: int, width: int
) -> None:
    torch.manual_seed(0)
    grid = cfg.Coordinates(low=-1.0, high=1.0, sampling="centres")
    config = cfg.Reconstruction(
        data=cfg.Rooms(resolution=8),
        images=4,
        inr=cfg.Inr(basis=BASES[basis], layer=LAYERS[name], width=width, depth=4, coordinates=grid),
    )
    inrs = build_inrs(config)
    targets = torch.rand(4, 3, 8, 8) * 2 - 1
    optimizer = torch.optim.Adam(inrs.parameters(), lr=1e-3)
    for _ in range(iterations):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            images = inrs()
        loss = (images.float() - targets).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        for parameter in inrs.parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all()
        optimizer.step()
    assert all(parameter.isfinite().all() for parameter in inrs.parameters())
