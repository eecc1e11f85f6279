"""The layout of a study's report, by the module that the study names: one of `reports.studies`, or its author's own."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ablations.schema import Study
from core.errors import InputError
from core.words import first_words
from reports import finding, studies
from reports.abstract import change_answers
from reports.page import Block, Text
from reports.report import Report
from reports.results import Results
from studies.plan import Plan


@dataclass(frozen=True)
class Layout:
    """`body` is the page from the question to the list of runs; `answers` are what an abstract says besides claims, the
    most important first; `finding` is that in sentences, the first of them short, for titles and terminals; `settings`
    are the plans that it reads beside the report's own.
    """

    body: Callable[[Report], list[Block]]
    answers: Callable[[Report], list[Text]]
    finding: Callable[[Report], list[str]]
    settings: Callable[[Results], list[Plan]]


def none_beside(results: Results) -> list[Plan]:
    """The other settings that a report of one setting reads."""
    return []


def layout_of(study: Study) -> Layout:
    """How this study is reported: by the `body` of the module that `Study.report` names, and its `answers`, `finding`
    and `settings` where it has them. Raises InputError where there is no such module, or nothing in it."""
    name = study.report or ("alternatives" if study.groups else "changes")
    where = f"the study '{study.name}' names the report '{name}'"
    ours = (Path(studies.__file__).parent / f"{name}.py").exists()
    try:
        module = importlib.import_module(f"{studies.__name__}.{name}" if ours else name)
    except Exception as error:
        raise InputError(f"{where}, which cannot be imported: {first_words(error)}") from error
    body = getattr(module, "body", None)
    if not callable(body):
        raise InputError(f"{where}, which has no function body(report)")
    return Layout(
        body,
        getattr(module, "answers", change_answers),
        getattr(module, "finding", finding.sentences),
        getattr(module, "settings", none_beside),
    )
