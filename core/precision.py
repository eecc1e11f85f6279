"""The precision of products on a GPU: torch's own default is the coarser TF32 for convolutions.

On a CPU nothing here changes a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, assert_never

import torch

from core.config import Precision
from core.errors import InputError


@contextmanager
def float32_products(how: Literal["ieee", "tf32"]) -> Iterator[None]:
    """Matrix products and convolutions of float32 tensors on CUDA are exact to float32, or rounded to TF32's 10 bits.

    A setting of the process, restored on leaving; backward passes heed it as forward passes do.
    """
    # The stubs know neither attribute.
    backends: Any = torch.backends
    settings = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)
    before = [setting.fp32_precision for setting in settings]
    for setting in settings:
        setting.fp32_precision = how
    try:
        yield
    finally:
        for setting, was in zip(settings, before, strict=True):
            setting.fp32_precision = was


def products(precision: Precision) -> AbstractContextManager[None]:
    """For a whole iteration: how its float32 products are rounded."""
    match precision:
        case "float32" | "bfloat16":
            return float32_products("ieee")
        case "tf32":
            return float32_products("tf32")
        case _:
            assert_never(precision)


def forward(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """For forward passes alone: their products in bfloat16, their weights kept in float32, where `precision` says so.

    Leaving it forgets the weights' copies, so no optimiser may step inside.
    """
    match precision:
        case "float32" | "tf32":
            return nullcontext()
        case "bfloat16":
            return torch.autocast(device.type, torch.bfloat16)
        case _:
            assert_never(precision)


def check_precision(precision: Precision, device: torch.device) -> None:
    """Raises InputError where `device` has no such arithmetic, which would give other numbers than the config says."""
    if precision == "tf32" and (device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0)):
        where = "a CPU" if device.type == "cpu" else torch.cuda.get_device_name(device)
        raise InputError(
            f"precision is tf32 and {where} has no TF32: set float32, or train on an NVIDIA Ampere or newer"
        )
