"""The studies there are. Those of the deck are files here, each declares `STUDY` and is called as its module is; others
are files of the user's, or come with installed packages (`studies.outside`).

A file is run where its path was typed, never because a plan or another file names it: those may be somebody else's.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from ablations.schema import Study
from core.errors import InputError, unknown
from core.files import check_tree
from core.names import NAME, fits
from studies import outside
from studies.names import NAMES as NAMES  # Where help and completion find them without loading what this does.
from studies.plan import Plan, plan_folder, read_plan


@dataclass(frozen=True)
class Entry:
    """A study, and the file that declares it where commands name it by that."""

    study: Study
    file: str | None = None


def find(text: str, runs: Path | None = None) -> Entry:
    """The study that somebody typed: by its name, or by the path of the file that declares it, which is run.

    The plans in a folder of `runs` say which file to give for a name that nothing else has. Raises InputError: with
    that file, with the nearest name, or with file and line of what is wrong with it.
    """
    if text not in NAMES and outside.is_file(text):
        return _from_file(Path(text))
    return Entry(named(text, runs))


def named(name: str, runs: Path | None = None) -> Study:
    """The study of that name, of the deck's or of an installed package: runs no file, whoever the name is from.

    Raises InputError as `find` does.
    """
    if name in NAMES:
        return _built_in(name)
    if points := outside.offered().get(name):
        return outside.from_package(points)
    if runs is not None and (file := declared_in(name, runs)) is not None:
        gone = "" if Path(file).is_file() else ", which is not there now"
        raise InputError(f"the study '{name}' was declared in {file}{gone}: give the path of that file")
    otherwise = "--list shows the studies, and a path ending in .py names a file"
    raise unknown("study", name, [*NAMES, *outside.offered()], otherwise)


def study(text: str, runs: Path | None = None) -> Study:
    """See `find`."""
    return find(text, runs).study


def planned_name(text: str, runs: Path) -> str:
    """The name of a study for which its plans in `runs` are enough: no file is run for a bare name.

    Raises InputError as `find` does.
    """
    return text if plans_of(text, runs) else find(text, runs).study.name


def everything() -> tuple[list[Study], list[str]]:
    """All studies with a name, those of installed packages last, and one line for each that cannot be used."""
    studies, refused = [_built_in(name) for name in NAMES], []
    for name, points in outside.offered().items():
        try:
            if name in NAMES:
                raise InputError(f"the study '{name}' of an installed package is not shown: one here has that name")
            studies.append(outside.from_package(points))
        except InputError as error:
            refused.append(str(error))
    return studies, refused


def _built_in(name: str) -> Study:
    declared: Study = importlib.import_module(f"studies.{name}").STUDY
    assert declared.name == name
    return declared


def _from_file(file: Path) -> Entry:
    if file.stem in NAMES and file.exists() and file.samefile(Path(__file__).with_name(file.name)):
        return Entry(_built_in(file.stem))
    declared = outside.from_file(file)
    if declared.name in NAMES:
        raise InputError(f"{file} declares the study '{declared.name}', which is one of the deck's here: rename it")
    return Entry(declared, str(_from_here(file)))


def _from_here(file: Path) -> Path:
    """The path relative to the working folder where it lies below that, else absolute."""
    here = Path.cwd()
    return file.absolute().relative_to(here) if file.absolute().is_relative_to(here) else file.absolute()


def plans_of(name: str, runs: Path) -> list[Plan]:
    """The plans of the study of that name in `runs`, the last written last. Raises InputError for one that is none."""
    if not fits(NAME, name):
        return []
    folder = check_tree(runs, plan_folder(runs, name))
    return [read_plan(file) for file in sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)]


def declared_in(name: str, runs: Path) -> str | None:
    """The file that declared a study when it was last planned, as its plan says; None where no plan names one."""
    files = [plan.declared_in for plan in plans_of(name, runs) if plan.declared_in is not None]
    return files[-1] if files else None
