"""Words of the world on their way to people: names, titles and messages, whoever chose them, as one line that does
nothing to a terminal and that every stream can take."""

from __future__ import annotations

import codecs
import difflib
import io
import os
import re
import shlex
import string
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TextIO

ERRORS = "inr_gan_plain"
"""The name by which streams find `_plain`."""

PLAIN = {
    "·": "-",
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "…": "...",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "±": "+-",
    "•": "*",
    "✓": "ok",
    "✗": "x",
    "²": "2",
    "σ": "sigma",
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "λ": "lambda",
    "μ": "mu",
    "µ": "u",
    "Δ": "delta",
    "Σ": "sum",
}
"""The replacements of our own signs where a stream lacks them."""

PLAIN_LINES = tuple(f"{string.printable[:95]}\n" for _ in range(2))
"""Signs of every encoding that lines of text can be written in."""

ESCAPED = re.compile("[\udc80-\udcff]+")
"""Bytes that are no text in the locale's encoding."""

DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u2060\ufeff")
"""Signs that turn the order of what stands around them, or are nothing to see: a name could read as another one."""


def visible(text: str) -> str:
    """The text with every sign that would act in place of being shown written out, as \\x1b.

    Those are control characters, line breaks, signs of direction, and the halves that stand for bytes of a file's name
    that are no UTF-8, which are shown as those bytes.
    """
    if text.isprintable():
        return text
    return "".join(sign if _is_shown(sign) else _written_out(sign) for sign in of_path(text))


def of_path(text: str) -> str:
    """A file's name as it is meant, whatever the locale by which Python took its bytes apart: what is UTF-8 is that."""
    return ESCAPED.sub(lambda run: run[0].encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"), text)


def _is_shown(sign: str) -> bool:
    # Not isprintable alone, to which foreign spaces are no print, nor a sign that this Python does not know yet.
    return sign.isprintable() or (sign not in DIRECTIONS and unicodedata.category(sign) not in ("Cc", "Cs", "Zl", "Zp"))


def _written_out(sign: str) -> str:
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return sign.encode("unicode_escape").decode()


def in_json(text: str) -> str:
    """A document of JSON with every sign in it that would act on a terminal as JSON writes it, as \\u001b."""
    return "".join(sign if sign == "\n" or _is_shown(sign) else f"\\u{ord(sign):04x}" for sign in text)


def one_line(text: str) -> str:
    """The text in one line, `visible`."""
    return visible(" ".join(text.split()))


def typed(*words: str) -> str:
    """A command as a shell takes it, whatever is in its words, in one line."""
    return visible(shlex.join(words))


def code_span(text: str) -> str:
    """The text, `visible`, between so many of Markdown's backticks that none of its own ends it."""
    shown = visible(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    # Markdown takes one space off both ends where both have one.
    edged = shown.startswith(("`", " ")) or shown.endswith(("`", " "))
    return f"{fence} {shown} {fence}" if edged else f"{fence}{shown}{fence}"


def first_words(error: BaseException, most: int = 300) -> str:
    """The kind of an error and the first line of what it says that says something, `visible`."""
    line = first_line(str(error))
    return visible(f"{type(error).__name__}: {line}" if line else type(error).__name__)[:most]


def first_line(text: str) -> str:
    """The first line of a text that says something, "" where none does."""
    return next(full_lines(text), "")


def last_line(text: str) -> str:
    """The last line of a text that says something, "" where none does."""
    return ["", *full_lines(text)][-1]


def full_lines(text: str) -> Iterator[str]:
    """The lines of a text that say something."""
    return (line.strip() for line in text.splitlines() if line.strip())


def nearest(name: str, names: Sequence[str], least: float = 0.6) -> str | None:
    """The one of `names` that was probably meant by a wrong one; None where all of them are less alike than `least`."""
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=least)), None)


def meant(name: str, names: Sequence[str]) -> str:
    """A question after the `nearest` of `names`: "did you mean 'width'?", the empty string where there is none."""
    near = nearest(name, names)
    return "" if near is None else f"did you mean '{near}'?"


def open_streams() -> None:
    """Puts nothing in the place of a standard stream that was closed before the command began, as by `>&-`.

    The next file to be opened would get its number, and whatever is printed by a library or a child.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            handle = os.open(os.devnull, os.O_RDWR)
            os.dup2(handle, number, inheritable=True)
            if handle != number:
                os.close(handle)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def takes(stream: TextIO, text: str) -> bool:
    """Whether a stream has every sign of a text."""
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def degraded(text: str, stream: TextIO) -> str:
    """The text in signs that a stream has, for those who write past it."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, ERRORS).decode(encoding)


def degrade_streams() -> None:
    """Lets stdout and stderr take every sign: one that their encoding lacks is replaced by one or a few that it has.

    An encoding that is none for lines of text, as PYTHONIOENCODING may name one, gives way to UTF-8.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if _writes_lines(stream.encoding):
                stream.reconfigure(errors=ERRORS)
            else:
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _writes_lines(encoding: str) -> bool:
    """Whether lines of plain signs come back as they were: idna has no long ones, punycode adds signs of its own."""
    try:
        encoder, decoder = codecs.getincrementalencoder(encoding)(ERRORS), codecs.getincrementaldecoder(encoding)()
        written = b"".join(encoder.encode(line) for line in PLAIN_LINES)
        return decoder.decode(written) == "".join(PLAIN_LINES)
    except (UnicodeError, LookupError):
        return False


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_replaced(sign) for sign in missing), error.end


def _replaced(sign: str) -> str:
    for other in (PLAIN.get(sign, ""), unicodedata.normalize("NFKD", sign)):
        kept = "".join(part for part in other if not unicodedata.combining(part))
        if kept and kept.isascii():
            return kept
    return _written_out(sign)


codecs.register_error(ERRORS, _plain)
