"""What readers call variants: no page, no label and no head of a table says `baseline` without what that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ablations.designs import all_title, base_title
from ablations.schema import DesignName
from core.files import write_whole
from reports import charts, figures
from reports.report import design_title
from reports.results import load
from studies.catalogue import study
from studies.plan import Plan, PlannedVariant, plan_file
from tests.support.pages import page_of
from tests.support.runs import planned, train_all

Labels = list[str]


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> Labels:
    """Every word that goes into a figure as the name of a row, a line or a design."""
    labels: Labels = []

    def noted(module: ModuleType, name: str, labels_of: Callable[..., Iterable[str]]) -> None:
        drawing = getattr(module, name)

        def note(*arguments: Any, **keywords: Any) -> Any:
            labels.extend(labels_of(*arguments))
            return drawing(*arguments, **keywords)

        monkeypatch.setattr(module, name, note)

    noted(figures, "sample_sheet", lambda rows, *_: [label for label, _ in rows])
    noted(charts, "curves", lambda ax, lines, *_: [line.label for line in lines])
    noted(charts, "ladder", lambda ax, rungs, *_: [rung.label for rung in rungs])
    noted(
        charts,
        "forest",
        lambda ax, rows, designs, groups: [*designs, *(row.label for row in rows), *(header for _, header in groups)],
    )
    return labels


def prose(text: str) -> str:
    """A page in Markdown without what is set as code, names in commands and in the appendix, and without targets."""
    said = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for mark_up in (r"`[^`]*`", r"\]\([^)]*\)", r"<a id=[^>]*>"):
        said = re.sub(mark_up, "", said)
    return said


EVERY: tuple[DesignName, ...] = ("ladder", "add_one_in", "leave_one_out")
ARMS = (
    "before: none of the ten changes | after: all − NS loss",
    "without: none of the ten changes | with |",
    "| compared at | none of the ten changes | all ten changes |",
)
CASES: tuple[tuple[str, tuple[DesignName, ...], tuple[str, ...]], ...] = (
    ("changes_overview", EVERY, ARMS),
    ("model_size", ("add_one_in",), ()),
    ("siren_vs_fourier", ("grid",), ()),
    ("lsun_bedroom_128", ("add_one_in",), ("# The full recipe at the larger size\n\nEmbedded rooms, 32×32. ",)),
    ("weight_clipping", ("add_one_in",), ()),
    ("upsampling", ("add_one_in",), ()),
    ("inr_layers_gan", ("add_one_in",), ()),
)


@pytest.mark.parametrize(("name", "designs", "phrases"), CASES, ids=[name for name, *_ in CASES])
def test_a_report_says_what_its_base_is_and_never_the_bare_word(
    tmp_path: Path, labels: Labels, name: str, designs: tuple[DesignName, ...], phrases: tuple[str, ...]
) -> None:
    train_all(tmp_path, planned(tmp_path, name, designs=designs, seeds=(0, 1)))
    text = page_of(name, runs=tmp_path)
    assert not re.search(r"baseline|no change over|over no change", prose(text), flags=re.IGNORECASE)
    assert f"`baseline` | {base_title(study(name))} | 0 |" in text  # Once, among the runs, as what commands take.
    assert labels and not [label for label in labels if "baseline" in label]
    assert any(base_title(study(name)) in label for label in labels)
    assert all(phrase in text for phrase in phrases)


def test_a_design_is_told_by_the_title_of_the_base() -> None:
    assert design_title("add_one_in", study("model_size")) == "add one in: to all ten changes"


def test_a_plan_of_an_earlier_day_is_told_by_the_titles_of_today(tmp_path: Path) -> None:
    plan = planned(tmp_path, only={"baseline", "all"}, seeds=(0,))
    train_all(tmp_path, plan)
    old = tuple(PlannedVariant(**{**dict(variant), "title": "no change"}) for variant in plan.variants)
    file = plan_file(tmp_path, plan.study, plan.setting)
    write_whole(file, Plan(**{**dict(plan), "variants": old}).model_dump_json().encode())
    results = load("changes_overview", tmp_path)
    titles = [base_title(results.study), all_title(results.study)]
    assert (
        [variant.title for variant in results.plan.variants]
        == titles
        == [results.title(n) for n in ("baseline", "all")]
    )
