"""The section of further measures: what its columns are called, what they hold, and what it says of lost runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.config import CleanFid, Config, Evaluation, Quality
from core.events import Evaluated
from reports.page import Heading, Link, Paragraph, Table
from reports.quality import caption, other_measures
from reports.results import Results, load
from reports.tables import anchor
from studies.plan import PlannedVariant
from tests.support.runs import planned, train_all

KEYS = ("kid", "precision", "recall", "density", "coverage", "infinity")


def table_of(results: Results) -> Table:
    heading, table = other_measures(results)
    assert heading == Heading("Other measures") and isinstance(table, Table)
    return table


def recorded(results: Results, variant: PlannedVariant, name: str) -> Sequence[float]:
    found = [
        event.value
        for seed in results.plan.seeds
        for event in results.folder(str(results.job(variant, seed)["run"])).events()
        if isinstance(event, Evaluated) and event.metric == f"fd_rooms/{name}"
    ]
    assert len(found) == len(results.plan.seeds)
    return found


def test_every_variant_has_mean_sd_and_n_of_every_measure(ladder_runs: Path) -> None:
    results = load("changes_overview", ladder_runs)
    table = table_of(results)
    variants = results.plan.variants
    assert [row[0] for row in table.rows] == [
        Link(v.title, f"#{anchor(v.name)}", strong=v is variants[0]) for v in variants
    ]
    heads = [column.title for column in table.columns]
    assert heads[1:] == ["kernel distance × 10³", *KEYS[1:5], "FD for N → ∞", "n"]
    for variant, row in zip(variants, table.rows, strict=True):
        assert row[-1] == "3"
        for name, cell in zip(KEYS, row[1:7], strict=True):
            values = np.array(recorded(results, variant, name)) * (1e3 if name == "kid" else 1)
            sign = " ×/÷ " if name == "infinity" else " ± "
            mean, spread = (float(part.replace(",", "")) for part in str(cell).split(sign))
            digits = len(str(cell).split(sign)[0].partition(".")[2])
            if name == "infinity":
                assert mean == pytest.approx(np.exp(np.log(values).mean()), abs=0.6 * 10**-digits)
                assert spread == pytest.approx(np.exp(np.log(values).std(ddof=1)), abs=0.006)
            else:
                assert mean == pytest.approx(values.mean(), abs=0.6 * 10**-digits)
                assert spread == pytest.approx(values.std(ddof=1), abs=0.6 * 10**-digits)


def test_a_proxy_is_not_given_the_names_of_inceptions_measures(ladder_runs: Path) -> None:
    results = load("changes_overview", ladder_runs)
    table = table_of(results)
    heads = [column.title for column in table.columns]
    assert not [head for head in heads if "KID" in head or "FID" in head]
    told = str(table.caption)
    assert "and is not KID" in told and "not FID∞" in told and "features, a proxy" in told
    assert "20 subsets of 250 images" in told and "at most 1,024 images" in told and "between 512 and 2,048" in told

    first = results.plan.variants[0]
    inception = PlannedVariant(
        **{**dict(first), "config": Config(evaluation=Evaluation(metric=CleanFid(), quality=Quality(smallest=2048)))}
    )
    told = caption(inception, Quality(smallest=2048), inception=True)
    assert "KID is unbiased" in told and "FID∞ is the FID" in told and "not" not in told.replace("nothing", "")


def test_nothing_is_averaged_over_survivors_and_nothing_is_said_of_runs_that_did_not_measure(tmp_path: Path) -> None:
    plan = planned(tmp_path, only=("baseline", "baseline..r1", "all"))
    train_all(tmp_path, plan, diverged={("baseline", 1)}, skip={("all", 0), ("all", 2)}, unmeasured={("all", 1)})
    rows = {
        str(row[0].text if isinstance(row[0], Link) else row[0]): row
        for row in table_of(load(plan.study, tmp_path)).rows
    }
    baseline, between, everything = rows.values()
    assert set(baseline[1:7]) == {"–"} and baseline[-1] == "1 of 3 diverged"
    assert set(everything[1:7]) == {"–"} and everything[-1] == "0"
    assert "–" not in between and between[-1] == "3"


def test_a_study_that_asks_for_none_has_no_section_and_one_without_runs_says_so(tmp_path: Path) -> None:
    plan = planned(tmp_path, overrides={"evaluation.quality": None}, only=("baseline",))
    train_all(tmp_path, plan)
    assert other_measures(load("changes_overview", tmp_path, plan.setting)) == []
    asked = planned(tmp_path, only=("baseline",))
    train_all(tmp_path, asked, unmeasured={("baseline", seed) for seed in asked.seeds})
    heading, said = other_measures(load("changes_overview", tmp_path, "cpu"))
    assert isinstance(heading, Heading) and said == Paragraph("No run has measured them yet.")
    fits = planned(tmp_path, "inr_layers", designs=("grid",), seeds=(0,))
    train_all(tmp_path, fits)
    assert other_measures(load("inr_layers", tmp_path)) == []


def test_thirty_variants_are_on_the_page(full_report: Path) -> None:
    text = (full_report / "report.md").read_text()
    section = text.split("## Other measures")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert len(rows) >= 28 and rows[0].count("|") == 9
    assert "1 of 3 diverged" in section and "nan" not in section
    assert text.index("## Other measures") < text.index("## What was run")
