"""Named protocols are what their words say."""

from __future__ import annotations

from pathlib import Path

from ablations.protocols import CLEAN_50K, DECK_2020, EMBEDDED, IMAGENET, PROTOCOLS
from core.config import CleanFid, Evaluation, ImageNetFrechet, RoomsFrechet, Upsampling


def test_the_decks_protocol_is_that_of_the_public_code() -> None:
    """8,192 latents, as floats, and the first 8,192 images, torch's bilinear resizing before the Inception of a state
    dict; the deck's own base is measured so."""
    public = CleanFid(samples=8192, real=8192, mode="legacy_pytorch", real_taken="first", quantised=False)
    assert public == DECK_2020.metric == DECK_2020.upsampling == Evaluation().metric == Upsampling().metric
    assert "the first 8,192 real ones" in DECK_2020.source and "not rounded to 8 bits" in DECK_2020.source
    # Every other protocol rounds, as the field does.
    assert all(not isinstance(p.metric, CleanFid) or p.metric.quantised for p in (CLEAN_50K, EMBEDDED, IMAGENET))


def test_words_and_numbers_agree() -> None:
    for protocol in (DECK_2020, CLEAN_50K, EMBEDDED, IMAGENET):
        assert f"{protocol.metric.samples:,} generated" in protocol.source
    assert CleanFid(mode="clean", samples=50_000, real=50_000) == CLEAN_50K.metric == CLEAN_50K.upsampling
    assert isinstance(EMBEDDED.metric, RoomsFrechet) and "FID" not in EMBEDDED.title
    metric = IMAGENET.metric
    assert isinstance(metric, ImageNetFrechet) and IMAGENET.upsampling == metric
    assert f"{metric.real:,} real" in IMAGENET.source
    assert f"{metric.side} x {metric.side}" in IMAGENET.source
    assert "not an FID" in IMAGENET.title
    assert list(PROTOCOLS) == ["deck-2020", "clean-50k", "embedded", "imagenet"]


def test_the_docs_name_every_protocol() -> None:
    text = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text().split("## By name")[1].split("##")[0]
    assert [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")] == list(PROTOCOLS)
