"""The same study at several scales: whose effects are put side by side, how far they agree, and what is said of it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from reports import stats
from reports.publish import provenance, read_by
from reports.report import Report
from reports.results import load
from reports.scales import agreements, scales_of
from studies.adopt import ARCHIVE, adopt, pack
from studies.scale_transfer import STUDY
from tests.support import runs as synthetic
from tests.support.pages import page_of
from tests.support.runs import planned, record_whole, train_all

NAME = "scale_transfer"


def trained_at(runs: Path, profile: str, seeds: int) -> None:
    train_all(runs, planned(runs, NAME, designs=("leave_one_out",), seeds=range(seeds), profile=profile))


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """At four times the iterations D1:G1 hurts as much as it helps at the small scale; nothing else is different."""
    trained_at(tmp_path, "cpu_32", 4)
    trained_at(tmp_path, "cpu", 6)
    monkeypatch.setitem(synthetic.TRUE_FACTORS, "d1_g1", 1 / 0.58)
    trained_at(tmp_path, "cpu_x4", 4)
    return Report.of(load(NAME, tmp_path, "cpu"), tmp_path / "report")


def test_scales_are_in_the_order_of_what_is_computed(report: Report) -> None:
    assert [(scale.title, scale.n) for scale in scales_of(report.results)] == [
        ("16×16, 800 iterations", 6),
        ("16×16, 3,200 iterations", 4),
        ("32×32, 800 iterations", 4),
    ]


def test_what_flips_and_what_differs_is_found_and_nothing_else(report: Report) -> None:
    longer, larger = agreements(scales_of(report.results))
    assert [change.name for change in longer.flips] == ["d1_g1"] == [change.name for change, _ in longer.apart]
    (_, effect) = longer.apart[0]
    assert effect.ratio == pytest.approx(0.58**-2, rel=0.25) and effect.low is not None and effect.low > 1
    assert (larger.flips, larger.apart) == ((), ())
    assert larger.order is not None and longer.order is not None
    assert larger.order.rho > longer.order.rho, "the flip is the strongest effect of one and the weakest of the other"
    assert larger.noise is not None and larger.noise > 0.3


def test_the_page_puts_all_scales_side_by_side_and_says_what_flips(report: Report, tmp_path: Path) -> None:
    page = page_of(NAME, runs=tmp_path, setting="cpu")
    head = next(line for line in page.splitlines() if line.startswith("| change | 16×16"))
    assert head.count("iterations (n = ") == 3
    row = next(line for line in page.splitlines() if line.startswith("| G updated at every D step") and "hurts" in line)
    assert "helps" in row and "hurts" in row
    flipped = re.search(r"1 of ([1-9]) that help or hurt at both flip \(D1:G1\)", page)
    assert flipped and re.search(r"; 0 of [1-9] that help or hurt at both flip;", page)
    assert "16×16, 800 iterations against 16×16, 3,200 iterations:" in page


def test_of_one_scale_the_page_says_how_to_train_the_others(tmp_path: Path) -> None:
    trained_at(tmp_path, "cpu", 3)
    page = page_of(NAME, runs=tmp_path)
    assert "python -m studies.run scale_transfer --profile cpu_x4" in page
    assert "One scale was run, so nothing is compared." in page


def test_every_scale_scales_what_belongs_to_it() -> None:
    """A longer run has the same number of evaluations and an average over the same share of it; D sees a larger image
    through one more halving, and the penalty goes with the pixels."""
    everything = STUDY.folded(change.name for change in STUDY.changes)
    small, longer, larger = (STUDY.profile(name).scaled(everything) for name in ("cpu", "cpu_x16", "cpu_32"))
    assert longer.iterations == 16 * small.iterations
    assert longer.evaluation.every == 16 * small.evaluation.every
    memory = [1 / (1 - config.ema.decay) / config.iterations for config in (small, longer)]  # type: ignore[union-attr]
    assert memory[0] == pytest.approx(memory[1])
    assert larger.data.resolution == 2 * small.data.resolution
    assert larger.penalty.weight == 4 * small.penalty.weight  # type: ignore[union-attr]
    assert larger.discriminator.blocks == small.discriminator.blocks + 1  # type: ignore[union-attr]


def test_the_small_scale_is_the_flagships_own(tmp_path: Path) -> None:
    """Its runs are taken from there, not trained again."""
    mine = planned(tmp_path, NAME, designs=("leave_one_out",))
    flagship = planned(tmp_path, designs=("leave_one_out",))
    digests = [{variant.job(0).digest for variant in plan.variants if variant.designs} for plan in (mine, flagship)]
    assert len(digests[0]) == 11 and digests[0] == digests[1]


# --- the numbers ------------------------------------------------------------------------------------------------------


def test_two_effects_differ_as_welch_has_it_of_their_ratios() -> None:
    rng = np.random.default_rng(5)
    arms = [np.exp(rng.normal(0, 0.2, (2, n))) for n in (9, 4)]
    one, other = (stats.paired_effect(before, after * 0.8) for before, after in arms)
    between = stats.between_effects(one, other)
    theirs = stats.unpaired_effect(*(after * 0.8 / before for before, after in arms))
    for name in ("ratio", "low", "high", "p", "df"):
        assert getattr(between, name) == pytest.approx(getattr(theirs, name)), name


def test_an_effect_without_an_interval_has_none_between() -> None:
    known, gone = stats.paired_effect([1, 2, 3], [2, 3, 3]), stats.paired_effect([1, 2, 3], [2, np.inf, 3])
    assert stats.between_effects(known, gone).ratio is None
    single = stats.between_effects(known, stats.paired_effect([1], [2]))
    assert single.ratio is not None and (single.low, single.p) == (None, None)


def test_noise_alone_leaves_full_agreement_where_there_is_none_and_little_where_there_is_nothing_else() -> None:
    rng = np.random.default_rng(5)
    steady = np.arange(1.0, 11.0)[:, None] * np.ones(8)
    assert stats.same_order(steady, 4) == pytest.approx(1.0)
    noise = stats.same_order(np.exp(rng.normal(size=(10, 40))), 20)
    assert noise is not None and abs(noise) < 0.5
    assert stats.same_order(steady[:, :3], 4) is None, "a draw has two seeds or more"


def test_all_scales_are_published_and_taken_up_again(report: Report, tmp_path: Path) -> None:
    settings = read_by(report.results)
    assert [results.plan.setting for results in settings] == ["cpu", "cpu_x4", "cpu_32"]
    commands = provenance(settings)["commands"]
    assert [command.count("--profile cpu_x4 ") for command in commands] == [0, 1, 0, 0]
    assert "reports.render" in commands[-1]
    for results in settings:
        record_whole(tmp_path, results.plan)
    file = tmp_path / "published" / ARCHIVE
    file.parent.mkdir()
    file.write_bytes(pack([results.plan for results in settings], tmp_path))
    plans, came, there = adopt(file, tmp_path / "elsewhere")
    assert [plan.setting for plan in plans] == ["cpu", "cpu_x4", "cpu_32"]
    assert (came, there) == (11 * (6 + 4 + 4), 0)
    page = page_of(NAME, runs=tmp_path / "elsewhere", setting="cpu")
    assert "that help or hurt at both flip (D1:G1)" in page
