"""Inception features as clean-fid computes them (Parmar et al. 2022): its networks, its resizing, one mode each.

clean              PIL bicubic with antialiasing to 299 x 299, TorchScript Inception
legacy_tensorflow  TensorFlow's bilinear resizing inside the TorchScript Inception
legacy_pytorch     torch's bilinear resizing, pytorch-fid's Inception from a state dict

clean-fid reads its weights only from fixed places, one of which everybody on the machine may write to, fetches them in
place and without a checksum, and unpickles the state dict; here a file may be named, the sha256 of whatever is loaded
is checked before torch sees it, and of the state dict only tensors are loaded. Importing this module takes seconds.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from cleanfid import inception_pytorch
from cleanfid.downloads_helper import check_download_inception
from cleanfid.inception_torchscript import InceptionV3W
from cleanfid.resize import build_resizer
from torch import Tensor, nn

from core.errors import InputError
from core.metrics.features import Features
from core.metrics.identity import (
    INCEPTION_VARIABLE,
    check_weights,
    file_sha256,
    inception_file,
    inception_place,
)
from core.words import first_words

SIDE = 299


def inception_weights(mode: str) -> Path:
    """The weights file for a mode, fetched where there is none. Raises a one-line `InputError` where it cannot be."""
    file = inception_file(mode)
    if file is not None:
        return file
    place = inception_place(mode)
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".inception-", dir=place.parent) as aside:
            fetched = _fetch(mode, Path(aside))
            check_weights(mode, fetched, file_sha256(fetched))
            fetched.replace(place)
        return place
    except InputError as error:
        reason = f"what came is damaged: {error}"
    except OSError as error:
        reason = str(getattr(error, "reason", None) or error)
    raise InputError(
        f"Inception weights {place.name} are not in {place.parent} and cannot be fetched ({reason}): put the file "
        f"there, or set {INCEPTION_VARIABLE} to its path"
    )


def _fetch(mode: str, folder: Path) -> Path:
    if mode == "legacy_pytorch":
        path = folder / inception_pytorch.FID_WEIGHTS_URL.rsplit("/", 1)[-1]
        torch.hub.download_url_to_file(inception_pytorch.FID_WEIGHTS_URL, str(path), progress=False)
        return path
    return Path(check_download_inception(fpath=str(folder)))


@contextmanager
def _quiet() -> Iterator[None]:
    """torch deprecates TorchScript and torchvision the way clean-fid builds Inception; a user can do nothing there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _network(mode: str, file: Path) -> nn.Module:
    """The Inception of a mode with the weights in `file`, on the CPU. Raises `InputError` for any other file."""
    # Read once: what is loaded is what was checked, whoever may write to the file.
    content = file.read_bytes()
    check_weights(mode, file, hashlib.sha256(content).hexdigest())
    try:
        with _quiet():
            return _from_state_dict(content) if mode == "legacy_pytorch" else _from_torchscript(mode, content)
    except Exception as error:  # torch raises nearly anything where it cannot read a file
        raise InputError(f"this version of torch cannot read {file} ({first_words(error)}): use another one") from None


def _from_state_dict(content: bytes) -> nn.Module:
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)

    def loaded(*_: Any, **__: Any) -> Any:
        return state

    # clean-fid's constructor would download and unpickle; the tensors loaded above take that place.
    with mock.patch.object(inception_pytorch, "load_state_dict_from_url", loaded):
        network: nn.Module = inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False)
    return network.eval()


def _from_torchscript(mode: str, content: bytes) -> nn.Module:
    read = torch.jit.load(io.BytesIO(content), map_location="cpu")
    # clean-fid's class takes a folder, in which it would read a file anew.
    with mock.patch.object(torch.jit, "load", return_value=read):
        network: nn.Module = InceptionV3W("", download=False, resize_inside=mode == "legacy_tensorflow")
    return network.eval()


def inception_features(mode: str, file: Path, device: torch.device | str) -> Features:
    """2,048 features an image, as the mode computes them. Raises `InputError` for a file that is not what it needs."""
    network = _network(mode, file).requires_grad_(False).to(device)
    match mode:
        case "legacy_pytorch":

            def features(images: Tensor) -> Tensor:
                images = images.to(device).float()
                batch = F.interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
                pooled: Tensor = network(batch.clamp(0, 255) / 255)[0]
                return pooled.flatten(1)

        case "legacy_tensorflow":

            def features(images: Tensor) -> Tensor:
                pooled: Tensor = network(images.to(device).float())
                return pooled

        case "clean":
            resize: Callable[[np.ndarray], np.ndarray] = build_resizer("clean")
            pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))

            def features(images: Tensor) -> Tensor:
                with _quiet():
                    resized = list(pool.map(resize, images.permute(0, 2, 3, 1).cpu().numpy()))
                batch = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).to(device)
                pooled: Tensor = network(batch)
                return pooled

        case _:
            raise ValueError(f"unknown clean-fid mode {mode}")
    return features
