"""Two reports side by side: made-up tables with known ratios, and folders as the runner writes them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from core.errors import InputError
from reports import compare, side_by_side, stats
from reports.frames import TIDY_COLUMNS
from reports.kept import read_tidy
from reports.render import main, render, render_comparison
from tests.support.pages import assert_links_resolve
from tests.support.runs import planned, train_all

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
    study: str = "s",
    digests: Mapping[str, str] | None = None,
    further: Mapping[str, float] | None = None,
) -> str:
    """A report folder whose results.csv has these last values; None is a run that failed, inf one that diverged.

    As of a version that recorded neither protocols nor which metric is reported, and averaged nothing.
    """
    rows = []
    for variant, given in values.items():
        for seed, value in zip(seeds or range(len(given)), given, strict=True):
            status = "failed" if value is None else "diverged" if math.isinf(value) else "finished"
            common = (study, variant, seed)
            run = f"{(digests or {}).get(variant, variant)}-{seed}{tag}"
            if value is not None:
                rows.append((*common, iteration // 2, 1, 1.0, metric, 99.0, status, run))
            rows += [(*common, iteration, 2, 2.0, key, v, status, run) for key, v in (further or {}).items()]
            rows.append((*common, iteration, 2, 2.0, metric, value, status, run))
    folder.mkdir(parents=True)
    columns = [column for column in TIDY_COLUMNS if column not in ("averaged", "protocol", "reported")]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "results.csv", index=False)
    return str(folder)


A: Values = {"baseline": [20.0, 22.0, 24.0], "all": [10.0, 11.5, 11.0], "baseline+r1": [20.0, 23.0, 25.0]}
B: Values = {"baseline": [10.0, 11.0, 12.5], "all": [6.0, 7.0, 6.1], "baseline+r1": [9.0, 11.0, 12.0]}


OFTEN = {"evaluation.every": 100}


def page(tmp_path: Path, a: str, b: str) -> str:
    folder = render_comparison(a, b, runs=tmp_path, out=tmp_path / "out", formats=("md",))
    return (folder / "report.md").read_text()


def row(text: str, variant: str, heading: str) -> list[str]:
    """The cells of a variant's row below a heading."""
    part = text.split(f"## {heading}", 1)[1]
    line = next(line for line in part.splitlines() if f"`{variant}`" in line.split(" | ")[0])
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_are_paired_by_seed_where_two_are_shared_and_else_welchs(tmp_path: Path) -> None:
    a = kept(tmp_path / "a", A, seeds=(0, 1, 2))
    # Its seeds are in another order, and it has one more.
    b = kept(tmp_path / "b", {"all": [7.0, 6.1, 6.0, 50.0]}, seeds=(1, 2, 0, 9), tag="x")
    assert compare.read(a, b, tmp_path).ratio("all") == stats.paired_effect([10.0, 11.5, 11.0], [6.0, 7.0, 6.1])
    ratio, how = row(page(tmp_path, a, b), "all", "Values")[-2:]
    assert ratio.startswith("0.59 [") and how == "paired, n = 3"
    c = kept(tmp_path / "c", B, seeds=(2, 3, 4), tag="x")
    assert compare.read(a, c, tmp_path).ratio("all") == stats.unpaired_effect(A["all"], B["all"])  # type: ignore[arg-type]
    assert row(page(tmp_path, a, c), "all", "Values")[-1] == "unpaired, n = 3 and 3"


def test_effects_are_against_each_sides_own_baseline_and_orders_of_the_shared_variants(tmp_path: Path) -> None:
    a, b = kept(tmp_path / "a", A), kept(tmp_path / "b", B, tag="x")
    comparison = compare.read(a, b, tmp_path)
    expected = [(side["baseline"], side[name]) for name in ("all", "baseline+r1") for side in (A, B)]
    effects = comparison.effects()
    assert [name for name, _, _ in effects] == ["all", "baseline+r1"]
    assert [e for _, *pair in effects for e in pair] == [stats.paired_effect(*arms) for arms in expected]  # type: ignore[arg-type]
    tables = [[list(side[name]) for name in A] for side in (A, B)]
    assert comparison.order() == stats.seed_bootstrap_rank_correlation(tables[0], tables[1])  # type: ignore[arg-type]
    text = page(tmp_path, a, b)
    assert row(text, "all", "Effects within each side")[-1] == "same direction"
    assert row(text, "baseline+r1", "Effects within each side")[-1] == "not resolved in both"
    assert_links_resolve(tmp_path / "out", text)
    figure = tmp_path / "out" / "figures" / "effects.svg"
    assert "figures/effects.svg" in text and figure.exists()
    lone = {name: values for name, values in B.items() if name != "baseline"}
    text = page(tmp_path, a, kept(tmp_path / "c", lone, tag="x", iteration=1600))
    assert "Not available: the base of neither is a variant of the other." in text and not figure.exists()
    assert "**The lengths of training differ.**" in text


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
    text = page(tmp_path, "changes_overview", kept(tmp_path / "old", A, study="changes_overview"))
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


