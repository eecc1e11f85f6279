"""The studies there are. Those of the deck are files here, each declares `STUDY` and is called as its module is; others
are files of the user's, or come with installed packages (`studies.outside`)."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import InputError

if TYPE_CHECKING:
    from ablations.schema import Study

NAMES: tuple[str, ...] = (
    "lsun_bedroom_64",
    "siren_vs_fourier",
    "inr_layers",
    "inr_layers_gan",
    "changes_overview",
    "learning_rates",
    "lsun_bedroom_128",
    "model_size",
    "upsampling",
    "weight_clipping",
)
"""In the deck's order."""


@dataclass(frozen=True)
class Found:
    """A study, and the file that declares it where that was given: what commands name it by."""

    study: Study
    file: str | None = None


def find(text: str, runs: Path | None = None) -> Found:
    """The study of that name, or that the file at that path declares.

    `runs` is a folder of runs whose plans say which file declares a study that nothing else has the name of. Raises
    InputError: with the nearest name, or with file and line of what is wrong with it.
    """
    if text in NAMES:
        return Found(_built_in(text))
    from studies import outside  # Reading schemas takes most of the time that help and completion may take.

    if outside.is_file(text):
        return _from_file(Path(text))
    if points := outside.offered().get(text):
        return Found(outside.from_package(points))
    if runs is not None and (file := _planned_from(text, runs)) is not None:
        found = _from_file(file)
        if found.study.name == text:
            return found
        raise InputError(f"{file} declared '{text}' and declares '{found.study.name}' now: name the file to run that")
    names = [*NAMES, *outside.offered()]
    near = difflib.get_close_matches(text, names, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "--list shows the studies, and a path ending in .py names a file"
    raise InputError(f"there is no study '{text}': {hint}")


def study(text: str, runs: Path | None = None) -> Study:
    """See `find`."""
    return find(text, runs).study


def everything() -> tuple[list[Study], list[str]]:
    """All studies with a name, those of installed packages last, and one line for each that cannot be used."""
    from studies import outside

    found, refused = [_built_in(name) for name in NAMES], []
    for name, points in outside.offered().items():
        try:
            if name in NAMES:
                raise InputError(f"the study '{name}' of an installed package is not shown: one here has that name")
            found.append(outside.from_package(points))
        except InputError as error:
            refused.append(str(error))
    return found, refused


def _built_in(name: str) -> Study:
    declared: Study = importlib.import_module(f"studies.{name}").STUDY
    assert declared.name == name
    return declared


def _from_file(file: Path) -> Found:
    if file.stem in NAMES and file.exists() and file.samefile(Path(__file__).with_name(file.name)):
        return Found(_built_in(file.stem))
    from studies import outside

    declared = outside.from_file(file)
    if declared.name in NAMES:
        raise InputError(f"{file} declares the study '{declared.name}', which is one of the deck's here: rename it")
    return Found(declared, str(_from_here(file)))


def _from_here(file: Path) -> Path:
    """The path relative to the working folder where it lies below that, else absolute."""
    here = Path.cwd()
    return file.absolute().relative_to(here) if file.absolute().is_relative_to(here) else file.absolute()


def _planned_from(name: str, runs: Path) -> Path | None:
    """The file that declared a study when it was last planned, None where no plan names one."""
    from studies.plan import plan_folder, read_plan

    plans = sorted(plan_folder(runs, name).glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    files = [Path(plan.declared_in) for plan in map(read_plan, plans) if plan.declared_in is not None]
    if files and not files[-1].is_file():
        raise InputError(f"'{name}' was declared in {files[-1]}, which is not there now: give the path of its file")
    return files[-1] if files else None
