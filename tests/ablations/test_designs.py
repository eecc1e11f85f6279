"""Designs over the ten changes, and what the schema refuses."""

from __future__ import annotations

import hashlib
import json
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ablations import patch
from ablations.claims import Claim, Measured, Source
from ablations.deck import CHANGES
from ablations.designs import (
    DESIGNS,
    add_one_in,
    all_title,
    available,
    base_title,
    grid,
    in_order,
    ladder,
    leave_one_out,
    permutations,
    screening,
    shapley,
    subset_named,
    variant_name,
    variant_title,
)
from ablations.schema import Change, Edit, Multiply, Profile, Put, Study, Translate, edited, plain
from core.config import (
    PUBLIC_FID,
    CleanFid,
    Config,
    Ema,
    Evaluation,
    Fourier,
    LearningRates,
    ResNetDiscriminator,
    Siren,
    StridedDiscriminator,
    Upsampling,
)
from studies import catalogue
from studies.changes_overview import STUDY

SOURCE = Source(slide="s", quote="q")


def change(name: str, *edits: Edit, **more: Any) -> Change:
    return Change(name=name, title=name, source=SOURCE, edits=edits, **more)


def small_study(*changes: Change, **more: Any) -> Study:
    profile = Profile(name="deck", title="as it is")
    if any(change.group for change in changes):
        more = {"designs": ("grid",), "more_designs": ("add_one_in",), **more}
    common: dict[str, Any] = {"name": "small", "title": "t", "question": "q", "source": SOURCE, "base": Config()}
    return Study(**common, changes=changes, profiles=(profile,), **more)


BATCH = change("batch", Edit(path="batch_size", before=32, after=64))
TICKS = change("ticks", Edit(path="d_per_g", before=5, after=1), requires=("batch",))
FOUR: list[tuple[str, Any, Any]] = [
    ("batch_size", 32, 64),
    ("d_per_g", 5, 1),
    ("ema", None, Ema()),
    ("iterations", 20_000, 10_000),
]
EMA = change("ema", Edit(path="ema", before=None, after=Ema()))


def test_sizes_and_names() -> None:
    assert [len(subset) for subset in ladder(STUDY)] == list(range(11))
    assert len(add_one_in(STUDY)) == len(leave_one_out(STUDY)) == 11
    subsets = {subset for design in DESIGNS.values() for subset in design(STUDY, range(3))}
    everything = {variant_name(STUDY, subset) for subset in subsets}
    assert len(everything) == len(subsets)
    assert all(subset_named(STUDY, variant_name(STUDY, subset)) == subset for subset in subsets)
    assert {"baseline", "all", "all-ns_loss", "baseline+r1", "baseline..d1_g1"} <= everything
    classic = {variant_name(STUDY, s) for design in (ladder, add_one_in, leave_one_out) for s in design(STUDY)}
    assert len(classic) == 29


def test_a_name_of_nothing_is_refused() -> None:
    for name in ("baseline+nothing", "all-nothing", "baseline..nothing", "baseline+r1+r1", "most", "baseline.."):
        with pytest.raises(KeyError, match="has no variant"):
            subset_named(STUDY, name)


def screened(seed: int) -> np.ndarray:
    """[run, change] of -1 and 1."""
    return np.array([[c.name in subset for c in CHANGES] for subset in screening(STUDY, seed)]) * 2 - 1


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_screening_balances_every_change_against_every_other_and_is_folded_over(seed: int) -> None:
    runs = screened(seed)
    assert runs.shape == (24, 10)
    np.testing.assert_array_equal(runs.T @ runs, 24 * np.eye(10))
    assert {tuple(run) for run in runs} == {tuple(-run) for run in runs}
    # No interaction of two changes is in a main effect.
    for i in range(10):
        for j in range(i):
            np.testing.assert_array_equal(runs.T @ (runs[:, i] * runs[:, j]), np.zeros(10))
    with pytest.raises(ValueError, match="ticks requires another change"):
        screening(small_study(BATCH, TICKS), seed)


def test_what_three_changes_do_together_shifts_an_effect_otherwise_in_every_seed() -> None:
    shifts = []
    for seed in range(200):
        runs = screened(seed)
        together = runs[:, 0] * runs[:, 1] * runs[:, 2]
        np.testing.assert_array_equal(runs[:, :3].T @ together, 0)
        shifts.append(runs[:, 3:].T @ together / 24)
    # A third of it, up as often as down: of 1,400 signs the mean is 0 within four standard errors.
    np.testing.assert_allclose(np.abs(shifts), 1 / 3)
    assert abs(np.mean(np.sign(shifts))) < 4 / np.sqrt(1400)
    assert max(abs(np.mean(np.sign(shifts), axis=0))) < 4 / np.sqrt(200)


