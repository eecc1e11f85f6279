"""Networks against their formulas: shapes, parameter counts, initial statistics."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from pydantic import ValidationError

from core import config as cfg
from core.build import build_discriminator, build_generator
from core.grids import Pixels
from core.models.bases.fourier import Fourier
from core.models.discriminator import minibatch_std
from core.models.ema import ExponentialAverage
from core.models.hypernetwork import Hypernetwork
from core.models.inr import BIAS_TO_WEIGHT_STD, Inr
from core.models.layers.linear import Linear
from tests.core.conftest import small_config


def test_the_decks_sizes() -> None:
    """A D of "10M parameters", and 264,323 emitted numbers for a linear Fourier INR 256x5."""
    d = build_discriminator(cfg.Config())
    assert sum(p.numel() for p in d.parameters()) == pytest.approx(10.14e6, rel=0.005)
    small_g = cfg.Hypernetwork(latent_dim=4, width=4, depth=2)
    for layer, emitted in ((cfg.Linear(), 264_323), (cfg.FactorizedSE(), 22_659)):
        inr = cfg.Inr(basis=cfg.Fourier(), layer=layer, width=256, depth=5)
        assert build_generator(cfg.Config(inr=inr, hypernetwork=small_g)).inr.emitted == emitted


def test_pixel_coordinates() -> None:
    corners = Pixels(2, cfg.Coordinates()).coordinates()
    assert corners.tolist() == [[0, 0], [0.5, 0], [0, 0.5], [0.5, 0.5]]
    centres = Pixels(2, cfg.Coordinates(low=-1.0, high=1.0, sampling="centres")).coordinates()
    assert centres.tolist() == [[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]]


def test_a_denser_corner_grid_contains_the_original_pixels() -> None:
    generator = build_generator(small_config()).eval()
    emitted = generator.hypernetwork(torch.randn(2, 8))
    torch.testing.assert_close(
        generator.render(emitted, generator.pixels.of_size(16))[:, :, ::2, ::2], generator.render(emitted)
    )


@pytest.mark.parametrize("norm", [None, cfg.BatchNorm()])
@pytest.mark.parametrize("residual_weight", [0.0, 0.1])
@pytest.mark.parametrize(("gain", "bias_std"), [(0.3, 1.0), (1.0, 0.0)])
def test_emission_has_the_declared_statistics(
    norm: cfg.BatchNorm | None, residual_weight: float, gain: float, bias_std: float
) -> None:
    torch.manual_seed(0)
    config = cfg.Hypernetwork(
        latent_dim=32,
        width=128,
        depth=3,
        norm=norm,
        residual_weight=residual_weight,
        emission=cfg.Emission(gain=gain, bias_std=bias_std),
    )
    emitted = Hypernetwork(config, [1000, 1000])(torch.randn(512, 32)).detach()
    assert emitted.var(dim=0).mean().sqrt().item() == pytest.approx(gain, rel=0.05)
    assert emitted.mean(dim=0).std().item() == pytest.approx(bias_std, abs=0.06)


def test_weight_clip_bounds_what_is_emitted() -> None:
    config = cfg.Hypernetwork(latent_dim=4, width=8, depth=2, weight_clip=0.25)
    emitted = Hypernetwork(config, [100])(torch.randn(16, 4))
    assert emitted.abs().max() == 0.25


@pytest.mark.parametrize("basis", [cfg.Siren(), cfg.Fourier(scale=4.0)])
@pytest.mark.parametrize("layer", [cfg.Linear(), cfg.FactorizedSE()])
def test_images_at_initialisation_vary_over_pixels_and_latents(basis: cfg.Basis, layer: cfg.Layer) -> None:
    torch.manual_seed(0)
    images = build_generator(small_config(inr=cfg.Inr(basis=basis, layer=layer, width=32, depth=3)))(torch.randn(32, 8))
    assert images.shape == (32, 3, 8, 8) and images.abs().max() <= 1
    assert images.std(dim=(2, 3)).mean() > 0.05 and images.std(dim=0).mean() > 0.05


@pytest.mark.parametrize("warmup", [True, False])
def test_average_follows_with_warm_up_and_without(warmup: bool) -> None:
    network = torch.nn.Linear(1, 1)
    average = ExponentialAverage(network, decay=0.5, warmup=warmup)
    start = network.weight.item()
    expected = start
    for step in range(8):
        with torch.no_grad():
            network.weight.fill_(start + step + 1)
        average.update(network)
        decay = min(0.5, (1 + step) / (10 + step)) if warmup else 0.5
        expected = decay * expected + (1 - decay) * (start + step + 1)
    assert average.network.weight.item() == pytest.approx(expected, rel=1e-5)


def test_an_average_of_a_network_with_batch_norm_has_its_running_statistics() -> None:
    """Parameters are averaged, buffers are the network's: of reset statistics, mean 0 and variance 1, the average would
    make other images than its parameters do."""
    torch.manual_seed(0)
    config = small_config(hypernetwork=cfg.Hypernetwork(latent_dim=8, width=16, depth=3, residual_weight=0.5))
    generator = build_generator(config)
    average = ExponentialAverage(generator, decay=0.5, warmup=False)
    fresh = {name: buffer.clone() for name, buffer in average.network.named_buffers()}
    for _ in range(5):
        generator(3 * torch.randn(64, 8) + 2)
        average.update(generator)
    theirs = dict(generator.named_buffers())
    followed = [name for name in fresh if "running" in name]
    assert followed and all(torch.equal(buffer, theirs[name]) for name, buffer in average.network.named_buffers())
    assert all(not torch.equal(fresh[name], theirs[name]) for name in followed)
    # Of parameters that stood still it is the network, in evaluation too.
    latents = torch.randn(4, 8)
    torch.testing.assert_close(average.network.eval()(latents), generator.eval()(latents))


def test_without_an_emission_the_last_maps_start_as_the_public_codes_connector() -> None:
    """nn.Linear's own weights, and its biases over the square root of their inputs: uniform within 1 / inputs."""
    torch.manual_seed(0)
    one = Hypernetwork(cfg.Hypernetwork(latent_dim=8, width=64, depth=2), [500, 700])
    headed = cfg.Hypernetwork(latent_dim=8, width=16, depth=2, heads=cfg.Heads(width=64, depth=2))
    heads = Hypernetwork(headed, [900, 0])
    assert one.output is not None and heads.heads is not None
    for output in (one.output, heads.heads[0].output):
        for parameter, bound in ((output.weight, 1 / 8), (output.bias, 1 / 64)):
            assert 0.97 * bound < parameter.abs().max().item() <= bound
            assert parameter.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_at_the_decks_sizes_it_emits_what_the_config_says() -> None:
    torch.manual_seed(0)
    for config, gain, bias_std in (
        (cfg.Hypernetwork(), 0.34, 0.23),
        (cfg.Hypernetwork(norm=None, residual_weight=0.1), 0.195, 0.15),
    ):
        emitted = Hypernetwork(config, [2000])(torch.randn(512, 512)).detach()
        assert emitted.std(0).square().mean().sqrt().item() == pytest.approx(gain, rel=0.05)
        assert emitted.mean(0).std().item() == pytest.approx(bias_std, rel=0.08)


