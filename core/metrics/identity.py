"""The weights that metrics read features with, found without torch: for digests, protocols and `--dry-run`."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache, lru_cache
from pathlib import Path

from core.errors import InputError
from core.reading import record_of

INCEPTION_VARIABLE = "INR_GAN_INCEPTION"
"""Environment variable with the path of an Inception weights file, looked at before clean-fid's usual places."""

TORCHSCRIPT_INCEPTION = "inception-2015-12-05.pt"
STATE_DICT_SHA256 = "6726825d"
"""How the sha256 of pytorch-fid's Inception begins; its file's name says so."""

STATE_DICT_INCEPTION = f"pt_inception-2015-12-05-{STATE_DICT_SHA256}.pth"


def extractor_weights(resolution: int = 16) -> Path:
    """The shipped weights of the rooms extractor that sees `resolution` x `resolution` pixels, 16 or 32."""
    return Path(__file__).with_name(f"rooms{resolution}.safetensors")


def extractor_record(resolution: int = 16) -> Path:
    """What the weights were trained on and what they explain: JSON, beside them."""
    return Path(__file__).with_name(f"rooms{resolution}.json")


@cache
def extractor_sha256(resolution: int = 16) -> str:
    """sha256 (64 hex digits) of the shipped weights, as recorded when they were trained; `load_extractor` checks it."""
    record = extractor_record(resolution)
    try:
        return str(record_of(record, "reinstall the package")["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{record.name} is missing or damaged beside {__name__}: reinstall the package") from None


def inception_place(mode: str) -> Path:
    """Where clean-fid keeps the weights of a mode: a fixed folder for TorchScript, torch.hub's for the state dict."""
    if mode == "legacy_pytorch":
        home = os.environ.get("TORCH_HOME")
        base = Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
        return base.expanduser() / "hub" / "checkpoints" / STATE_DICT_INCEPTION
    return Path("." if platform.system() == "Windows" else "/tmp") / TORCHSCRIPT_INCEPTION


def inception_host(mode: str) -> str:
    """The host that clean-fid fetches the weights of a mode from."""
    return "github.com" if mode == "legacy_pytorch" else "nvlabs-fi-cdn.nvidia.com"


def inception_file(mode: str) -> Path | None:
    """The weights file to use: `INR_GAN_INCEPTION`, else clean-fid's usual place, else None (not fetched yet).

    Raises `InputError` where the variable names no file.
    """
    named = os.environ.get(INCEPTION_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise InputError(f"{INCEPTION_VARIABLE} names {named}, which is no file: correct or unset it")
        return Path(named)
    place = inception_place(mode)
    return place if place.is_file() else None


def file_sha256(path: Path) -> str:
    """sha256 of a file, remembered while its size and time of change stay the same."""
    stat = path.stat()
    return _file_sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _file_sha256(path: Path, _size: int, _mtime: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
