"""Which files of a folder or zip are images, and what all the others are: nothing is left out without being counted.

An image is a file whose name ends in one of `SUFFIXES`. Left out are other files (labels, readmes, formats that are not
read), names that start with a dot and the Mac's `__MACOSX`, and what this program made itself (`core.data.own`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.config import Node
from core.data.own import is_own, own_folders
from core.errors import InputError
from core.file_names import stored
from core.words import visible

SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".avif", ".avifs"),
    }
)
"""All the endings that files of `core.data.images.FORMATS` have; not .pfm, whose pixels have no range."""

LMDB_FILE = "data.mdb"

OWN = "pictures that this program made"
HIDDEN = "hidden pictures"
NO_FILES = "names without a file"
REPEATED = "pictures under a name that comes again"

NAMED, KINDS = 3, 12
"""So many of a kind are named, and so many kinds told apart."""


class LeftOut(Node):
    """Files that are no part of a set: what, how many, and the first of them, or the folders that they are in."""

    what: str
    count: int
    first: tuple[str, ...]

    @property
    def words(self) -> str:
        """As people read it: "3 files ending in .heic (a.heic, b.heic, c.heic)"."""
        more = ", …" if self.count > len(self.first) and self.what != OWN else ""
        noun, _, rest = self.what.partition(" ")
        what = f"{noun.removesuffix('s') if self.count == 1 else noun} {rest}".strip()
        return visible(f"{self.count:,} {what} ({', '.join(self.first)}{more})")


def left_out_words(left_out: Sequence[LeftOut]) -> str:
    """One line, empty where nothing is left out."""
    return f"left out: {'; '.join(each.words for each in left_out)}" if left_out else ""


@dataclass
class Listing:
    """`names` of the images in order, as they are `stored`; `lmdbs` are folders that hold one."""

    names: list[str] = field(default_factory=list)
    lmdbs: list[str] = field(default_factory=list)
    left_out: tuple[LeftOut, ...] = ()


def of_folder(path: Path) -> Listing:
    """The contents of a folder and those below it; links are followed, but for those to a folder above."""
    return _listing(_walked(path), root_is_own=lies_in_own(path), is_file=lambda name: os.path.isfile(path / name))  # noqa: PTH113


def of_names(names: Iterable[str]) -> Listing:
    """The contents of an archive, by the paths of its files. Of a name that comes twice the last is taken."""
    seen = Counter(names)
    below: dict[str, tuple[list[str], dict[str, None]]] = {"": ([], {})}
    for name in seen:
        *folders, file = name.split("/")
        here = ""
        for folder in folders:
            inner = f"{here}{folder}/"
            below[here][1][folder] = None
            below.setdefault(inner, ([], {}))
            here = inner
        below[here][0].append(file)
    listing = _listing((here, files, list(folders)) for here, (files, folders) in below.items())
    taken = set(listing.names)
    again = [name for name, count in seen.items() if count > 1 and stored(name) in taken]
    if again:
        count = sum(seen[name] - 1 for name in again)
        listing.left_out += (LeftOut(what=REPEATED, count=count, first=_first(again)),)
    return listing


def lies_in_own(path: Path) -> bool:
    """Whether a folder is one of those that this program writes its pictures into, or lies in one."""
    here = path.resolve()
    folders: list[str] = []
    while True:
        with suppress(OSError):
            entries = list(os.scandir(here))
            folders = [entry.name for entry in entries if entry.is_dir()]
            if is_own(here.name, [entry.name for entry in entries], folders):
                return True
        if here == here.parent:
            return False
        beside: list[str] = []
        with suppress(OSError):
            beside = [entry.name for entry in os.scandir(here.parent) if entry.is_dir()]
        if here.name in own_folders(beside):
            return True
        here = here.parent


_Walk = Iterable[tuple[str, Collection[str], Collection[str]]]
"""Folders with what is in them, each before those in it: its path with "/" behind it, its files, its folders."""


def _walked(path: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be read ({error.strerror}): correct its permissions")

    above = {path: {path.resolve()}}
    for folder, folders, files in os.walk(path, followlinks=True, onerror=refuse):
        here = Path(folder)
        inside = here.relative_to(path).as_posix()
        # A link to a folder above would never end.
        real = {name: (here / name).resolve() for name in folders}
        folders[:] = [name for name in folders if real[name] not in above[here]]
        above |= {here / name: above[here] | {real[name]} for name in folders}
        del above[here]
        yield "" if inside == "." else f"{inside}/", files, folders


def _listing(walk: _Walk, *, root_is_own: bool = False, is_file: Callable[[str], bool] = lambda name: True) -> Listing:
    names: list[str] = []
    lmdbs: list[str] = []
    others: dict[str, list[str]] = {}
    # What lies in a folder of ours, by the outermost; "" where it is not ours.
    own: dict[str, str] = {"": "." if root_is_own else ""}
    pictures: Counter[str] = Counter()
    for here, files, folders in walk:
        mine = own.pop(here, "")
        if here and not mine and is_own(here.split("/")[-2], files, folders):
            mine = here
        ours = own_folders(folders)
        own |= {f"{here}{name}/": mine or (f"{here}{name}/" if name in ours else "") for name in folders}
        if here and LMDB_FILE in files:
            lmdbs.append(here.rstrip("/"))
        hidden = _is_hidden(here)
        for file in files:
            name = here + file
            ending = os.path.splitext(file)[1].lower()  # noqa: PTH122 (ten times faster)
            picture = ending in SUFFIXES
            if mine:
                pictures[mine] += picture
            elif hidden or file.startswith("."):
                if picture:
                    others.setdefault(HIDDEN, []).append(name)
            elif not is_file(name):
                others.setdefault(NO_FILES, []).append(name)
            elif picture:
                names.append(name)
            else:
                others.setdefault(f"files ending in {ending}" if ending else "files without an ending", []).append(name)
    return Listing([stored(name) for name in sorted(names)], sorted(map(stored, lmdbs)), _left_out(others, pictures))


def _is_hidden(folder: str) -> bool:
    parts = folder.split("/")
    return any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts)


def _left_out(others: dict[str, list[str]], own: Counter[str]) -> tuple[LeftOut, ...]:
    entries = []
    if count := own.total():
        places = [place for place in own if own[place]]
        entries.append(LeftOut(what=OWN, count=count, first=(*_first(places), *["…"][: len(places) > NAMED])))
    kinds = sorted(others, key=lambda what: (-len(others[what]), what))
    entries += [
        LeftOut(what=stored(what), count=len(others[what]), first=_first(others[what])) for what in kinds[:KINDS]
    ]
    if rest := [name for what in kinds[KINDS:] for name in others[what]]:
        entries.append(LeftOut(what="files with other endings", count=len(rest), first=_first(rest)))
    return tuple(entries)


def _first(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(stored(name) for name in sorted(names)[:NAMED])