def test_discriminator_scores_each_image_alone() -> None:
    discriminator = build_discriminator(small_config())
    images = torch.randn(4, 3, 8, 8)
    alone = torch.cat([discriminator(image[None]) for image in images])
    torch.testing.assert_close(discriminator(images), alone)


def test_minibatch_std_sees_whether_a_group_is_all_alike() -> None:
    """Images i and i + 2 (of four in groups of two) share a group: alike gives 0, +1 and -1 give std 1."""
    x = torch.tensor([1.0, 1.0, 1.0, -1.0]).view(4, 1).expand(4, 3)
    torch.testing.assert_close(minibatch_std(x, group=2), torch.tensor([[0.0], [1.0], [0.0], [1.0]]), atol=1e-3, rtol=0)


def test_heads_emit_one_layer_each_with_the_emission_asked_for() -> None:
    emission = cfg.Emission(gain=0.3, bias_std=1.0)
    config = cfg.Hypernetwork(
        latent_dim=32, width=64, depth=2, norm=None, residual_weight=0.1, emission=emission,
        heads=cfg.Heads(width=48, depth=3),
    )  # fmt: skip
    torch.manual_seed(0)
    network = Hypernetwork(config, [700, 0, 900, 400])
    assert network.output is None and network.heads is not None
    assert [head.output.out_features for head in network.heads] == [700, 900, 400]
    z = torch.randn(2048, 32)
    emitted = network(z).detach()
    assert emitted.shape == (2048, 2000)
    for part in emitted.split([700, 900, 400], dim=1):
        assert part.std(dim=0).square().mean().sqrt().item() == pytest.approx(0.3, rel=0.1)
        assert part.mean(dim=0).std().item() == pytest.approx(1.0, rel=0.15)
    # Independent: a head's parameters move its own layer's numbers alone.
    with torch.no_grad():
        network.heads[1].output.bias += 1
    moved = network(z).detach() - emitted
    torch.testing.assert_close(moved[:, 700:1600], torch.ones(2048, 900))
    assert moved[:, :700].abs().max() == 0 == moved[:, 1600:].abs().max()


