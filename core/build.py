"""From config node to module or function: one `match` per axis."""

from collections.abc import Callable
from functools import partial
from typing import Any, assert_never

import torch
from torch import Tensor

from core import config as cfg
from core import losses
from core.adam import Adam
from core.critics import Critic
from core.footprint import Footprint, cells_of
from core.grids import Grid, Pixels
from core.models.bases import Basis
from core.models.bases.fourier import Fourier
from core.models.bases.siren import Siren
from core.models.discriminator import ResNetDiscriminator, StridedDiscriminator
from core.models.generator import Generator
from core.models.inr import Inr, LayerFactory
from core.models.layers.adain import AdaIN
from core.models.layers.factorized import Factorized
from core.models.layers.factorized_se import FactorizedSE
from core.models.layers.imported import check_imported, imported_class
from core.models.layers.linear import Linear
from core.models.layers.mfilm import MFiLM
from core.models.layers.se_linear import SELinear
from core.models.multiscale import MultiScaleInr
from core.penalties import Penalty, R1Penalty, WganGp
from core.signals import Picture, Signal
from core.streams import initialising, stream
from core.views import View
from core.views.beside import Beside
from core.views.places import CHANNELS, PlaceChannels
from core.views.whole import Growing, Sizes, Whole, whole_cells
from core.views.windows import Drawing, Foveated, Windows

CHANNELS_LAST = torch.channels_last


def build_layer(layer: cfg.Layer) -> LayerFactory:
    """The hidden layer's class with its own settings bound."""
    match layer:
        case cfg.Linear():
            return Linear
        case cfg.SELinear(scale_inside=scale_inside):
            return partial(SELinear, scale_inside=scale_inside)
        case cfg.MFiLM(normalise=normalise, scale=scale):
            return partial(MFiLM, normalise=normalise, scale=scale)
        case cfg.Factorized(rank=rank, root_rank=root_rank):
            return partial(Factorized, rank=rank, root_rank=root_rank)
        case cfg.AdaIN():
            return AdaIN
        case cfg.FactorizedSE(rank=rank, root_rank=root_rank):
            return partial(FactorizedSE, rank=rank, root_rank=root_rank)
        case cfg.Imported(arguments=arguments):
            return partial(imported_class(layer), **arguments)
        case _:
            assert_never(layer)


def check_layer(inr: cfg.Inr) -> None:
    """Raises InputError for a layer that cannot be built or trained: one of somebody's own, where it has a mistake."""
    if isinstance(inr.layer, cfg.Imported):
        check_imported(inr.layer, build_layer(inr.layer), inr.width)


def build_basis(basis: cfg.Basis) -> Basis:
    """The activations of an INR's layers."""
    match basis:
        case cfg.Siren():
            return Siren(basis)
        case cfg.Fourier():
            return Fourier(basis)
        case _:
            assert_never(basis)


def build_domain(data: cfg.Data, coordinates: cfg.Coordinates) -> tuple[Grid, Signal]:
    """Where the INR of a sample is evaluated to train it, and what its values mean."""
    match data:
        case cfg.Rooms() | cfg.Images():
            return Pixels(data.resolution, coordinates), Picture()
        case _:
            assert_never(data)


def build_footprint(footprint: cfg.Footprint | None) -> Footprint | None:
    """What a pixel's area is to the INR."""
    match footprint:
        case None:
            return None
        case cfg.Averaged(points=points):
            return Footprint(points=points)
        case cfg.BoxMean():
            return Footprint(boxes=True)
        case _:
            assert_never(footprint)


def build_inr(config: cfg.Inr, grid: Grid, signal: Signal) -> Inr:
    """The INR, what it shares between samples initialised from torch's global random state."""
    basis, layer, footprint = build_basis(config.basis), build_layer(config.layer), build_footprint(config.footprint)
    sizes = {"inputs": grid.inputs, "channels": signal.channels}
    match config.scales:
        case None:
            return Inr(config, basis, layer, **sizes, footprint=footprint)
        case cfg.MultiScale():
            return MultiScaleInr(config, config.scales, cells_of(grid), basis, layer, **sizes, footprint=footprint)
        case _:
            assert_never(config.scales)


def build_generator(config: cfg.Config) -> Generator:
    """The generator, initialised from torch's global random state."""
    grid, signal = build_domain(config.data, config.inr.coordinates)
    inr = build_inr(config.inr, grid, signal)
    return Generator(inr, grid, signal, config.hypernetwork, calibrated=config.inr.init == "unit")


def build_discriminator(config: cfg.Config) -> torch.nn.Module:
    """The discriminator, initialised from torch's global random state."""
    return build_network(config.discriminator, config.looks, config)


def build_network(net: cfg.Discriminator, looks: cfg.Looks | cfg.Critic, config: cfg.Config) -> torch.nn.Module:
    """The network of a critic that looks so, initialised from torch's global random state."""
    pictures = 2 if isinstance(looks.view, cfg.Beside) else 1
    channels, size = pictures * (3 + (CHANNELS if looks.places else 0)), config.sizes_of(looks.view)[0]
    match net:
        case cfg.ResNetDiscriminator():
            return ResNetDiscriminator(net, size, channels).to(memory_format=CHANNELS_LAST)
        case cfg.StridedDiscriminator():
            return StridedDiscriminator(net, size, channels).to(memory_format=CHANNELS_LAST)
        case cfg.PooledDiscriminator(pool=pool):
            return StridedDiscriminator(net, size, channels, pool).to(memory_format=CHANNELS_LAST)
        case _:
            assert_never(net)


