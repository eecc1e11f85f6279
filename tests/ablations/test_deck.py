"""The ten changes against the deck's own text."""

from __future__ import annotations

from pathlib import Path

import pytest

import ablations
from ablations.deck import CHANGES
from studies.catalogue import NAMES, study

DECK = (Path(ablations.__file__).parent / "meta_generation_2020-08-31.txt").read_text()


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_ten_changes_in_the_slides_order() -> None:
    places = [squeezed(DECK).index(change.source.quote) for change in CHANGES]
    assert len(CHANGES) == 10 and places == sorted(places)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_every_quote_is_verbatim(change) -> None:  # type: ignore[no-untyped-def]
    assert change.source.quote in squeezed(DECK) and change.source.slide in DECK


@pytest.mark.parametrize("name", NAMES)
def test_every_study_quotes_the_deck(name: str) -> None:
    declared = study(name)
    quoted = [] if declared.source is None else [declared.source]
    assert quoted or name == "scale_transfer", "its question is ours"
    for source in (*quoted, *(claim.source for claim in declared.claims if claim.source)):
        assert source.quote in squeezed(DECK) and source.slide in DECK


def test_edits_are_the_slides_numbers() -> None:
    edits = {edit.path: (edit.before, edit.after) for change in CHANGES for edit in change.edits}
    assert edits["d_per_g"] == (5, 1)
    assert edits["batch_size"] == (32, 64)
    rates = edits["optimizers.learning_rates"]
    assert rates == ({"generator": 0.002, "discriminator": 0.0002}, {"generator": 0.0001, "discriminator": 0.0002})
    assert edits["inr.width"] == (64, 256)
    assert edits["hypernetwork.residual_weight"] == (0.0, 0.1)
    assert edits["ema"][0] is None and edits["hypernetwork.norm"][1] is None
    kinds = {
        path: (before["kind"], after["kind"])
        for path, (before, after) in edits.items()
        if isinstance(after, dict) and before and "kind" in after
    }
    assert kinds == {
        "inr.basis": ("siren", "fourier"),
        "penalty": ("wgan_gp", "r1"),
        "inr.layer": ("linear", "factorized_se"),
        "loss": ("wasserstein", "non_saturating"),
    }


def test_ambiguous_lines_say_how_they_were_read() -> None:
    read = {change.name for change in CHANGES if change.reading}
    assert {"generator_ema", "d1_g1", "learning_rates", "inr_size", "residual_weight"} <= read
