"""An INR before training: pre-activations, gradients and arithmetic, recorded in `core.events.Built`."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from core.events import Built, LayerAtStart
from core.models.generator import Renderer
from core.models.layers.emitted import rms
from core.streams import stream

IMAGES = 16
PIXELS = 1024


def built(renderer: Renderer, emitted_BE: Tensor, critics: Iterable[nn.Module] = ()) -> Built:
    """The event of networks that stand, looked at with these emitted parameters."""
    return Built(
        iteration=0,
        images=0,
        seconds=0.0,
        emitted_parameters=renderer.inr.emitted,
        shared_parameters=_size(renderer.inr),
        generator_parameters=_size(renderer),
        discriminator_parameters=sum(map(_size, critics)),
        layer_parameters=renderer.inr.hidden_layers[0].emitted,
        macs=macs(renderer, emitted_BE),
        initial=at_start(renderer, emitted_BE),
    )


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def macs(renderer: Renderer, emitted_BE: Tensor) -> int:
    """Multiplications and additions of the matrix products that render one image."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        renderer.render(emitted_BE[:1].detach())
    return counter.get_total_flops() // 2


def at_start(renderer: Renderer, emitted_BE: Tensor) -> tuple[LayerAtStart, ...]:
    """Every layer's state for these emitted parameters, at most `IMAGES` of them at `PIXELS` pixels."""
    inr = renderer.inr
    layers = inr.layers
    emitted = emitted_BE[:IMAGES].detach().requires_grad_()
    pixels = torch.randperm(len(renderer.coords_PI), generator=stream(0, "diagnosed pixels"))[:PIXELS]
    coords = renderer.coords_PI[pixels.to(renderer.coords_PI.device)]
    outputs: list[float] = []
    hooks = [
        # Measured at once: activations overwrite their inputs.
        layer.register_forward_hook(lambda _module, _inputs, output: outputs.append(rms(output.detach())))
        for layer in layers
    ]
    try:
        rgb = inr(emitted, coords)
    finally:
        for hook in hooks:
            hook.remove()
    noise = torch.randn(rgb.shape, generator=stream(0, "diagnosis")).to(rgb.device)
    probe = (rgb * noise).sum() / (len(rgb) * math.sqrt(rgb[0].numel()))
    own = [list(layer.parameters()) for layer in layers]
    parameters = [parameter for group in own for parameter in group]
    by_emitted, *by_own = torch.autograd.grad(probe, [emitted, *parameters], allow_unused=True)
    states: list[LayerAtStart] = []
    for output, part, group in zip(outputs, by_emitted.split(inr.sizes, dim=1), own, strict=True):
        gradients, by_own = by_own[: len(group)], by_own[len(group) :]
        states.append(
            LayerAtStart(
                pre_activation=output,
                emitted_gradient=rms(part) if part.numel() else None,
                own_gradient=_rms_of_all(gradients),
            )
        )
    return tuple(states)


def _rms_of_all(gradients: Iterable[Tensor | None]) -> float | None:
    there = [gradient.flatten() for gradient in gradients if gradient is not None]
    return rms(torch.cat(there)) if there else None