def test_further_measures_do_not_hide_the_metric(tmp_path: Path) -> None:
    a = kept(tmp_path / "a", A, further={"another": 1.0, "fd_rooms/resample_1": 7.0})
    assert compare.read_side(a, tmp_path).metric == "fd_rooms"
    assert compare.read_side(a, tmp_path, "another").metric == "another"
    b = kept(tmp_path / "b", A, metric="one", further={"another": 1.0})
    with pytest.raises(InputError, match="several metrics"):
        compare.read_side(b, tmp_path)


# --- which variants belong together -----------------------------------------------------------------------------------


def test_two_studies_are_matched_by_runs_and_never_by_names(tmp_path: Path) -> None:
    """`baseline` is none of the changes in the one and all of them in the other."""
    a = kept(tmp_path / "a", A, study="one", digests={"all": "whole"})
    b = kept(tmp_path / "b", B, study="other", digests={"baseline": "whole", "all": "more", "baseline+r1": "r1"})
    found = compare.read(a, b, tmp_path)
    assert found.matches == {"all": ("baseline", "config")}
    assert found.namesakes == ["baseline", "all", "baseline+r1"]
    assert found.ratio("all") == stats.paired_effect(A["all"], B["baseline"])  # type: ignore[arg-type]
    assert found.reference == "all" and found.effects() == []
    assert found.order() is None
    text = page(tmp_path, a, b)
    assert "**By their config (1):**" in text and "By their changes" not in text
    (line,) = [line for line in text.splitlines() if "`all` in A, `baseline` in B" in line]
    assert "the same runs" in line
    apart = text.split("## Same name, other config", 1)[1].split("\n## ", 1)[0]
    cells = row(text, "baseline", "Same name, other config")
    assert cells[1:] == ["the base of one", "the base of other", "not known: not both configs are on record"]
    assert not re.search(r"\d\.\d", apart)


def test_studies_with_nothing_in_common_are_refused_whatever_their_names(tmp_path: Path) -> None:
    a = kept(tmp_path / "a", A, study="one")
    b = kept(tmp_path / "b", B, study="other", tag="x")
    with pytest.raises(InputError, match="no variant in common \\(names say nothing here: they are of two studies\\)"):
        compare.read(a, b, tmp_path)


def test_the_base_of_one_study_is_all_of_another(tmp_path: Path) -> None:
    names = {"baseline", "all", "baseline+r1"}
    train_all(tmp_path, planned(tmp_path, only=names, seeds=(0, 1)))
    train_all(tmp_path, planned(tmp_path, "model_size", designs=("add_one_in",), seeds=(2, 3)))
    found = compare.read("changes_overview", "model_size", tmp_path)
    assert found.matches == {"all": ("baseline", "config")}, "other seeds: no run is the same"
    train_all(
        tmp_path, often := planned(tmp_path, "model_size", designs=("add_one_in",), seeds=(2, 3), overrides=OFTEN)
    )
    found = compare.read("changes_overview", f"model_size:{often.setting}", tmp_path)
    assert found.matches == {"all": ("baseline", "training")}
    assert found.namesakes == ["baseline"]
    text = page(tmp_path, "changes_overview", f"model_size:{often.setting}")
    assert "**By their training (1):** one config but for how it is measured (evaluation.every)" in text
    assert "| all ten changes (`all` in A, `baseline` in B) | " in text
    cells = row(text, "baseline", "Same name, other config")
    assert cells[1:3] == ["none of the ten changes", "all ten changes"]
    assert "loss.kind: wasserstein in A, non_saturating in B" in cells[3].replace("\\", "")
    values = text.split("## Values", 1)[1].split("\n## ", 1)[0]
    assert [line.split(" | ")[0] for line in values.splitlines() if "`baseline`" in line] == [
        "| all ten changes (`all` in A, `baseline` in B)"
    ]


def test_a_mean_of_a_window_is_not_divided_by_a_last_evaluation(tmp_path: Path) -> None:
    names = {"baseline", "all"}
    train_all(tmp_path, planned(tmp_path, only=names, seeds=(0, 1)))
    train_all(tmp_path, last := planned(tmp_path, only=names, seeds=(0, 1), overrides={"evaluation.window": None}))
    found = compare.read("changes_overview", f"changes_overview:{last.setting}", tmp_path)
    assert found.apart == ("a run's value: last quarter in A, last evaluation in B",)


