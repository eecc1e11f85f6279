"""Two reports side by side: made-up tables with known ratios, and folders as the runner writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from core.errors import InputError
from reports import compare, side_by_side, stats
from reports.render import main, render, render_comparison
from reports.results import TIDY_COLUMNS
from tests.reports.synthetic import planned, train_all

INF = math.inf
Values = Mapping[str, Sequence[float | None]]


def kept(
    folder: Path,
    values: Values,
    *,
    metric: str = "fd_rooms",
    seeds: Sequence[int] | None = None,
    tag: str = "",
    iteration: int = 800,
    further: Mapping[str, float] | None = None,
) -> str:
    """A report folder whose results.csv has these last values; None is a run that failed, inf one that diverged.

    As of a version that recorded neither protocols nor which metric is reported.
    """
    rows = []
    for variant, given in values.items():
        for seed, value in zip(seeds or range(len(given)), given, strict=True):
            status = "failed" if value is None else "diverged" if math.isinf(value) else "finished"
            common = ("s", variant, seed)
            run = f"{variant}-{seed}{tag}"
            if value is not None:
                rows.append((*common, iteration // 2, 1, 1.0, metric, 99.0, status, run))
            rows += [(*common, iteration, 2, 2.0, key, v, status, run) for key, v in (further or {}).items()]
            rows.append((*common, iteration, 2, 2.0, metric, value, status, run))
    folder.mkdir(parents=True)
    columns = [column for column in TIDY_COLUMNS if column not in ("protocol", "reported")]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "results.csv", index=False)
    return str(folder)


A: Values = {"baseline": [20.0, 22.0, 24.0], "all": [10.0, 11.5, 11.0], "baseline+r1": [20.0, 23.0, 25.0]}
B: Values = {"baseline": [10.0, 11.0, 12.5], "all": [6.0, 7.0, 6.1], "baseline+r1": [9.0, 11.0, 12.0]}


def page(tmp_path: Path, a: str, b: str) -> str:
    folder = render_comparison(a, b, runs=tmp_path, out=tmp_path / "out")
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    return (folder / "report.md").read_text()


def row(text: str, variant: str, heading: str) -> list[str]:
    """The cells of a variant's row below a heading."""
    part = text.split(f"## {heading}", 1)[1]
    line = next(line for line in part.splitlines() if line.startswith(f"| `{variant}` "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_are_paired_by_seed_where_seeds_are_shared(tmp_path: Path) -> None:
    # B lists its seeds in another order and has one more.
    a = kept(tmp_path / "a", A, seeds=(0, 1, 2))
    b = kept(tmp_path / "b", {"all": [7.0, 6.1, 6.0, 50.0]}, seeds=(1, 2, 0, 9), tag="x")
    found = compare.read(a, b, tmp_path)
    assert found.seeds("all") == [0, 1, 2]
    assert found.ratio("all") == stats.paired_effect([10.0, 11.5, 11.0], [6.0, 7.0, 6.1])
    cells = row(page(tmp_path, a, b), "all", "Values")
    assert cells[-2].startswith("0.59 [")
    assert cells[-1] == "paired, n = 3"


def test_ratios_are_welchs_where_fewer_than_two_seeds_are_shared(tmp_path: Path) -> None:
    a, b = kept(tmp_path / "a", A, seeds=(0, 1, 2)), kept(tmp_path / "b", B, seeds=(2, 3, 4), tag="x")
    found = compare.read(a, b, tmp_path)
    assert found.ratio("all") == stats.unpaired_effect(A["all"], B["all"])  # type: ignore[arg-type]
    assert row(page(tmp_path, a, b), "all", "Values")[-1] == "unpaired, n = 3 and 3"


def test_effects_are_against_each_sides_own_baseline(tmp_path: Path) -> None:
    a, b = kept(tmp_path / "a", A), kept(tmp_path / "b", B, tag="x")
    found = compare.read(a, b, tmp_path).effects()
    expected = [(side["baseline"], side[name]) for name in ("all", "baseline+r1") for side in (A, B)]
    assert [name for name, _, _ in found] == ["all", "baseline+r1"]
    assert [e for _, *pair in found for e in pair] == [stats.paired_effect(*arms) for arms in expected]  # type: ignore[arg-type]
    text = page(tmp_path, a, b)
    assert row(text, "all", "Effects on each side's own baseline")[-1] == "same direction"
    assert row(text, "baseline+r1", "Effects on each side's own baseline")[-1] == "not resolved in both"
    assert (tmp_path / "out" / "figures" / "effects.svg").exists()
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert targets and all((tmp_path / "out" / target).exists() for target in targets)


def test_other_metrics_are_never_divided(tmp_path: Path) -> None:
    a, b = kept(tmp_path / "a", A), kept(tmp_path / "b", B, metric="clean_fid", tag="x")
    text = page(tmp_path, a, b)
    assert (
        "**Measured differently.** metric: rooms FD (a proxy, not an FID) in A, FID (Inception, clean-fid) in B."
        in text
    )
    assert "B / A" not in text
    assert len(row(text, "all", "Values")) == 2
    # The direction of an effect has no unit and the order of variants none either: they stay.
    assert "| `all` | below | below | same direction |" in text
    assert "Spearman" in text


def test_distances_to_other_images_are_never_divided(tmp_path: Path) -> None:
    a, b = (compare.read_side(kept(tmp_path / name, A, tag=name), tmp_path) for name in "ab")
    one, other = (compare.Side(s.name, s.tidy, s.metric, data) for s, data in ((a, "rooms"), (b, "photos")))
    assert compare.Comparison(a, b).apart == compare.Comparison(one, b).apart == ()
    assert compare.Comparison(one, other).apart == ("data: rooms in A, photos in B",)
    assert any(
        "Measured differently." in str(block) for block in side_by_side.what_is_compared(compare.Comparison(one, other))
    )


def test_what_recorded_its_protocol_stands_in_no_table_with_what_did_not(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, only=set(A), seeds=(0, 1)))
    text = page(tmp_path, "changes_overview", kept(tmp_path / "old", A))
    assert re.search(r"protocol: [0-9a-f]{12} in A, not recorded in B", text)
    assert len(row(text, "all", "Values")) == 2


def test_the_same_run_twice_is_no_replication(tmp_path: Path) -> None:
    a, b = kept(tmp_path / "a", A), kept(tmp_path / "b", A)
    assert row(page(tmp_path, a, b), "all", "Values")[-2] == "the same runs"
    mixed = compare.Comparison(compare.read_side(a, tmp_path), compare.read_side(b, tmp_path))
    mixed.b.tidy.loc[mixed.b.tidy["run"] == "all-1", "run"] = "another"
    assert side_by_side.pairing_words(mixed, "all") == "paired, n = 3 (2 the same run)"


def test_diverged_failed_and_lone_variants_are_named(tmp_path: Path) -> None:
    a = kept(tmp_path / "a", {**A, "all": [10.0, INF, 11.0], "all-r1": [9.0, 9.0, 9.0]})
    b = kept(tmp_path / "b", {**B, "baseline+r1": [None, None, 3.0], "all-d1_g1": [1.0, 1.0, 1.0]}, tag="x")
    text = page(tmp_path, a, b)
    cells = row(text, "all", "Values")
    assert cells[1].startswith("∞ (diverged in 1 of 3")
    assert cells[-2] == "diverged: 1 of 3, 0 of 3"
    assert row(text, "baseline+r1", "Values")[-1] == "unpaired, n = 3 and 1"
    assert "**Only in A:** `all-r1`." in text
    assert "**Only in B:** `all-d1_g1`." in text
    assert "2 failed" in text
    assert "fewer than three have two seeds or more" in text


def test_order_agreement_is_of_the_shared_variants(tmp_path: Path) -> None:
    a, b = kept(tmp_path / "a", A), kept(tmp_path / "b", B, tag="x")
    found = compare.read(a, b, tmp_path).order()
    tables = [[list(side[name]) for name in A] for side in (A, B)]
    assert found is not None
    assert found == stats.seed_bootstrap_rank_correlation(tables[0], tables[1])  # type: ignore[arg-type]


def test_without_a_baseline_there_are_no_effects_and_no_figure(tmp_path: Path) -> None:
    kept(tmp_path / "a", A), kept(tmp_path / "b", B, tag="x")
    page(tmp_path, str(tmp_path / "a"), str(tmp_path / "b"))
    lone = {name: values for name, values in B.items() if name != "baseline"}
    text = page(tmp_path, str(tmp_path / "a"), kept(tmp_path / "c", lone, tag="x"))
    assert "Not available: one of the two has no variant baseline." in text
    assert not (tmp_path / "out" / "figures" / "effects.svg").exists()


def test_longer_training_is_said(tmp_path: Path) -> None:
    a, b = kept(tmp_path / "a", A), kept(tmp_path / "b", B, tag="x", iteration=1600)
    assert "**The lengths of training differ.**" in page(tmp_path, a, b)


def test_further_measures_do_not_hide_the_metric(tmp_path: Path) -> None:
    a = kept(tmp_path / "a", A, further={"another": 1.0, "fd_rooms/resample_1": 7.0})
    assert compare.read_side(a, tmp_path).metric == "fd_rooms"
    assert compare.read_side(a, tmp_path, "another").metric == "another"
    b = kept(tmp_path / "b", A, metric="one", further={"another": 1.0})
    with pytest.raises(InputError, match="several metrics"):
        compare.read_side(b, tmp_path)


# --- with studies -----------------------------------------------------------------------------------------------------


def test_a_study_compares_with_its_report_of_an_earlier_date(tmp_path: Path) -> None:
    plan = planned(tmp_path, only={"baseline", "all", "baseline+fourier_inr"}, seeds=(0, 1))
    train_all(tmp_path, plan)
    earlier = tmp_path / "earlier"
    render("changes_overview", runs=tmp_path, out=earlier)
    train_all(tmp_path, planned(tmp_path, only={"baseline", "all", "baseline+fourier_inr"}, seeds=(0, 1, 2)))
    done = CliRunner().invoke(main, ["--compare", str(earlier), "changes_overview", "--runs", str(tmp_path)])
    assert done.exit_code == 0, done.output
    report = Path(done.output.split()[0])
    assert report.parent.parent == tmp_path / "reports" / "compare"
    text = (report.parent / "report.md").read_text()
    assert row(text, "all", "Values")[-2:] == ["the same runs", "paired, n = 2"]
    assert "`changes_overview:cpu`" in text
    again = report.parent / "report.md", report.parent / "figures" / "effects.svg", report
    first = [file.read_bytes() for file in again]
    render_comparison(str(earlier), "changes_overview:cpu", runs=tmp_path)
    assert [file.read_bytes() for file in again] == first


def test_two_settings_of_a_study(tmp_path: Path) -> None:
    names = {"baseline", "all", "baseline+fourier_inr"}
    train_all(tmp_path, planned(tmp_path, only=names, seeds=(0, 1)))
    longer = planned(tmp_path, only=names, seeds=(0, 1), overrides={"iterations": 400, "evaluation.every": 200})
    train_all(tmp_path, longer)
    text = page(tmp_path, "changes_overview:cpu", f"changes_overview:{longer.setting}")
    assert "**The lengths of training differ.**" in text
    assert row(text, "all", "Values")[-1] == "paired, n = 2"


# --- wrong input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a STUDY"),
        (["changes_overview", "--compare", "a", "b"], "no STUDY or --setting beside"),
        (["--compare", "chages", "changes_overview"], "no study 'chages'"),
        (["--compare", "a", "a"], "are the same report"),
        (["--compare", "a", "c"], "no variant of the same name"),
        (["--compare", "a", "empty"], "has no results.csv"),
        (["--compare", "a", "columns"], "lacks the columns"),
        (["--compare", "a", "words"], "has words in its column 'value'"),
        (["--compare", "a", "unmeasured"], "nothing was measured"),
        (["--compare", "a", "blank"], "cannot be read as a table"),
    ],
)
def test_wrong_input_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    kept(Path("a"), A)
    kept(Path("c"), {"linear": [1.0]})
    for name in ("empty", "columns", "words", "unmeasured", "blank"):
        Path(name).mkdir()
    Path("columns/results.csv").write_text("study,variant\ns,all\n")
    Path("words/results.csv").write_text(",".join(TIDY_COLUMNS) + "\ns,all,0,1,1,1,fd_rooms,good,,,finished,r\n")
    Path("unmeasured/results.csv").write_text(",".join(TIDY_COLUMNS) + "\ns,all,0,,,,,,,,failed,r\n")
    Path("blank/results.csv").write_text("")
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert done.output.startswith("error: ")
    assert said in done.output
    assert done.output.count("\n") == 1