def test_a_seed_draws_the_same_screening_whatever_other_seeds_there_are() -> None:
    alone = DESIGNS["screening"](STUDY, [1])
    assert list(alone) == screening(STUDY, 1) and set(alone.values()) == {(1,)}
    many = DESIGNS["screening"](STUDY, [2, 0, 1, 7])
    assert [subset for subset, seeds in many.items() if seeds and 1 in seeds] == sorted(alone, key=list(many).index)
    assert {seed for seeds in many.values() for seed in seeds or ()} == {0, 1, 2, 7}
    assert sum(len(seeds or ()) for seeds in many.values()) == 4 * 24 > len(alone)
    # Pinned: runs that were trained are found again.
    assert [variant_name(STUDY, subset) for subset in screening(STUDY, 0)[:2]] == [
        "all-r1-inr_size-residual_weight",
        "all-batch_size-ns_loss",
    ]
    assert set(DESIGNS["ladder"](STUDY, [0, 1]).values()) == {None}


@pytest.mark.parametrize(("changes", "variants"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16)])
def test_few_changes_are_screened_too(changes: int, variants: int) -> None:
    study = small_study(
        *(
            change(f"c{k}", Edit(path=path, before=before, after=after))
            for k, (path, before, after) in enumerate(FOUR[:changes])
        )
    )
    for seed in range(3):
        assert len(screening(study, seed)) == len(set(screening(study, seed))) == variants


def test_sampled_orders_are_orders_and_always_the_same() -> None:
    orders = permutations(STUDY)
    assert len(orders) == STUDY.permutations == len(set(orders))
    assert all(sorted(order) == sorted(c.name for c in CHANGES) for order in orders)
    assert orders == permutations(STUDY)
    subsets = shapley(STUDY)
    for order in orders:
        assert all(in_order(STUDY, set(order[:k])) in subsets for k in range(11))
    for order in permutations(small_study(TICKS, EMA, BATCH)):
        assert order.index("batch") < order.index("ticks")


def test_ladder_climbs_in_the_slides_order() -> None:
    rungs = ladder(STUDY)
    assert [set(b) - set(a) for a, b in pairwise(rungs)] == [{c.name} for c in CHANGES]


def test_changes_commute() -> None:
    names = [c.name for c in CHANGES]
    assert STUDY.folded(names) == STUDY.folded(reversed(names))


def test_requirements_come_along_and_go_along() -> None:
    study = small_study(BATCH, TICKS, EMA)
    assert ("batch", "ticks") in add_one_in(study)
    assert ("ema",) in leave_one_out(study)
    with pytest.raises(ValueError, match="reaches ticks before batch"):
        ladder(small_study(TICKS, BATCH))


def test_every_variant_has_a_title_that_names_its_change() -> None:
    everything = tuple(change.name for change in CHANGES)
    titles = {
        (): "none of the ten changes",
        ("r1",): "none + R1",
        ("r1", "ns_loss"): "none + R1 + NS loss",
        everything[:3]: "step 3 (+ R1)",
        everything: "all ten changes",
        everything[:-1]: "all − residual weight",
        tuple(name for name in everything if name not in ("r1", "ns_loss")): "all − R1 − NS loss",
    }
    assert {subset: variant_title(STUDY, subset) for subset in titles} == titles


def test_a_variant_of_alternatives_says_what_the_base_has_in_their_place() -> None:
    layers = catalogue.study("inr_layers")
    assert variant_title(layers, ()) == "Linear"
    assert variant_title(layers, ("unit_init",)) == "Linear, unit init"
    assert variant_title(layers, ("adain", "unit_init")) == "AdaIN, unit init"
    sizes = catalogue.study("model_size")
    assert variant_title(sizes, ("inr_depth_10", "deep_residual")) == "INR twice as deep, residual layers"


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_every_study_names_its_base_and_no_two_variants_share_a_title(name: str) -> None:
    study = catalogue.study(name)
    assert study.base_title and variant_title(study, ()) == study.base_title
    subsets = list(dict.fromkeys(subset for design in available(study) for subset in DESIGNS[design](study, (0,))))
    titles = [variant_title(study, subset) for subset in subsets]
    assert len(set(titles)) == len(titles)
    assert not any("baseline" in title for title in titles)


