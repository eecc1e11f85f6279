"""Tables for papers: each as a LaTeX file of its own that needs the packages `booktabs` and `longtable`."""

from __future__ import annotations

import re
import unicodedata
from typing import assert_never

from reports.page import Anchor, Code, Column, Grey, Link, Piece, Strong, Table, Text, pieces, shown

LONG_ROWS = 40
"""Tables of more rows than this may go over pages."""

GREEK = {
    **{"α": "alpha", "β": "beta", "γ": "gamma", "λ": "lambda", "μ": "mu", "ρ": "rho"},
    **{"σ": "sigma", "τ": "tau", "ω": "omega", "Δ": "Delta"},
}

SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': "''",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "−": "$-$",
    "÷": r"$\div$",
    "±": r"$\pm$",
    "∞": r"$\infty$",
    "≈": r"$\approx$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "√": r"$\surd$",
    "†": r"$\dagger$",
    "²": "$^2$",
    "³": "$^3$",
    "₁": "$_1$",
    "₂": "$_2$",
    **{sign: rf"$\{name}$" for sign, name in GREEK.items()},
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "å": r"\aa{}",
    "Å": r"\AA{}",
    "°": r"$^\circ$",
    "µ": r"$\mu$",
    "½": r"$\frac12$",
    "≠": r"$\neq$",
    "\u00a0": "~",
    "\u202f": "~",
    "\u200b": "",
}

ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u030c": "v", "\u0327": "c"}

FIRST_LINE = r"% Needs \usepackage{booktabs} and \usepackage{longtable}"


def escaped(text: str) -> str:
    """Plain text as LaTeX sets it, on one line. A sign that has no command stays: LuaLaTeX and XeLaTeX know it."""
    written = "".join(sign_of(sign) for sign in unicodedata.normalize("NFC", re.sub(r"[ \t\r\n]+", " ", text)))
    return re.sub(r"(?<!\w)'([^']*?)'(?!\w)", r"`\1'", written)


def sign_of(sign: str) -> str:
    """One sign: its command, its letter under an accent, or the sign itself."""
    if sign in SIGNS or sign.isascii():
        return SIGNS.get(sign, sign)
    parts = unicodedata.normalize("NFD", sign)
    letter, mark = parts[:1], parts[1:]
    return rf"\{ACCENTS[mark]}{{{letter}}}" if letter.isascii() and mark in ACCENTS else sign


def inline(text: Text) -> str:
    """A text; links are their words."""
    return "".join(piece(part) for part in pieces(text))


def piece(part: Piece) -> str:
    """One piece of a text."""
    match part:
        case str():
            return escaped(part)
        case Code(text):
            return typewriter(text)
        case Strong(text):
            return rf"\textbf{{{escaped(text)}}}"
        case Grey(text):
            return escaped(text)
        case Link(text, _, code, strong):
            return piece(Code(text) if code else Strong(text) if strong else text)
        case Anchor():
            return ""
        case _:
            assert_never(part)


def typewriter(text: str) -> str:
    """Typewriter text that may break after a dot or an underscore: LaTeX hyphenates none of it."""
    plain = "".join({"'": r"\textquotesingle{}", '"': r"\textquotedbl{}"}.get(s) or sign_of(s) for s in text)
    broken = re.sub(r"(\.|\\_)", r"\1\\allowbreak{}", plain)
    return rf"\texttt{{{broken}}}"


def specification(columns: tuple[Column, ...]) -> str:
    """The columns as `tabular` takes them: those with a share are paragraphs of that part of half the line."""
    whole = sum(column.share for column in columns if column.share and column.align == "left")
    widest = 0.3 if len(columns) > 8 else 0.55
    made = []
    for column in columns:
        if column.share and column.align == "left":
            made.append(rf"p{{{widest * column.share / whole:.2f}\linewidth}}")
        else:
            made.append(column.align[0])
    return "".join(made)


def table(part: Table, label: str) -> str:
    """The table with its caption and a label to refer to it."""
    part = shown(part)
    head = " & ".join(rf"\textbf{{{escaped(c.title)}}}" if c.title else "" for c in part.columns) + r" \\"
    # A row that begins with a bracket or a star would be read as an argument of the line's end before it.
    made_rows = [" & ".join(inline(text) for text in row) + r" \\" for row in part.rows]
    rows = ["{}" + row if row.startswith(("[", "*")) else row for row in made_rows]
    columns = specification(part.columns)
    caption = rf"\caption{{{inline(part.caption)}}}"
    note = [rf"\par\smallskip\footnotesize {inline(part.note)}"] if part.note else []
    if len(rows) > LONG_ROWS:
        lines = [
            r"\begingroup\footnotesize",
            rf"\begin{{longtable}}{{{columns}}}",
            rf"{caption}\label{{{label}}}\\",
            r"\toprule",
            head,
            r"\midrule",
            r"\endhead",
            *rows,
            r"\bottomrule",
            r"\end{longtable}",
            *note,
            r"\endgroup",
        ]
    else:
        lines = [
            r"\begin{table}",
            rf"{caption}\label{{{label}}}",
            r"\centering\footnotesize",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            head,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            *note,
            r"\end{table}",
        ]
    made = "\n".join(lines) + "\n"
    engine = "" if made.isascii() else ", and LuaLaTeX or XeLaTeX for some of its signs"
    return f"{FIRST_LINE}{engine}.\n{made}"