def build_penalty(penalty: cfg.Penalty, mixtures: torch.Generator) -> Penalty:
    """A critic's penalty; one that mixes real and generated samples draws from `mixtures`."""
    match penalty:
        case cfg.GradientPenalty(weight=weight):
            return WganGp(weight, penalty.interval, mixtures)
        case cfg.R1(weight=weight):
            return R1Penalty(weight, penalty.interval)
        case _:
            assert_never(penalty)


def build_view(looks: cfg.Looks | cfg.Critic, config: cfg.Config, seed: int, name: str = "") -> View:
    """What a critic of that name sees, drawn from a stream of its own where it is drawn."""
    coordinates, images = config.inr.coordinates, config.images_of(looks)
    size = config.sizes_of(looks.view)[0]
    stored = None if isinstance(config.fine, cfg.Scenes) else int(config.finest)
    drawing = Drawing(size, images, seed, name, stored)
    match looks.view:
        case cfg.Whole():
            return Whole()
        case cfg.Patches() as patches:
            return Windows(patches, coordinates, drawing, iterations=config.iterations)
        case cfg.Beside(patches=patches):
            windows = Windows(patches, coordinates, drawing, iterations=config.iterations)
            cut = isinstance(config.fine, cfg.Pool) and config.fine.share < 1
            return Beside(whole_cells(size, coordinates), windows, cut=cut)
        case cfg.Sizes() as sizes:
            return Sizes(sizes, coordinates, seed, name)
        case cfg.Growing() as growing:
            return Growing(growing, coordinates, config.iterations)
        case cfg.Foveated() as foveated:
            return Foveated(foveated, coordinates, drawing)
        case _:
            assert_never(looks.view)


def build_critics(
    config: cfg.Config, discriminator: torch.nn.Module, mixtures: torch.Generator, seed: int
) -> list[Critic]:
    """The critics that train G, the discriminator's first; others draw from streams of their own."""
    adams, rate = config.optimizers, config.optimizers.learning_rates.discriminator
    device = next(discriminator.parameters()).device
    looks = config.looks
    first = Critic(
        discriminator,
        build_optimizer(adams.discriminator, rate, discriminator),
        build_loss(config.loss),
        build_penalty(config.penalty, mixtures),
        build_view(looks, config, seed),
        images=None if looks.share == 1 else slice(0, config.images_of(looks)),
        places=_places(looks, config),
    )
    return [first, *(_further(critic, config, seed, device) for critic in config.critics)]


def _further(critic: cfg.Critic, config: cfg.Config, seed: int, device: torch.device) -> Critic:
    with initialising(seed, f"discriminator {critic.name}"):
        network = build_network(critic.discriminator or config.discriminator, critic, config).to(device)
    rate = critic.learning_rate or config.optimizers.learning_rates.discriminator
    mixtures = stream(seed, f"mixtures {critic.name}", device)
    return Critic(
        network,
        build_optimizer(config.optimizers.discriminator, rate, network),
        build_loss(config.loss),
        build_penalty(critic.penalty or config.penalty, mixtures),
        build_view(critic, config, seed, critic.name),
        images=None if critic.share == 1 else slice(-config.images_of(critic), None),
        places=_places(critic, config),
        mixtures=mixtures,
        weight=critic.weight,
        period=critic.period,
        name=critic.name,
    )


def _places(looks: cfg.Looks | cfg.Critic, config: cfg.Config) -> PlaceChannels | None:
    if looks.places is None:
        return None
    return PlaceChannels(looks.places.scale, whole_cells(config.data.resolution, config.inr.coordinates))


def build_loss(loss: cfg.Loss) -> tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """(loss of D of real and fake scores, loss of G of fake scores)."""
    match loss:
        case cfg.Wasserstein():
            return losses.wasserstein_d, losses.wasserstein_g
        case cfg.NonSaturating():
            return losses.non_saturating_d, losses.non_saturating_g
        case _:
            assert_never(loss)


def build_optimizer(adam: cfg.Adam, learning_rate: float, module: torch.nn.Module) -> Adam:
    """Adam over all parameters of `module`."""
    return _adam(adam, learning_rate, module.parameters())


def build_generator_optimizer(optimizers: cfg.Optimizers, generator: Generator) -> Adam:
    """G's Adam: one group for what the INR shares, one for the trunk, one for all that emits."""
    multipliers, rate = optimizers.multipliers, optimizers.learning_rates.generator
    shared, trunk = list(generator.inr.parameters()), list(generator.hypernetwork.trunk.parameters())
    grouped = {id(parameter) for parameter in (*shared, *trunk)}
    groups = [
        {"params": shared, "lr": multipliers.shared * rate},
        {"params": trunk, "lr": multipliers.mapping * rate},
        {"params": [parameter for parameter in generator.parameters() if id(parameter) not in grouped], "lr": rate},
    ]
    return _adam(optimizers.generator, rate, groups)


def _adam(adam: cfg.Adam, learning_rate: float, parameters: Any) -> Adam:
    betas = (adam.beta1, adam.beta2)
    return Adam(parameters, lr=learning_rate, betas=betas, eps=adam.epsilon)