def test_one_config_has_one_title_in_all_studies_with_the_ten_changes() -> None:
    everything = STUDY.folded(change.name for change in STUDY.changes)
    same = {"data", "iterations", "evaluation"}
    bases = [study for name in catalogue.NAMES if isinstance((study := catalogue.study(name)).base, Config)]
    whole = [
        study
        for study in bases
        if all(value == getattr(everything, key) for key, value in dict(study.base).items() if key not in same)
    ]
    assert {"learning_rates", "lsun_bedroom_64", "model_size"} <= {study.name for study in whole}
    assert {variant_title(study, ()).partition(",")[0] for study in whole} == {all_title(STUDY)}


def test_a_study_without_a_title_for_its_base_has_one_that_is_true() -> None:
    assert base_title(small_study(BATCH)) == "none of the changes"
    assert base_title(small_study()) == "t"
    both = small_study(alternative("small", 16), alternative("large", 64), designs=("grid",))
    assert [variant_title(both, subset) for subset in grid(both)] == ["none of the changes", "small", "large"]


def test_the_title_of_the_base_is_no_part_of_the_declaration() -> None:
    named = small_study(BATCH, base_title="as published")
    assert named.declaration("deck") == small_study(BATCH).declaration("deck")
    assert variant_title(named, ()) == "as published"


NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")


def numbers(values: Any) -> list[float]:
    """The numbers among the leaves of plain data."""
    if isinstance(values, dict):
        return [number for value in values.values() for number in numbers(value)]
    if isinstance(values, list):
        return [number for value in values for number in [*numbers(value), *pictures(value)]]
    return [float(values)] if isinstance(values, int | float) and not isinstance(values, bool) else []


def pictures(critic: Any) -> list[float]:
    """The side of the picture that a critic's windows of a fixed scale are parts of."""
    match critic:
        case {"view": {"size": int(size), "scale": {"kind": "fixed", "scale": scale}}}:
            return [round(size / scale, 6)]
    return []


def trained(study: Study, profile: Profile, change: Change) -> set[float]:
    """The numbers of the change's edits at that scale, before and after, and by which factors they differ."""
    configs = [
        profile.scaled(study.folded(names)).model_dump(mode="json")
        for names in (change.requires, (*change.requires, change.name))
    ]
    found: set[float] = set()
    for edit in change.edits:
        before, after = (numbers(patch.lookup(config, edit.path)) for config in configs)
        found |= {*before, *after, *(float(f"{number:.3g}") for number in (*before, *after))}
        found |= {round(b / a, 6) for one, other in ((before, after), (after, before)) for a in one for b in other if a}
    return found


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_a_number_in_a_title_was_trained_in_every_profile(name: str) -> None:
    study = catalogue.study(name)
    assert not NUMBER.search(study.title) and not NUMBER.search(base_title(study))
    for profile in study.profiles:
        for each in study.changes:
            for text in (each.title, each.brief):
                said = {float(number) for number in NUMBER.findall(text)}
                assert said <= trained(study, profile, each), (profile.name, text)