def test_a_residual_layer_is_the_mean_square_preserving_sum_of_input_and_activation() -> None:
    config = cfg.Inr(basis=cfg.Fourier(scale=4.0), width=8, depth=3)
    torch.manual_seed(0)
    basis = Fourier(cfg.Fourier(scale=4.0))
    plain, residual = Inr(config, basis, Linear), Inr(cfg.Inr(**{**dict(config), "residual": True}), basis, Linear)
    coords = torch.rand(5, 2)
    emitted = torch.randn(2, plain.emitted)
    first, one, two, last = emitted.split(plain.sizes, dim=1)
    x = plain.embedded(first, coords)
    for layer, numbers in zip(plain.hidden_layers, (one, two), strict=True):
        x = (x + layer(x, numbers).relu()) / 2**0.5
    torch.testing.assert_close(residual(emitted, coords), plain.rgb_layer(x, last).tanh())


@pytest.mark.parametrize("layer", ["generated", "shared"])
def test_frequencies_are_spread_over_octaves_evenly(layer: Literal["generated", "shared"]) -> None:
    coordinates = cfg.Coordinates(low=-1.0, sampling="centres", layer=layer)
    spread = cfg.Fourier(scale=2.0, highest=2.0 * 2**6)
    config = small_config(inr=cfg.Inr(basis=spread, width=14, depth=3, coordinates=coordinates))
    weights = []
    for seed in range(300):
        torch.manual_seed(seed)
        inr = build_generator(config).inr
        emitted = torch.randn(1, inr.sizes[0])
        weight, bias = inr.coordinate_layer.weight_and_bias(emitted)
        weights.append(torch.cat([weight.reshape(2, 7), bias.reshape(1, 7) / BIAS_TO_WEIGHT_STD]).detach())
    found = torch.stack(weights).square().mean(dim=(0, 1)).sqrt()
    torch.testing.assert_close(found, 2.0 * 2.0 ** torch.arange(7), rtol=0.15, atol=0)
    # Power falls as the std rises.
    features = inr.embedded(emitted, torch.rand(4000, 2) * 200)
    power = features.square().mean(dim=(0, 1)).detach()
    torch.testing.assert_close(power, 0.5 / 2.0 ** torch.arange(7).repeat(2), rtol=0.15, atol=0)
    # Nothing of it is emitted or stored besides.
    plain = build_generator(config.replace(inr=config.inr.replace(basis=cfg.Fourier(scale=2.0))))
    assert plain.state_dict().keys() == build_generator(config).state_dict().keys()


def test_without_a_highest_frequency_a_layer_is_as_it_was() -> None:
    assert "highest" not in cfg.canonical(cfg.Fourier())
    assert cfg.canonical(cfg.Fourier(highest=300.0))["highest"] == 300.0
    with pytest.raises(ValidationError, match=r"inr\.basis\.highest is 1: it must be above inr\.basis\.scale, 100"):
        cfg.Fourier(highest=1.0)