def test_a_published_report_is_matched_by_the_configs_it_kept(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, only={"baseline", "all"}, seeds=(0, 1)))
    earlier = render("changes_overview", runs=tmp_path, out=tmp_path / "earlier", formats=("md",), published=True)
    train_all(tmp_path, planned(tmp_path, "lsun_bedroom_64", designs=("add_one_in",), seeds=(5, 6)))
    found = compare.read(str(earlier), "lsun_bedroom_64", tmp_path)
    assert found.matches == {"all": ("baseline", "config")}
    assert (found.a.title("all"), found.a.title("baseline")) == ("all ten changes", "none of the ten changes")
    assert found.namesakes == ["baseline"] and found.ratio("all").ratio is not None
    (earlier / "runs.jsonl").unlink()
    with pytest.raises(InputError, match="no variant in common"):
        compare.read(str(earlier), "lsun_bedroom_64", tmp_path)


def test_names_are_no_rule_where_the_base_was_declared_anew(tmp_path: Path) -> None:
    a = compare.read_side(kept(tmp_path / "a", A), tmp_path)
    b = compare.read_side(kept(tmp_path / "b", B, tag="x"), tmp_path)
    one = compare.Side(a.name, a.tidy, a.metric, registered={"base": "1", "change r1": "3"})

    def other(**declared: str) -> compare.Comparison:
        registered = {name.replace("_", " "): digest for name, digest in declared.items()}
        return compare.Comparison(
            one, compare.Side(b.name, b.tidy, b.metric, registered=registered, changes={"baseline+r1": ("r1",)})
        )

    assert other(base="1", change_r1="3").shared == list(A)
    assert other(base="2").shared == [] and other(base="2").namesakes == list(A)
    edited = other(base="1", change_r1="4")
    assert (edited.shared, edited.namesakes) == (["baseline", "all"], ["baseline+r1"])


def test_another_name_in_the_same_study_is_found_by_its_runs(tmp_path: Path) -> None:
    a = kept(tmp_path / "a", A)
    b = kept(tmp_path / "b", {"baseline": B["baseline"], "all-r1": B["all"]}, digests={"all-r1": "all"})
    found = compare.read(a, b, tmp_path)
    assert found.matches == {"baseline": ("baseline", "changes"), "all": ("all-r1", "config")}
    assert [effect for _, *effect in found.effects()] == [
        [stats.paired_effect(A["baseline"], A["all"]), stats.paired_effect(B["baseline"], B["all"])]  # type: ignore[arg-type]
    ]
    assert "**Only in A:** `baseline+r1`." in page(tmp_path, a, b)


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


# --- wrong input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a STUDY"),
        (["changes_overview", "--compare", "a", "b"], "no STUDY or --setting beside"),
        (["--compare", "chages", "changes_overview"], "no study 'chages'"),
        (["--compare", "a", "a"], "are the same report"),
        (["--compare", "a", "c"], "have no variant in common"),
        (["--compare", "a", "empty"], "has no results.csv"),
        (["--compare", "a", "columns"], "lacks the columns"),
        (["--compare", "a", "words"], "has words in its column 'value'"),
        (["--compare", "a", "unmeasured"], "nothing was measured"),
        (["--compare", "a", "blank"], "cannot be read as a table"),
        (["--compare", "a", "large"], "results.csv is damaged (it is larger than 64 MiB)"),
        (["--compare", "a", "wide"], "more columns than any"),
    ],
)
def test_wrong_input_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    kept(Path("a"), A)
    kept(Path("c"), {"linear": [1.0]})
    head = ",".join(TIDY_COLUMNS)
    contents = {
        "columns": "study,variant\ns,all\n",
        "words": f"{head}\ns,all,0,1,1,1,fd_rooms,good,,,,finished,r\n",
        "unmeasured": f"{head}\ns,all,0,,,,,,,,,failed,r\n",
        "blank": "",
        "large": "",
        "wide": "," * 1000,
    }
    Path("empty").mkdir()
    for name, content in contents.items():
        Path(name).mkdir()
        Path(name, "results.csv").write_text(content)
    os.truncate("large/results.csv", 2**40)
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert done.output.startswith("error: ")
    assert said in done.output
    assert done.output.count("\n") == 1


@pytest.mark.parametrize(
    ("column", "number"),
    [
        *(("seed", number) for number in ("inf", "0.5", "1e-320", "-1", str(2**70))),
        *(("iteration", number) for number in ("inf", "0.5", "1e300")),
        ("value", "1e308"),
    ],
)
def test_a_number_that_cannot_be_is_one_line(tmp_path: Path, column: str, number: str) -> None:
    kept(tmp_path / "a", A)
    frame = pd.read_csv(tmp_path / "a" / "results.csv", dtype=str)
    frame.loc[0, column] = number
    frame.to_csv(tmp_path / "a" / "results.csv", index=False)
    with pytest.raises(InputError, match=rf"results\.csv has .* in its column '{column}', where that cannot be"):
        read_tidy(tmp_path / "a" / "results.csv")
