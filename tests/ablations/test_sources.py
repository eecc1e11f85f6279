"""What is called the deck's or the public code's is theirs; every path of every study's configs is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ablations import sources
from ablations.beside_deck import leaf, leaves
from ablations.paths import places
from ablations.schema import Change, Edit, Profile, Put, Study, edited
from ablations.sources import FIT_ORIGINS, MECHANISMS, ORIGINS, in_deck, matches, origin, slides_of, standing
from core.config import Adam, CleanFid, Config, Emission, Images, Node, Reconstruction, Siren
from studies import catalogue, profile_table
from studies.numbers import all_rows, changed_rows
from studies.planning import make_plan

DECK = (Path(sources.__file__).with_name("meta_generation_2020-08-31.txt")).read_text()
STUDIES = [catalogue.study(name) for name in catalogue.NAMES]
OVERVIEW = catalogue.study("changes_overview")
IDS = [study.name for study in STUDIES]


def configs_of(study: Study) -> list[dict[str, Any]]:
    return [study.folded(subset).model_dump(mode="json") for subset in [(), *((c.name,) for c in study.changes)]]


@pytest.mark.parametrize("study", STUDIES, ids=IDS)
def test_every_number_of_every_study_is_known(study: Study) -> None:
    for data in configs_of(study):
        assert [path for path in leaves(data) if path != "task" and origin(data, path) is None] == []
    for profile in study.profiles:
        data = profile.scaled(study.base).model_dump(mode="json")
        assert [path for path in leaves(data) if path != "task" and origin(data, path) is None] == []


def test_every_origin_is_of_a_path_that_a_config_has() -> None:
    """And no other: a field that was renamed leaves no orphan. A kind's own path stands behind its union's."""
    known = {**places(Config), **places(Reconstruction)}
    for each in (*ORIGINS, *FIT_ORIGINS):
        assert each.path.removesuffix(".kind") in known, each.path
        if each.only is not None and each.path != "inr.layer" and each.path != "data":
            assert any(each.only == kind for place in known[each.path] for _, kind in place.within), each


@pytest.mark.parametrize("study", STUDIES, ids=IDS)
def test_here_is_what_the_config_has(study: Study) -> None:
    """The column is told from the config itself, whatever the sources say."""
    for profile in study.profiles:
        here = profile.scaled(study.base).model_dump(mode="json")
        rows = {(row.path, row.only): row for row in all_rows(study, profile)}
        for (path, only), row in rows.items():
            if only is None and path in leaves(here) and path in leaves(study.base.model_dump(mode="json")):
                first = row.here.split(" → ")[0]
                assert first == leaf(leaves(here)[path]), path


def test_every_slide_is_one_of_the_decks() -> None:
    slides = {said.slide for each in (*ORIGINS, *FIT_ORIGINS) for said in each.deck}
    assert slides <= set(DECK.splitlines()) | {sources.SAMPLES_128}
    assert sources.SAMPLES_128 in DECK
    # And those that studies cite, so that a condition finds the study of its slide.
    cited = {slide for study in STUDIES for slide in slides_of(study)}
    assert {said.slide for each in ORIGINS if each.condition for said in each.deck} <= cited


@pytest.mark.parametrize(
    "path",
    [
        "hypernetwork.latent_dim",
        "hypernetwork.emission",
        "optimizers.generator.beta1",
        "optimizers.generator.beta2",
        "optimizers.multipliers.shared",
        "penalty.weight",
        "evaluation.metric.samples",
        "evaluation.every",
        "flip",
        "inr.coordinates.low",
    ],
)
def test_no_slide_says_these(path: str) -> None:
    """Numbers of the public code or ours that stood under "the deck's" once."""
    (row,) = (row for row in all_rows(OVERVIEW, OVERVIEW.profile("lsun64")) if row.path == path)
    assert row.deck == "–" and row.public != "–"


def test_numbers_of_the_slides_are_in_the_slides() -> None:
    """Every number under "the deck" is written in the deck as digits; what is computed from it says how."""
    digits = DECK.replace(",", "")
    for each in (*ORIGINS, *FIT_ORIGINS):
        for said in each.deck:
            if isinstance(said.value, bool) or not isinstance(said.value, int | float) or said.words:
                continue
            written = f"{said.value:g}" if said.value < 1e4 else f"{said.value // 1000}k"
            assert written in digits or f"{said.value}" in digits, (each.path, said)


def test_a_condition_is_of_its_slides_own_experiment() -> None:
    def at(name: str, path: str) -> str:
        study = catalogue.study(name)
        profile = next(p for p in study.profiles if p.name.startswith("lsun"))
        return next(row.deck for row in all_rows(study, profile) if row.path == path)

    assert at("changes_overview", "iterations") == "20,000"
    assert at("lsun_bedroom_128", "iterations") == "500,000"
    # Its slide gives none: those of another slide are not its.
    assert at("lsun_bedroom_64", "iterations") == "–"
    assert at("lsun_bedroom_64", "data.resolution") == "64"
    assert at("changes_overview", "data.resolution") == at("weight_clipping", "data.resolution") == "–"


def test_values_are_told_apart_by_type_and_by_the_kind_around_them() -> None:
    base = OVERVIEW.base.model_dump(mode="json")
    slides = slides_of(OVERVIEW)
    assert standing(base, "d_per_g", 1, slides) == "deck" and standing(base, "d_per_g", True, slides) == "ours"
    assert standing(base, "flip", True, slides) == "public" and standing(base, "flip", 1, slides) == "ours"
    fourier = OVERVIEW.folded(["fourier_inr"]).model_dump(mode="json")
    assert [standing(data, "inr.basis.scale", 100.0, slides) for data in (base, fourier)] == ["ours", "deck"]
    given = origin(fourier, "inr.basis.scale")
    assert [said.words for said in matches(in_deck(given, slides, "gan"), 100.0)] == ["about 100"]


# --- the rows ---------------------------------------------------------------------------------------------------------


def paths(study: Study, profile: Profile) -> list[str]:
    return [row.path for row in changed_rows(study, profile)]


def test_at_the_decks_scale_what_neither_source_has_is_told() -> None:
    assert paths(OVERVIEW, OVERVIEW.profile("lsun64")) == [
        "data.kind",
        "discriminator.kind",
        "optimizers.multipliers.shared",
    ]
    bedroom = catalogue.study("lsun_bedroom_64")
    assert "iterations" in paths(bedroom, bedroom.profile("lsun64"))
    public = edited(OVERVIEW.base, {"optimizers.multipliers.shared": 10.0})
    images = Images(resolution=64, count=9, fingerprint="ab" * 32, resampling="bilinear")
    study = Study(**{**dict(OVERVIEW), "base": edited(public, {"data": images}), "claims": ()})
    # The public code has StyleGAN2's D, which is no member here.
    assert paths(study, Profile(name="p", title="t")) == ["discriminator.kind"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"optimizers.generator": Adam(beta1=0.5)}, "optimizers.generator.beta1"),
        ({"flip": False}, "flip"),
        ({"hypernetwork.emission": Emission(gain=0.3, bias_std=1.0)}, "hypernetwork.emission.gain"),
        ({"evaluation.metric": CleanFid(real_taken="first")}, "evaluation.metric.quantised"),
        ({"data": Images(resolution=64, count=9, fingerprint="ab" * 32)}, "data.resampling"),
        ({"inr.basis": Siren(scale=8.66)}, "inr.basis.scale"),
    ],
)
def test_whatever_is_neither_sources_comes_into_the_table(values: dict[str, Node | bool], told: str) -> None:
    alone = {"base": edited(OVERVIEW.base, values), "changes": (), "claims": (), "controls": (), "profiles": ()}
    study = Study(**{**dict(OVERVIEW), **alone})
    assert told in paths(study, Profile(name="p", title="t"))


def test_a_change_of_ours_is_left_to_the_table_of_changes() -> None:
    edit = Edit(path="inr.residual", before=False, after=True)
    ours = Change(name="residual", title="t", source=None, edits=(edit,))
    study = OVERVIEW.extended(ours, name="x", title="x", question="x?")
    assert "inr.residual" not in paths(study, OVERVIEW.profile("lsun64"))


def test_a_row_shows_the_parts_that_differ_and_what_each_source_says_of_them() -> None:
    cpu = {row.path: row for row in changed_rows(OVERVIEW, OVERVIEW.profile("cpu"))}
    assert (cpu["batch_size"].deck, cpu["batch_size"].here) == ("32 → 64", "16 → 32")
    assert (cpu["hypernetwork.latent_dim"].deck, cpu["hypernetwork.latent_dim"].public) == ("–", "512")
    assert cpu["discriminator"].deck == "10M parameters" and "width 64, blocks 4" in cpu["discriminator"].public
    assert cpu["data"].here == "rooms, resolution 16"
    assert cpu["hypernetwork.emission"].deck == "–"


def test_overrides_data_and_a_protocol_are_rows_with_their_reasons() -> None:
    images = Images(resolution=16, count=9, fingerprint="ab" * 32)
    overrides = {"iterations": 7}
    given: dict[str, Any] = {"designs": ["ladder"], "seeds": [0], "data": images, "data_name": "photos"}
    plan = make_plan(OVERVIEW, OVERVIEW.profile("cpu"), overrides=overrides, protocol="clean-50k", **given)
    rows = {row.path: row for row in changed_rows(OVERVIEW, OVERVIEW.profile("cpu"), plan)}
    assert rows["data"].why == "the data given: photos" and "resampling box" in rows["data"].here
    assert (rows["iterations"].here, rows["iterations"].why) == ("7", "override on the command line")
    assert "quantised yes" in rows["evaluation.metric"].here and "mode clean" in rows["evaluation.metric"].here
    assert rows["evaluation.metric"].why == "the protocol clean-50k"
    assert [row.path for row in changed_rows(OVERVIEW, OVERVIEW.profile("cpu"), plan)].count("iterations") == 1


def test_a_path_that_nobody_knows_is_ours() -> None:
    data = {**OVERVIEW.base.model_dump(mode="json"), "noise": 0.1}
    assert origin(data, "noise") is None and standing(data, "noise", 0.1, ()) == "ours"
    put = Profile(name="p", title="t", scalings=(Put(path="batch_size", value=8, why="small"),))
    (row,) = (row for row in changed_rows(OVERVIEW, put) if row.path == "batch_size")
    assert (row.deck, row.public, row.here, row.why) == ("32 → 64", "32", "8", "small")


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_of_profiles_is_current() -> None:
    assert profile_table.PAGE.read_text() == profile_table.page(), "run python -m studies.profile_table"
    assert all(each in profile_table.page() for each in MECHANISMS)
