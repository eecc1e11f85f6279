"""Where the numbers of a page lead: to the rows of their runs in its appendix."""

from __future__ import annotations

from reports.page import Link, Strong, Text
from reports.results import Results


def anchor(variant: str) -> str:
    """The place of a variant's runs. Different names have different places."""
    for sign, word in (("..", "-to-"), ("+", "-with-"), (".", "-dot-")):
        variant = variant.replace(sign, word)
    return f"runs-{variant}"


def led(results: Results, name: str, text: str, *, strong: bool = False) -> Text:
    """`text`, a number of the variant of that name or alias, as a link to its runs; plain where it is not planned."""
    variant = results.variant(name)
    if variant is None or text == "–":
        return Strong(text) if strong else text
    return Link(text, f"#{anchor(variant.name)}", strong=strong)
