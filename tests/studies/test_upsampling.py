"""The opponents in the study of upsampling: as much arithmetic as they say, measured alike and on their own grid."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from ablations.schema import Change, edited
from core import config as cfg
from core.arithmetic import training
from core.build import build_view
from core.grids import Cells, Pixels
from core.metrics.enlarging import positions
from reports.results import load
from reports.verdicts import judge_changes
from studies.planning import make_plan
from studies.upsampling import STUDY
from tests.support.runs import planned, train_all


def config_of(name: str, profile: str) -> cfg.Config:
    plan = make_plan(STUDY, STUDY.profile(profile), designs=["add_one_in"], seeds=[0])
    variant = plan.variant(name)
    assert variant is not None and isinstance(variant.config, cfg.Config)
    return variant.config


@pytest.mark.parametrize(("profile", "large"), [("cpu", 1.0), ("lsun128", 1.108)])
def test_the_arms_cost_what_their_titles_say(profile: str, large: float) -> None:
    base = training(config_of("baseline", profile))
    over = {
        name: training(config_of(f"baseline+{name}", profile)) / base for name in ("large", "large_longer", "longer")
    }
    assert over["large"] == pytest.approx(large, abs=1e-3)
    assert over["large_longer"] == pytest.approx(2 * large, abs=2e-3) and over["longer"] == 2


@pytest.mark.parametrize("sampling", ["corners", "centres"])
def test_what_is_trained_at_twice_the_size_is_measured_on_the_grid_that_it_was_trained_on(sampling: str) -> None:
    config = config_of("baseline+large", "cpu")
    assert isinstance(config.fine, cfg.Pool) and config.fine.resolution == 32 == 2 * config.data.resolution
    assert isinstance(config.penalty, cfg.R1) and config.penalty.weight == 2.5
    config = edited(config, {"inr.coordinates.sampling": sampling})  # type: ignore[assignment]
    grid = build_view(config.looks, config, 0).next(1).generated
    dense = Pixels(16, config.inr.coordinates).at(positions(16, 2, sampling))  # type: ignore[arg-type]
    assert isinstance(grid, Cells)
    torch.testing.assert_close(grid.coordinates(), dense.coordinates())


def test_every_variant_is_measured_alike() -> None:
    for profile in ("cpu", "lsun128"):
        names = ("baseline", "baseline+pixel_centres", "baseline+large", "baseline+large_longer", "baseline+longer")
        measured = {config_of(name, profile).evaluation for name in names}
        (evaluation,) = measured
        assert evaluation.upsampling is not None
        assert evaluation.upsampling.opponents == ("lanczos", "sharpened", "sr_cnn")
        assert len({config_of(name, profile).data for name in names}) == 1


def test_arms_without_a_verdict_are_no_comparison_of_the_design(tmp_path: Path) -> None:
    """Whoever trains them beside `pixel_centres` takes nothing from its verdict."""
    train_all(tmp_path, planned(tmp_path, "upsampling", designs=("add_one_in",)))
    (effects,) = judge_changes(load("upsampling", tmp_path)).values()
    assert [effect.change.name for effect in effects] == ["pixel_centres"] == [change.name for change in STUDY.judged]
    with pytest.raises(ValidationError, match="change longer is not judged: it must be an alternative, of a group"):
        Change(**{**dict(STUDY.change("longer")), "group": None})