def test_the_check_of_numbers_in_titles_sees_numbers_that_a_profile_scales() -> None:
    profile = STUDY.profile("cpu")
    assert trained(STUDY, profile, STUDY.change("batch_size")) == {16.0, 32.0, 2.0, 0.5}
    assert NUMBER.findall("Batch size 32 → 64, D5:G1, R1, 0.1") == ["32", "64", "0.1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((BATCH, change("again", Edit(path="batch_size", before=32, after=16))), "both edit batch_size"),
        ((change("inside", Edit(path="inr.basis.scale", before=1.0, after=2.0)),
          change("around", Edit(path="inr.basis", before=Siren(), after=Fourier()))), "both edit"),
        ((change("stale", Edit(path="batch_size", before=16, after=64)),), "is 32 in the base, not 16"),
        ((BATCH, BATCH), "share a name"),
        ((TICKS,), "names the unknown change batch"),
    ],
)  # fmt: skip
def test_studies_whose_changes_do_not_commute_are_refused(changes: tuple[Change, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        small_study(*changes)


def test_an_edit_must_change_something_and_unknown_paths_are_named() -> None:
    with pytest.raises(ValidationError, match="changes nothing"):
        Edit(path="batch_size", before=32, after=32)
    with pytest.raises(KeyError, match=r"did you mean 'inr\.width'"):
        patch.lookup(Config().model_dump(mode="json"), "inr.widht")


def test_an_edit_replaces_the_whole_node() -> None:
    study = small_study(change("fourier", Edit(path="inr.basis", before=Siren(), after=Fourier(scale=7.0))))
    assert study.folded(["fourier"]).inr.basis == Fourier(scale=7.0)


def test_profiles_scale_every_variant_alike() -> None:
    profile = Profile(
        name="tiny",
        title="t",
        scalings=(
            Multiply(path="batch_size", factor=0.5, why="w"),
            Put(path="inr.basis.scale", value=4.0, only="fourier", why="w"),
        ),
    )
    assert profile.scaled(Config()).batch_size == 16
    assert profile.scaled(Config()).inr.basis == Siren()
    assert profile.scaled(STUDY.folded(["batch_size", "fourier_inr"])).batch_size == 32
    assert profile.scaled(STUDY.folded(["fourier_inr"])).inr.basis == Fourier(scale=4.0)
    with pytest.raises(ValueError, match="is not whole"):
        Profile(name="odd", title="t", scalings=(Multiply(path="d_per_g", factor=0.5, why="w"),)).scaled(Config())


@pytest.mark.parametrize("profile", STUDY.profiles, ids=lambda profile: profile.name)
def test_every_variant_of_every_profile_is_a_config(profile: Profile) -> None:
    for name in available(STUDY):
        for subset in DESIGNS[name](STUDY, range(2)):
            assert profile.scaled(STUDY.folded(subset))


def test_the_deck_profile_leaves_the_decks_numbers() -> None:
    everything = STUDY.profile("lsun64").scaled(STUDY.folded([c.name for c in CHANGES]))
    assert (everything.iterations, everything.batch_size, everything.inr.width) == (20_000, 64, 256)
    assert everything.optimizers.learning_rates == LearningRates(generator=0.0001, discriminator=0.0002)


# --- alternatives -----------------------------------------------------------------------------------------------------


def alternative(name: str, after: Any, group: str = "layer") -> Change:
    return change(name, Edit(path="batch_size", before=32, after=after), group=group)


def test_alternatives_may_edit_the_same_place_and_exclude_each_other() -> None:
    study = small_study(
        alternative("small", 16), alternative("large", 64), change("ema", EMA.edits[0], group="average")
    )
    assert study.groups == {"layer": ("small", "large"), "average": ("ema",)}
    assert available(study) == ["add_one_in", "grid"]
    assert grid(study) == [(), ("small",), ("large",), ("ema",), ("small", "ema"), ("large", "ema")]
    names = [variant_name(study, subset) for subset in grid(study)]
    assert names[-1] == "baseline+large+ema" and len(set(names)) == 6
    assert all(subset_named(study, name) == subset for name, subset in zip(names, grid(study), strict=True))
    assert variant_title(study, ("large", "ema")) == "large, ema"
    with pytest.raises(ValueError, match="both edit batch_size"):
        small_study(alternative("small", 16), alternative("large", 64, group="other"))


def test_a_grid_without_groups_is_its_baseline() -> None:
    assert grid(small_study(BATCH)) == [()]
    assert available(small_study(BATCH, more_designs=("leave_one_out", "add_one_in"))) == [
        "ladder",
        "add_one_in",
        "leave_one_out",
    ]


@pytest.mark.parametrize(
    ("changes", "designs", "message"),
    [
        ((alternative("small", 16),), ("ladder",), "cannot have the design ladder: alternatives exclude each other"),
        ((alternative("small", 16),), ("shapley",), "cannot have the design shapley"),
        ((BATCH,), ("grid",), "cannot have the design grid: its changes have no groups"),
    ],
)
def test_designs_that_do_not_fit_are_refused(changes: tuple[Change, ...], designs: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        small_study(*changes, designs=designs)


# --- profiles and claims ----------------------------------------------------------------------------------------------


def test_a_translated_value_stands_for_the_decks() -> None:
    small, large = StridedDiscriminator(), StridedDiscriminator(width=56)
    pairs = ((ResNetDiscriminator(), small), (ResNetDiscriminator(width=110), large))
    profile = Profile(name="p", title="t", scalings=(Translate(path="discriminator", pairs=pairs, why="w"),))
    assert profile.scaled(Config()).discriminator == small
    wide = edited(Config(), {"discriminator": ResNetDiscriminator(width=110)})
    assert profile.scaled(wide).discriminator == large
    with pytest.raises(ValueError, match="has no counterpart"):
        profile.scaled(edited(Config(), {"discriminator": ResNetDiscriminator(width=32)}))


def test_an_adjusted_profile_replaces_adds_and_drops() -> None:
    profile = Profile(
        name="p",
        title="t",
        scalings=(Multiply(path="batch_size", factor=0.5, why="w"), Put(path="d_per_g", value=1, why="w")),
    )
    other = profile.adjusted(
        Put(path="batch_size", value=7, why="w"), Put(path="iterations", value=9, why="w"), without=("d_per_g",)
    )
    config = other.scaled(Config())
    assert (config.batch_size, config.iterations, config.d_per_g) == (7, 9, 5)
    with pytest.raises(ValueError, match="scales nothing at ema"):
        profile.adjusted(without=("ema",))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"expects": "same"}, "needs a margin"),
        ({"expects": "order", "margin": 1.2}, "an order has no margin"),
        ({"expects": "order", "after": Measured(variant="all")}, "needs the deck's value of every number"),
        ({"expects": "value", "margin": 1.2}, "expects a value exactly where"),
        ({"expects": "value", "before": None, "margin": 1.2, "after": Measured(variant="all")}, "needs the value"),
    ],
)
def test_claims_whose_rule_does_not_fit_are_refused(fields: dict[str, Any], message: str) -> None:
    claim = STUDY.claims[0]
    with pytest.raises(ValidationError, match=message):
        Claim(**{**dict(claim), **fields})


