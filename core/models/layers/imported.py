"""A layer whose class is not in this project: found, imported, and looked at before anything is trained with it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch

from core.config import Imported
from core.errors import InputError
from core.imported import check_unedited, described, file_of
from core.models.layers.emitted import EmittedLayer, rms
from core.streams import initialising
from core.words import first_words

IMAGES, PIXELS = 3, 5


def imported_class(layer: Imported) -> Callable[..., EmittedLayer]:
    """The class that `layer.target` names. Raises InputError where its file was edited, or has no such class."""
    check_unedited(layer)
    name, _, attribute = layer.target.partition(":")
    file = file_of(layer.target)
    try:
        module = _module(name, file, layer.sha256)
    except InputError:
        raise
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        raise InputError(
            f"layer {layer.target} cannot be imported: {line.filename}:{line.lineno}: {first_words(error)}"
        ) from error
    layer_class = getattr(module, attribute, None)
    if not (isinstance(layer_class, type) and issubclass(layer_class, EmittedLayer)):
        what = f"{file} has no such class"
        if layer_class is not None:
            what = f"it is no subclass of {EmittedLayer.__module__}.EmittedLayer"
        raise InputError(f"layer {layer.target}: {what}")
    if layer_class.weight_and_bias is EmittedLayer.weight_and_bias:
        raise InputError(f"layer {layer.target} does not say what its weight_and_bias is")
    return layer_class


def _module(name: str, file: Path, sha256: str) -> ModuleType:
    """The module made of exactly these bytes: Python's own cache takes an edit of the same second and size for none."""
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__sha256__", None) == sha256:
        return loaded
    package = name.rpartition(".")[0]
    if package:
        importlib.import_module(package)
    code = file.read_bytes()
    if (now := hashlib.sha256(code).hexdigest()) != sha256:
        raise InputError(f"{file} was edited while it was being loaded: give the command again")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__sha256__"] = now
    sys.modules[name] = module
    try:
        exec(compile(code, str(file), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def check_imported(layer: Imported, build: Callable[..., EmittedLayer], width: int) -> None:
    """Builds one and asks of it what an INR of this width does. Raises InputError for what it does not do.

    That is: W [B, I, O] and b [B, O] of `emitted` numbers an image; the same y by every form as by these; a gain that
    scales y, for without it the config's `inr.init` "unit" would do nothing.
    """
    name = f"layer {described(layer)}"
    with torch.no_grad(), initialising(0, "check of a layer"):
        try:
            made = build(width, width, weight_std=0.5, bias_std=0.1)
            numbers, x = torch.randn(IMAGES, made.emitted), torch.randn(IMAGES, PIXELS, width)
            weight, bias = made.weight_and_bias(numbers)
            y, plain = made(x, numbers), made.materialised(x, numbers)
            if type(made).structured is not EmittedLayer.structured:
                y = torch.cat([y, made.structured(x, numbers)])
                plain = torch.cat([plain, plain])
            before = rms(y)
            made.calibrate(x, numbers)
            after = rms(made(x, numbers))
        except Exception as error:
            own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is(frame.filename, layer)]
            where = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
            raise InputError(f"{name} cannot be used{where}: {first_words(error)}") from error
    if made.emitted < 1:
        raise InputError(f"{name} emits {made.emitted} numbers: at least one has to differ between images")
    shapes = (IMAGES, width, width), (IMAGES, width)
    if (tuple(weight.shape), tuple(bias.shape)) != shapes:
        raise InputError(
            f"{name}: weight_and_bias makes {list(weight.shape)} and {list(bias.shape)} of {IMAGES} images at width "
            f"{width}, not {list(shapes[0])} and {list(shapes[1])}"
        )
    if not torch.isfinite(y).all() or before == 0:
        raise InputError(f"{name} makes {'nothing but zeros' if before == 0 else 'numbers that are not finite'}")
    if y.shape != plain.shape or not torch.allclose(y, plain, rtol=1e-3, atol=1e-3 * before):
        raise InputError(f"{name}: forward computes something else than weight_and_bias says")
    if not abs(after - 1) < 1e-2:
        raise InputError(
            f"{name}: calibrated, its outputs have the root mean square {after:.3g}, not 1: multiply weight and bias "
            "by self.gain"
        )


def _is(filename: str, layer: Imported) -> bool:
    return Path(filename) == file_of(layer.target)
