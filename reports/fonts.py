"""Letters that the fonts of our pages and figures lack: they come from another font of this machine, and where none has
them they are shown as their code points, so that nothing is a box.

What the bundled fonts have looks the same everywhere; another font is asked for the other letters alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import matplotlib
from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from core.words import visible

FIGURES = "DejaVu Sans"
"""The font of figures, bundled with matplotlib."""

TYPST = "DejaVu Sans Mono"
"""One that typst is bundled with, and matplotlib, too: what it has no page lacks."""

TYPST_MORE = (
    (0x0591, 0x05C7), (0x05D0, 0x05EA), (0x0900, 0x097F), (0x2460, 0x24FF), (0x27F8, 0x2986), (0x2A01, 0x2A2E),
    (0x1D400, 0x1D454),
)  # fmt: skip
"""The signs of other fonts that typst is bundled with: Hebrew, Devanagari, enclosed and mathematical signs."""

UNSEEN = ("Cf", "Mn", "Me", "Cc")
"""Kinds of signs that only act on their neighbours: one that no font has is left out."""


@dataclass
class Lacking:
    """The signs that no font here has, collected while a report is made."""

    signs: set[str] = field(default_factory=set)

    @property
    def line(self) -> str | None:
        """One line that says so, with the remedy."""
        if not self.signs:
            return None
        shown = sorted(self.signs)
        named = ", ".join(f"{sign} (U+{ord(sign):04X})" for sign in shown[:5])
        more = f" and {len(shown) - 5} more signs" if len(shown) > 5 else ""
        return (
            f"no font here has {named}{more}: report.pdf and figures show code points instead; install a font that has "
            "them (Debian: fonts-noto-core, fonts-noto-cjk; or put its file into ~/.local/share/fonts) and render again"
        )


_words: ContextVar[str] = ContextVar("words", default="")
_there: ContextVar[frozenset[str]] = ContextVar("there", default=frozenset())
_lacking: ContextVar[Lacking | None] = ContextVar("lacking", default=None)


@contextmanager
def expecting(words: str) -> Iterator[Lacking]:
    """Has fonts ready for what is about to be written, and collects what they lack."""
    lacking = Lacking()
    before = _words.set(words), _lacking.set(lacking)
    try:
        yield lacking
    finally:
        _words.reset(before[0])
        _lacking.reset(before[1])


@lru_cache(maxsize=1024)
def _has(file: str) -> frozenset[str]:
    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()  # A file that is no font helps nobody.


@lru_cache(maxsize=8)
def _bundled(name: str) -> str:
    return findfont(FontProperties(family=name), fallback_to_default=False)


@lru_cache(maxsize=1)
def _others() -> tuple[str, ...]:
    """The fonts of this machine, those first that go with ours: whole families for many scripts, upright, regular."""
    # Asked of the machine itself: matplotlib's own list is as old as its cache.
    files = [_bundled(FIGURES), *sorted(findSystemFonts())]

    def last(file: str) -> tuple[bool, ...]:
        name = Path(file).name.lower()
        return (
            file != files[0],
            "noto" not in name,
            "sans" not in name,
            any(part in name for part in ("bold", "italic", "oblique", "light", "thin", "black", "mono", "condensed")),
        )

    return tuple(sorted(dict.fromkeys(files), key=last))


@lru_cache(maxsize=64)
def fallback(missing: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Files of fonts that together have these signs, as many of them as any has, and the signs that none has."""
    chosen = []
    lacking = set(missing)
    while lacking:
        best = max(_others(), key=lambda file: len(lacking & _has(file)), default=None)
        if best is None or not lacking & _has(best):
            break
        chosen.append(best)
        lacking -= _has(best)
    return tuple(chosen), frozenset(lacking)


def beyond(text: Iterable[str], font: str) -> frozenset[str]:
    """The signs of a text that a bundled font lacks; line breaks and spaces need none."""
    return frozenset(sign for sign in set(text) if not sign.isascii() and not sign.isspace()) - _has(_bundled(font))


def legible(text: str, missing: frozenset[str]) -> str:
    """The text with the signs that no font has as their code points, those of a word together."""
    if missing.isdisjoint(text):
        return text
    if (lacking := _lacking.get()) is not None:
        lacking.signs |= {sign for sign in missing & set(text) if unicodedata.category(sign) not in UNSEEN}
    together = "".join(re.escape(sign) for sign in sorted(missing))
    return re.sub(f"[{together}]+", lambda run: _code_points(run[0]), text)


def _code_points(signs: str) -> str:
    named = [f"U+{ord(sign):04X}" for sign in signs if unicodedata.category(sign) not in UNSEEN]
    return f"[{' '.join(named)}]" if named else ""


@lru_cache
def _family(file: str) -> str:
    fontManager.addfont(file)
    return str(fontManager.ttflist[-1].name)


# --- figures ----------------------------------------------------------------------------------------------------------


@contextmanager
def drawing() -> Iterator[None]:
    """Within it texts of figures have fonts for all their signs, and what none has as code points."""
    files, _ = fallback(beyond(_words.get(), FIGURES))
    families = [FIGURES, *map(_family, files)]
    there = _there.set(frozenset[str]().union(_has(_bundled(FIGURES)), *map(_has, files)))
    plain_set = Text.set_text

    def set_text(self: Text, s: object) -> None:
        plain_set(self, shown("" if s is None else str(s)))

    # Ticks are given their words while a figure is drawn: this is where all words of figures pass.
    Text.set_text = set_text  # type: ignore[method-assign]
    try:
        with matplotlib.rc_context({"font.family": families, "text.parse_math": False}):
            yield
    finally:
        Text.set_text = plain_set  # type: ignore[method-assign]
        _there.reset(there)


def shown(text: str) -> str:
    """The text as a figure has it."""
    if text.isascii() and text.isprintable():
        return text
    text = "\n".join(visible(line) for line in text.split("\n"))
    there = _there.get() or _has(_bundled(FIGURES))
    return legible(text, frozenset(sign for sign in text if not sign.isascii() and not sign.isspace()) - there)


# --- pages ------------------------------------------------------------------------------------------------------------


def for_page(source: str) -> tuple[tuple[str, ...], str]:
    """Files of the fonts that a page of typst needs beside those it is bundled with, and its source, in which what none
    has is written as code points."""
    missing = frozenset(sign for sign in beyond(source, TYPST) if not _in_typst(sign))
    files, lacking = fallback(missing)
    return files, legible(source, lacking)


def _in_typst(sign: str) -> bool:
    return any(low <= ord(sign) <= high for low, high in TYPST_MORE) or unicodedata.category(sign) in UNSEEN
