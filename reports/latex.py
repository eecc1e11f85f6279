"""Tables for papers: each as a LaTeX file of its own that needs the packages `booktabs` and `longtable`."""

from __future__ import annotations

import re
from typing import assert_never

from reports.page import Anchor, Code, Column, Grey, Link, Piece, Strong, Table, Text, pieces

LONG_ROWS = 40
"""Tables of more rows than this may go over pages."""

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
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "ω": r"$\omega$",
    "Δ": r"$\Delta$",
    "é": r"\'e",
    "ä": r"\"a",
    "ö": r"\"o",
    "ü": r"\"u",
    "\u00a0": "~",
    "\u200b": "",
}


def escaped(text: str) -> str:
    """Plain text as LaTeX sets it. Raises ValueError for a sign that is not in `SIGNS`."""
    unknown = sorted({sign for sign in text if sign not in SIGNS and not sign.isascii()})
    if unknown:
        raise ValueError(f"no LaTeX for {' '.join(unknown)} in '{text}': add it to reports.latex.SIGNS")
    return re.sub(r"(?<!\w)'([^']*?)'(?!\w)", r"`\1'", "".join(SIGNS.get(sign, sign) for sign in text))


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
    broken = re.sub(r"(\.|\\_)", r"\1\\allowbreak{}", escaped(text))
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
    head = " & ".join(rf"\textbf{{{escaped(c.title)}}}" if c.title else "" for c in part.columns) + r" \\"
    rows = [" & ".join(inline(text) for text in row) + r" \\" for row in part.rows]
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
    return "\n".join(["% Needs \\usepackage{booktabs} and \\usepackage{longtable}.", *lines]) + "\n"
