"""Where the numbers of a page lead: to the rows of their runs in its appendix."""

from __future__ import annotations

import hashlib
import re

from reports.page import Link, Strong, Text
from reports.results import Results

WORDS = (("..", "-to-"), ("+", "-with-"), (".", "-dot-"), ("@", "-at-"))


def anchor(variant: str) -> str:
    """The place of a variant's runs: letters, digits, hyphens and underscores. Different names have different ones."""
    written = variant
    for sign, word in WORDS:
        written = written.replace(sign, word)
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", written)
    if plain != written or any(word in variant for _, word in WORDS):
        # Another name may come to the same.
        plain += f"-{hashlib.sha256(variant.encode(errors='backslashreplace')).hexdigest()[:8]}"
    return f"runs-{plain}"


def led(results: Results, name: str, text: str, *, strong: bool = False) -> Text:
    """`text`, a number of the variant of that name or alias, as a link to its runs; plain where it is not planned."""
    variant = results.variant(name)
    if variant is None or text == "–":
        return Strong(text) if strong else text
    return Link(text, f"#{anchor(variant.name)}", strong=strong)
