"""Studies that live elsewhere: in a file of the user's, or in an installed package that offers them by entry points."""

from __future__ import annotations

import ast
import runpy
import sys
import traceback
from contextlib import redirect_stdout
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from pydantic import ValidationError

from ablations.schema import Study
from core.config import place_of
from core.errors import InputError
from core.words import first_words

GROUP = "inr_gan_ablations.studies"
"""The group of entry points, `name = "package.module:STUDY"`, by which an installed package offers studies."""


def is_file(text: str) -> bool:
    """Whether a study is meant by its file: a name has neither dots nor slashes."""
    return text.endswith(".py") or "/" in text


def make_findable(folder: Path) -> None:
    """Lets this process import modules that lie in `folder`, after all that it finds without."""
    # Last: a random.py beside a study must not take the place of Python's own in a worker.
    if str(folder.absolute()) not in sys.path:
        sys.path.append(str(folder.absolute()))


def from_file(file: Path) -> Study:
    """The `STUDY` that a Python file declares; modules beside the file are found from now on.

    The file is run. Raises InputError with file and line where that, or what it declares, cannot be used.
    """
    if not file.is_file():
        raise InputError(f"there is no file {file}: give the path of a study's file")
    if file.suffix != ".py":
        raise InputError(f"{file} is no Python file, and is not run: give the path of a study's file")
    make_findable(file.parent)
    try:
        # What it prints is no part of what the command says.
        with redirect_stdout(sys.stderr):
            declared = runpy.run_path(str(file))
    except (Exception, SystemExit) as error:
        raise InputError(f"{_where(error, file)}: {_words(error)}") from error
    study = declared.get("STUDY")
    if isinstance(study, Study):
        return study
    lines = _assignments(file)
    if "STUDY" in declared:
        where = f"{file}:{lines.get('STUDY', 1)}"
        raise InputError(f"{where}: STUDY is a {type(study).__name__}, no ablations.schema.Study")
    others = [name for name, value in declared.items() if isinstance(value, Study) and name in lines]
    hint = f"call {others[-1]} so" if others else "assign an ablations.schema.Study to that name"
    raise InputError(f"{file}:{lines[others[-1]] if others else 1}: the file declares no STUDY: {hint}")


def offered() -> dict[str, tuple[EntryPoint, ...]]:
    """What installed packages offer, by name; nothing is imported. A name with several belongs to none of them."""
    points: dict[str, tuple[EntryPoint, ...]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        points[point.name] = (*points.get(point.name, ()), point)
    return points


def from_package(points: tuple[EntryPoint, ...]) -> Study:
    """The study that an entry point names. Raises InputError where several have the name, and where it has none."""
    point, *others = points
    name = f"the study '{point.name}' of {_package(point)}"
    if others:
        among = " and ".join(_package(each) for each in points)
        raise InputError(f"the study '{point.name}' is offered by {among}: uninstall one, or give its file")
    try:
        with redirect_stdout(sys.stderr):
            study = point.load()
    except (Exception, SystemExit) as error:
        raise InputError(f"{name} cannot be loaded: {_where(error)}: {_words(error)}") from error
    if not isinstance(study, Study):
        raise InputError(f"{name}: {point.value} is a {type(study).__name__}, no ablations.schema.Study")
    if study.name != point.name:
        raise InputError(f"{name}: {point.value} is called '{study.name}': its entry point needs that name")
    return study


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _where(error: BaseException, file: Path | None = None) -> str:
    """File and line of an error: the innermost line of `file` itself where that is given and has one."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if file is not None and Path(frame.filename) == file]
    last = (own or frames)[-1]
    return f"{last.filename}:{last.lineno}"


def _words(error: BaseException) -> str:
    """What an error says, in one line."""
    match error:
        case ValidationError():
            first = error.errors()[0]
            if isinstance(inner := first.get("ctx", {}).get("error"), ValidationError):
                return _words(inner)
            given = f" (it is '{first['input']}')" if isinstance(first["input"], str) else ""
            # The title of a config, which is of either task, is no word for a person.
            at = f"{error.title}.".replace("tagged-union[Config,Reconstruction].", "") + place_of(first["loc"])
            return f"{at.removesuffix('.the config')}: {first['msg'].removeprefix('Value error, ')}{given}"
        case InputError():
            return str(error)
        case SyntaxError():
            return f"SyntaxError: {error.msg}"
        case KeyError() if error.args:
            # A KeyError's own text is the repr of what may be a sentence.
            return f"KeyError: {error.args[0]}"
    return first_words(error)


def _assignments(file: Path) -> dict[str, int]:
    """The names that a file assigns to, with the line of the last time."""
    stored = (node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Name))
    return {node.id: node.lineno for node in stored if isinstance(node.ctx, ast.Store)}
