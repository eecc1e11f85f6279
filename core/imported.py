"""Layers of somebody's own, named in a config and found in their files without importing them: no torch."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.config import Imported, Node
from core.errors import InputError
from core.metrics.identity import file_sha256
from core.words import typed


def imported(target: str, **arguments: bool | int | float | str | None) -> Imported:
    """The config node of the layer "module:Class", its file as it is now; `arguments` are its constructor's own.

    The module is one beside the study's file, or of an installed package. Raises InputError where there is none.
    """
    return Imported(target=target, arguments=arguments, sha256=file_sha256(file_of(target)))


def file_of(target: str) -> Path:
    """The file of the module in "module:Class". Raises InputError where nothing has the name."""
    module = target.partition(":")[0]
    name, search = "", None
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        # Not importlib's find_spec, which would import the packages around the module.
        specs = (finder.find_spec(name, search) for finder in sys.meta_path)
        try:
            spec = next((spec for spec in specs if spec is not None), None)
        except KeyError:
            # A folder without it is found by way of the package around, which is not imported.
            raise InputError(
                f"layer {target}: a package around a layer needs its __init__.py in every folder"
            ) from None
        if spec is None:
            raise InputError(
                f"layer {target}: there is no module {name}: put {part}.py beside the study's file, or its folder "
                "into PYTHONPATH"
            )
        search = spec.submodule_search_locations
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise InputError(f"layer {target}: {module} is no Python file, which a layer has to be in")
    return Path(spec.origin)


def check_unedited(layer: Imported) -> None:
    """Raises InputError where the layer's file is not there, or is not what it was when the config was made."""
    file = file_of(layer.target)
    now = file_sha256(file)
    if now != layer.sha256:
        raise InputError(
            f"layer {layer.target}: {file} was edited since this run was planned (sha256 {layer.sha256[:12]}, now "
            f"{now[:12]}): bring it back, or give the command again, for which it is another run"
        )


def described(layer: Imported) -> str:
    """As people write it: low_rank:LowRank(rank=4)."""
    return f"{layer.target}({', '.join(f'{name}={value}' for name, value in layer.arguments.items())})"


def check_allowed(config: Node, folders: Sequence[Path], near: Sequence[Path]) -> None:
    """Raises InputError for a layer whose file is neither of an installed package nor below one of `folders`: a config
    may be anybody's, and the file would be run. These folders are searched from now on, after all others.

    `near` are folders where such a file may lie as well: one there is named.
    """
    for folder in folders:
        if str(folder.resolve()) not in sys.path:
            sys.path.append(str(folder.resolve()))
    allowed = [*INSTALLED, *(folder.resolve() for folder in folders)]
    for layer in _layers_in(config):
        file = _file_near(layer.target, near)
        if any(file.resolve().is_relative_to(folder) for folder in allowed):
            continue
        module = layer.target.partition(":")[0]
        folder = file.parents[module.count(".")]
        raise InputError(
            f"layer {layer.target} would run {file} (sha256 {file_sha256(file)[:12]}), which is of no installed "
            f"package: read it, and add {typed('--allow-code', str(folder))} if you trust it"
        )


INSTALLED = (
    Path(sysconfig.get_path("purelib")).resolve(),
    Path(sysconfig.get_path("platlib")).resolve(),
    Path(__file__).resolve().parent,
)
"""Where installed packages are, and the layers here."""


def _layers_in(part: object) -> Iterator[Imported]:
    if isinstance(part, Imported):
        yield part
    elif isinstance(part, Node):
        for name in type(part).model_fields:
            yield from _layers_in(getattr(part, name))


def _file_near(target: str, near: Sequence[Path]) -> Path:
    try:
        return file_of(target)
    except InputError:
        beside = (folder / Path(*target.partition(":")[0].split(".")).with_suffix(".py") for folder in near)
        if (file := next((file for file in beside if file.is_file()), None)) is None:
            raise
        return file