WHOLE_PICTURES = ("looks", "critics", "consistency", "fine")
"""Fields that joined with views of parts."""


def test_fields_that_joined_later_are_no_part_of_a_declaration_at_their_default() -> None:
    """Else every study would be declared anew, after its first run, with each of them."""

    def digest(part: Any) -> str:
        return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16]

    fid = {"kind": "clean_fid", "samples": 8192, "real": 8192, "mode": "legacy_pytorch"}
    put = Put(path="evaluation.metric", value=CleanFid(), why="w")
    pairs = Translate(path="evaluation.metric", pairs=((PUBLIC_FID, CleanFid()),), why="w")
    profiles = (Profile(name="p", title="t", scalings=(put,)), Profile(name="q", title="t", scalings=(pairs,)))
    ema = change("ema", Edit(path="ema", before=None, after=Ema()))
    base = Config(evaluation=Evaluation(metric=CleanFid(), upsampling=Upsampling()))
    study = Study(**{**dict(small_study(ema)), "profiles": profiles, "base": base})
    declared = study.declaration("p")
    # As these parts were before `warmup`, `real_taken`, `quantised`, `window`, `scales`, `octaves`, `opponents` joined.
    assert declared["change ema"] == digest([{"path": "ema", "before": None, "after": {"decay": 0.999}}])
    assert declared["profile p"] == digest([{"kind": "put", "path": "evaluation.metric", "value": fid, "only": None}])
    evaluation = {**plain(base.evaluation), "metric": fid}
    del evaluation["window"], evaluation["scales"], evaluation["octaves"], evaluation["upsampling"]["opponents"]
    before = {key: value for key, value in plain(base).items() if key not in WHOLE_PICTURES}
    before["inr"] = {key: value for key, value in before["inr"].items() if key not in ("footprint", "scales")}
    before["data"] = {key: value for key, value in before["data"].items() if key != "shown"}
    assert declared["base"] == digest({**before, "evaluation": evaluation})
    there = {**fid, "real_taken": "first", "quantised": False}
    assert study.declaration("q")["profile q"] == digest(
        [{"kind": "translate", "path": "evaluation.metric", "pairs": [[there, fid]], "only": None}]
    )
    off = Study(**{**dict(study), "changes": (change("ema", Edit(path="ema", before=None, after=Ema(warmup=False))),)})
    assert off.declaration("p")["change ema"] != declared["change ema"]


def test_a_declaration_changes_with_what_is_promised_and_not_with_wording() -> None:
    study = small_study(BATCH, EMA)
    declared = study.declaration("deck")
    assert set(declared) == {
        *("question", "base", "designs", "negligible", "profile deck", "change batch", "change ema")
    }
    reworded = small_study(change("batch", *BATCH.edits, reading="otherwise"), EMA)
    assert reworded.declaration("deck") == declared
    other = small_study(change("batch", Edit(path="batch_size", before=32, after=16)), EMA).declaration("deck")
    assert [name for name in declared if declared[name] != other[name]] == ["change batch"]
