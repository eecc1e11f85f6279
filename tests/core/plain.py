"""The plain step: INR-GAN as the formulas read, written in torch's everyday words and with its defaults.

What `core.step` does faster is held to this in tests, and timed against it in `tests/benchmarks/step.py`. One pass
through G serves both updates, as in torch's own DCGAN example. It knows what the `cpu` profile's variants need.
"""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core import config as cfg
from core.models.bases.fourier import Fourier
from core.models.discriminator import ResNetDiscriminator, StridedDiscriminator
from core.models.generator import Generator
from core.models.layers.factorized_se import FactorizedSE
from core.models.layers.linear import Linear
from core.step import Networks


class PlainGenerator(nn.Module):
    """`generator`'s parameters, and its images as the formulas have them."""

    def __init__(self, generator: Generator, config: cfg.Inr) -> None:
        super().__init__()
        self.generator, self.config = generator, config

    def forward(self, z: Tensor) -> Tensor:
        emitted = self.generator.hypernetwork(z)
        inr = self.generator.inr
        layers = [inr.coordinate_layer, *inr.hidden_layers, inr.rgb_layer]
        x = self.generator.coords_PI.expand(len(z), -1, -1)
        for index, (layer, numbers) in enumerate(zip(layers, emitted.split(inr.sizes, dim=1), strict=True)):
            weight, bias = self.weight_and_bias(layer, numbers)
            x = torch.bmm(x, weight) + bias.unsqueeze(1)
            if index == 0:
                x = torch.cat([torch.sin(x), torch.cos(x)], dim=-1) if isinstance(inr.basis, Fourier) else torch.sin(x)
            elif index < len(layers) - 1:
                x = torch.relu(x) if isinstance(inr.basis, Fourier) else torch.sin(x)
        size = self.generator.pixels.size
        return torch.tanh(x).permute(0, 2, 1).reshape(-1, 3, size, size)

    @staticmethod
    def weight_and_bias(layer: nn.Module, numbers: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(layer, Linear | FactorizedSE) and layer.gain == 1
        inputs, outputs = layer.inputs, layer.outputs
        if isinstance(layer, Linear):
            weight = layer.weight_std * numbers[:, : inputs * outputs].view(-1, inputs, outputs)
            return weight, layer.bias_std * numbers[:, inputs * outputs :]
        of_inputs = numbers[:, : inputs * layer.rank].view(-1, inputs, layer.rank)
        of_outputs = numbers[:, inputs * layer.rank : -outputs].view(-1, layer.rank, outputs)
        product = torch.bmm(of_inputs, of_outputs) * layer.product_scale
        return layer.weight_IO * 2 * torch.sigmoid(product), layer.bias_std * numbers[:, -outputs:]


class PlainStrided(nn.Module):
    """The strided D with its features flattened as torch lays them out."""

    def __init__(self, net: StridedDiscriminator) -> None:
        super().__init__()
        self.patch, self.stem, self.halvings = net.patch, net.stem, net.halvings
        channels = (net.halvings[-1] if len(net.halvings) else net.stem).out_channels
        side = math.isqrt(net.hidden.in_features // channels)
        self.hidden, self.score = net.hidden, net.score
        rows = net.hidden.weight.detach().view(-1, side, side, channels).permute(0, 3, 1, 2).flatten(1)
        self.hidden.weight = nn.Parameter(rows.contiguous())

    def forward(self, images: Tensor) -> Tensor:
        x = F.leaky_relu(self.stem(F.pixel_unshuffle(images, self.patch)), 0.2)
        for halve in self.halvings:
            x = F.leaky_relu(halve(x), 0.2)
        h = F.leaky_relu(self.hidden(x.flatten(1)), 0.2)
        group = math.gcd(len(h), 4)
        spread = torch.sqrt(h.view(group, -1, h.shape[1]).var(dim=0, unbiased=False) + 1e-8)
        return self.score(torch.cat([h, spread.mean(dim=1, keepdim=True).repeat(group, 1)], dim=1)).squeeze(1)


class PlainStep:
    """Trains copies of `networks`, which stay as they are; the images come from `networks.real`."""

    def __init__(self, config: cfg.Config, networks: Networks) -> None:
        self.config, self.real, self.random = config, networks.real, networks.latents
        self.mixtures = networks.mixtures
        own = copy.deepcopy(networks.generator)
        self.generator = PlainGenerator(own, config.inr)
        found = copy.deepcopy(networks.discriminator).to(memory_format=torch.contiguous_format)
        assert isinstance(found, StridedDiscriminator | ResNetDiscriminator)
        self.discriminator: nn.Module = PlainStrided(found) if isinstance(found, StridedDiscriminator) else found
        self.average = copy.deepcopy(self.generator) if config.ema else None
        adams, rates = config.optimizers, config.optimizers.learning_rates
        assert adams.multipliers == cfg.Multipliers()
        betas = [(adam.beta1, adam.beta2) for adam in (adams.generator, adams.discriminator)]
        self.g_optimizer = torch.optim.Adam(
            self.generator.parameters(), lr=rates.generator, betas=betas[0], eps=adams.generator.epsilon
        )
        self.d_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=rates.discriminator, betas=betas[1], eps=adams.discriminator.epsilon
        )
        self.g_steps = 0

    def __call__(self, iteration: int) -> dict[str, float]:
        """One iteration, from 1 on; returns its losses."""
        config, device = self.config, self.random.device
        real = self.real.take().images.float() / 127.5 - 1
        z = torch.randn(config.batch_size, config.hypernetwork.latent_dim, generator=self.random, device=device)
        updates_g = iteration % config.d_per_g == 0
        with torch.set_grad_enabled(updates_g):
            fake = self.generator(z)
        penalised = isinstance(config.penalty, cfg.GradientPenalty) or iteration % config.penalty.interval == 0
        if penalised and isinstance(config.penalty, cfg.R1):
            real.requires_grad_()
        self.d_optimizer.zero_grad()
        real_scores, fake_scores = self.discriminator(real), self.discriminator(fake.detach())
        if isinstance(config.loss, cfg.NonSaturating):
            d_loss = F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()
        else:
            d_loss = fake_scores.mean() - real_scores.mean()
        losses = {"d_loss": d_loss.item()}
        if penalised:
            penalty = self.penalty(real, real_scores, fake.detach())
            losses["penalty"] = penalty.item()
            d_loss = d_loss + penalty
        d_loss.backward()
        self.d_optimizer.step()
        losses |= {"real_score": real_scores.mean().item(), "fake_score": fake_scores.mean().item()}
        if updates_g:
            self.g_optimizer.zero_grad()
            scores = self.discriminator(fake)
            g_loss = F.softplus(-scores).mean() if isinstance(config.loss, cfg.NonSaturating) else -scores.mean()
            g_loss.backward()
            self.g_optimizer.step()
            losses["g_loss"] = g_loss.item()
            if self.average is not None:
                self.follow()
        return losses

    def penalty(self, real: Tensor, real_scores: Tensor, fake: Tensor) -> Tensor:
        penalty = self.config.penalty
        if isinstance(penalty, cfg.R1):
            (gradient,) = torch.autograd.grad(real_scores.sum(), real, create_graph=True)
            return penalty.weight * penalty.interval * gradient.square().sum(dim=(1, 2, 3)).mean()
        mix = torch.rand(len(real), generator=self.mixtures, device=real.device).view(-1, 1, 1, 1)
        mixed = (mix * real + (1 - mix) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(self.discriminator(mixed).sum(), mixed, create_graph=True)
        return penalty.weight * ((gradient.square().sum(dim=(1, 2, 3)) + 1e-12).sqrt() - 1).square().mean()

    @torch.no_grad()
    def follow(self) -> None:
        assert self.average is not None and self.config.ema is not None
        decay = min(self.config.ema.decay, (1 + self.g_steps) / (10 + self.g_steps))
        self.g_steps += 1
        for mine, theirs in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mine.mul_(decay).add_(theirs, alpha=1 - decay)
