"""The reports of the layer studies, from synthetic runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ablations.schema import DesignName
from reports import stats
from reports.results import load
from tests.support.pages import page_of
from tests.support.runs import planned, train_all


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name in ("inr_layers", "inr_layers_gan", "siren_vs_fourier"):
        train_all(folder, planned(folder, name, designs=("grid",)))
    return folder


def test_layers(runs: Path) -> None:
    text = page_of("inr_layers", runs=runs)
    for phrase in (
        "mFiLM end above the",
        "All that ended beat",
        "Verdict: **reproduced** (Spearman's ρ with the deck's order is",
        "the slide's failure is not seen here",
        "mFiLM** starts with 1.0e+06 before tanh",
        "lies below its worse one",
    ):
        assert phrase in text


@pytest.mark.parametrize(
    ("designs", "seeds"), [(("grid",), (0,)), pytest.param(("add_one_in",), (0, 1, 2), marks=pytest.mark.slow)]
)
def test_what_was_not_run_is_not_concluded_from(
    tmp_path: Path, designs: tuple[DesignName, ...], seeds: tuple[int, ...]
) -> None:
    for name in ("inr_layers", "inr_layers_gan", "siren_vs_fourier"):
        train_all(tmp_path / "runs", planned(tmp_path / "runs", name, designs=designs, seeds=seeds))
    said = page_of("inr_layers", runs=tmp_path / "runs")
    if designs == ("add_one_in",):
        assert "Not said: no layer has finished runs at both inits" not in said
        assert "starts with 1.0e+06 before tanh" not in said
    gans = page_of("inr_layers_gan", runs=tmp_path / "runs")
    assert "Spearman" not in gans if len(seeds) == 1 else "ρ = " in gans
    page_of("siren_vs_fourier", runs=tmp_path / "runs")


def test_layers_as_gans_correlate_with_the_reconstruction_study(runs: Path) -> None:
    said = page_of("inr_layers_gan", runs=runs)
    assert said.count("Spearman's ρ = ") == 4 and said.count("Spearman's rank correlations") == 1
    assert "](figures/rankings.svg)" in said


def test_layers_as_gans_without_the_reconstruction_study_say_how_to_get_it(tmp_path: Path) -> None:
    train_all(tmp_path / "runs", planned(tmp_path / "runs", "inr_layers_gan", designs=("grid",)))
    said = page_of("inr_layers_gan", runs=tmp_path / "runs")
    assert "python -m studies.run inr_layers" in said and "Spearman" not in said


def test_several_metrics_are_kept_apart(runs: Path) -> None:
    results = load("inr_layers", runs)
    baseline = results.variant("baseline")
    assert results.metric == "mae" and baseline is not None
    assert (results.last(baseline) < 0.1).all()
    assert (results.last_of(baseline, "psnr") == 30).all()
    assert np.isnan(results.last_of(baseline, "nothing")).all()


def test_rank_correlation_and_its_interval() -> None:
    rng = np.random.default_rng(0)
    order = np.exp(np.arange(8.0)[:, None] + np.zeros((8, 3)))
    same = stats.seed_bootstrap_rank_correlation(order, order * np.exp(0.01 * rng.normal(size=(8, 3))))
    assert same is not None and (same.rho, same.low, same.high, same.items) == (1.0, 1.0, 1.0, 8)
    assert same.p == pytest.approx(2 / 40320)
    noisy = stats.seed_bootstrap_rank_correlation(order, order * np.exp(4 * rng.normal(size=(8, 3))))
    assert noisy is not None and noisy.low < noisy.rho < noisy.high
    order[0, 0] = np.inf
    left = stats.seed_bootstrap_rank_correlation(order, order)
    assert left is not None and left.items == 7
    assert stats.seed_bootstrap_rank_correlation(order[:3], order[:3]) is None
    assert stats.seed_bootstrap_rank_correlation(order[1:, :1], order[1:, :1]) is None
