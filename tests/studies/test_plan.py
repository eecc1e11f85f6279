"""Plans: equal configs are one variant, overrides reach every variant or are refused in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from PIL import Image

from ablations import patch
from ablations.deck import CHANGES
from ablations.designs import screening, shapley, variant_name
from ablations.protocols import PROTOCOLS
from ablations.schema import DesignName, Profile, Put, Study
from core.config import BatchNorm, CleanFid, Config, Emission, Factorized, Images, Interpolation
from core.errors import InputError
from studies import catalogue, planning
from studies.overrides import parse_override
from studies.plan import Look, Plan, PlannedVariant, SearchChoice, merged, plan_file, read_plan, record_plan
from studies.planning import make_plan, metric_of_images, with_searched
from studies.profiles import cpu
from studies.runner.tasks import tasks_of
from studies.selection import plan_of
from tests.choices.cpu_profile import RECORD

STUDY = catalogue.study("changes_overview")
CPU = STUDY.profile("cpu")


def planned(overrides: dict[str, Any] | None = None, **others: Any) -> Plan:
    return make_plan(STUDY, CPU, **{"designs": ["ladder"], "seeds": [0], "overrides": overrides, **others})


def test_the_ladder_has_a_variant_per_rung_and_all_designs_share_the_ends() -> None:
    assert len(planned().variants) == 11 + 1  # The claim compares a variant that is no rung.
    everything = planned(designs=["ladder", "add_one_in", "leave_one_out"])
    names = [variant.name for variant in everything.variants]
    assert len(names) == len(set(names)) == 11 + 9 + 9
    baseline = everything.variant("baseline")
    assert baseline is not None
    assert baseline.designs == {"ladder": 0, "add_one_in": 0}


def flat_study() -> tuple[Study, Profile]:
    """A profile at which the INR's size does not change."""
    profile = Profile(name="flat", title="all INRs alike", scalings=(Put(path="inr.width", value=8, why="test"),))
    return Study(**{**dict(STUDY), "profiles": (profile,), "changes": CHANGES}), profile


def test_equal_configs_are_one_variant_with_both_names() -> None:
    study, profile = flat_study()
    plan = make_plan(study, profile, designs=["ladder"], seeds=[0])
    assert len(plan.variants) == 10 + 1
    twin = plan.variant("baseline..inr_size")
    assert twin is not None
    assert twin.name == "baseline..learning_rates"


def test_joining_plans_keeps_equal_configs_one_variant() -> None:
    study, profile = flat_study()
    plans = [make_plan(study, profile, designs=[d], seeds=[0]) for d in ("leave_one_out", "add_one_in", "ladder")]
    whole = merged(merged(plans[0], plans[1]), plans[2])
    digests = [task.digest for task in tasks_of(whole)]
    assert len(digests) == len(set(digests))
    names = {name for plan in plans for variant in plan.variants for name in (variant.name, *variant.aliases)}
    assert all(whole.variant(name) is not None for name in names)
    for plan in plans:
        for variant in plan.variants:
            joined = whole.variant(variant.name)
            assert joined is not None
            assert joined.config == variant.config
            assert joined.designs.items() >= variant.designs.items()


def test_recorded_plans_grow(tmp_path: Path) -> None:
    record_plan(tmp_path, planned(seeds=[0, 1]))
    whole = record_plan(tmp_path, planned(designs=["add_one_in"], seeds=[2]))
    assert whole.seeds == (0, 1, 2)
    assert len(whole.variants) == 20 + 1
    assert read_plan(tmp_path / "plans" / "changes_overview" / "cpu.json") == whole


def test_overrides_reach_every_variant_that_has_the_path() -> None:
    plan = planned({"iterations": 7, "ema.decay": 0.5})
    assert {variant.config.iterations for variant in plan.variants} == {7}
    assert {variant.config.ema.decay for variant in plan.variants if variant.config.ema} == {0.5}
    assert plan.setting.startswith("cpu-")
    assert plan.setting != planned({"iterations": 8}).setting


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"iteratons": 7}, "did you mean 'iterations'"),
        ({"inr.widht": 7}, "did you mean 'inr.width'"),
        ({"iterations": "many"}, "iterations"),
        ({"iterations": 0}, "a whole number above 0, not 0"),
        ({"batch_size": 4}, "'batch_size' varies"),
        ({"loss": "non_saturating"}, "'ns_loss' varies"),
        ({"loss.kind": "non_saturating"}, "'ns_loss' varies"),
        ({"data.resolution": 30}, "refused: data.resolution is 30: .* must come out even"),
        ({"width": 8}, "did you mean 'inr.width', 'looks.view.width' or 'hypernetwork.width'"),
        ({"hypernetwork.widht": 8}, "did you mean 'hypernetwork.width'"),
        ({"learning_rate": 0.1}, "did you mean 'optimizers.learning_rates'"),
        ({"iterations.most": 8}, "iterations takes a whole number above 0"),
        ({"inr.nothing": 8}, "inr has inr.basis, inr.layer"),
        ({"inr.depth": 1}, "a whole number of at least 2, not 1"),
        ({"flip": "True"}, "did you mean 'true'"),
        ({"discriminator": "resnett"}, "did you mean 'resnet'"),
        (
            {"discriminator": {"kind": "resnet", "width": "wide"}},
            "discriminator.width: Input should be a valid integer",
        ),
        ({"precision": "fp16"}, "precision takes float32, tf32 or bfloat16"),
        ({"evaluation.interpolation": "off"}, "write evaluation.interpolation=null for off"),
        ({"evaluation.interpolation.paths": 8}, "switches it on"),
        ({"inr.layer.normalise": False}, "it is of inr.layer=mfilm"),
        ({"evaluation.metric.samples": 100.5}, "a whole number above 0, not 100.5"),
        ({"iterations": 10**12}, "iterations"),
        ({"critics": "patch"}, "it takes a JSON list"),
        ({"critics": [{"name": "Patch"}]}, r"critics.0.name: String should match pattern"),
        ({"critics": [{"name": "patch", "view": {"kind": "whol"}}]}, r"critics.0.view: Input tag 'whol' found"),
        ({"evaluation.scales": {"fine": 16}}, r"evaluation.scales: scales.fine is 16: it must be a multiple of"),
    ],
)
def test_refused_overrides_are_one_line(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        planned(overrides)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("first", [0, 1])
def test_a_node_is_put_in_before_what_is_inside_it(first: int) -> None:
    """Whichever comes first on the line; what is not said are the member's defaults."""
    study = catalogue.study("upsampling")

    def config(**pairs: Any) -> Config:
        ordered = dict(sorted(pairs.items(), reverse=bool(first)))
        made = make_plan(study, study.profile("cpu"), designs=study.designs, seeds=[0], overrides=ordered)
        chosen = made.variants[0].config
        assert isinstance(chosen, Config)
        return chosen

    layered = config(**{"inr.layer": "factorized", "inr.layer.rank": 3})
    assert layered.inr.layer == Factorized(rank=3)
    assert config(
        **{"evaluation.interpolation": {}, "evaluation.interpolation.paths": 16}
    ).evaluation.interpolation == (Interpolation(paths=16))
    assert config(**{"hypernetwork.norm": "batch_norm"}).hypernetwork.norm == BatchNorm()


def test_an_override_is_a_path_and_a_value() -> None:
    assert parse_override("iterations=200") == ("iterations", 200)
    assert parse_override("ema=null") == ("ema", None)
    assert parse_override("loss=non_saturating") == ("loss", "non_saturating")
    for text in ("iterations", "=3"):
        with pytest.raises(InputError, match="write path=value"):
            parse_override(text)


def test_real_images_replace_the_rooms_at_any_resolution() -> None:
    data = Images(resolution=16, count=10, fingerprint="a" * 64)
    plan = planned({"data.resolution": 32}, data=data, data_name="lsun.zip")
    assert {variant.config.data for variant in plan.variants} == {Images(resolution=32, count=10, fingerprint="a" * 64)}
    other = planned(data=Images(resolution=16, count=10, fingerprint="b" * 64), data_name="lsun.zip")
    same_name = planned(data=data, data_name="lsun.zip")
    assert other.setting != same_name.setting, "other images of the same name are another setting"


def test_digests_depend_on_config_and_seed_alone() -> None:
    digests = [task.digest for task in tasks_of(planned(seeds=[0, 1, 2]))]
    assert len(set(digests)) == 3 * 12
    assert digests == [task.digest for task in tasks_of(planned(seeds=[0, 1, 2]))]
    longer = tasks_of(planned(seeds=[0, 1, 2, 3]))
    assert set(digests) < {task.digest for task in longer}
    assert Config() == Config.model_validate_json(Config().model_dump_json())


def test_the_cpu_profile_is_the_one_that_its_rule_chose() -> None:
    chosen = json.loads(RECORD.read_text())
    chosen["emission"] = chosen["emission"] and Emission(**chosen["emission"])
    assert cpu(**chosen) == CPU


@pytest.mark.parametrize(("profile", "resampling"), [("cpu", "box"), ("lsun64", "bilinear")])
def test_images_that_are_not_prepared_are_made_smaller_by_the_profiles_filter(
    profile: str, resampling: str, tmp_path: Path
) -> None:
    photo = tmp_path / "photos" / "a.png"
    photo.parent.mkdir()
    Image.new("RGB", (80, 70), "red").save(photo)
    options = mock.Mock(
        data_path=photo.parent, profile=profile, overrides=(), wanted=(), designs=None, seeds=None, protocol=None
    )
    plan = plan_of(STUDY, options, ())
    assert {variant.config.data.resampling for variant in plan.variants if variant.config.data.kind == "images"} == {
        resampling
    }
    assert {variant.config.data.kind for variant in plan.variants} == {"images"}


# --- protocols --------------------------------------------------------------------------------------------------------


def test_a_protocol_measures_every_variant_and_makes_a_setting_of_its_own() -> None:
    plan = planned(protocol="deck-2020")
    assert plan.setting == "cpu-deck-2020" and plan.protocol == "deck-2020"
    metrics = {variant.config.evaluation.metric for variant in plan.variants}
    assert metrics == {CleanFid(real_taken="first", quantised=False)}
    # All else is the profile's, other evaluations too.
    plain = planned()
    for one, other in zip(plain.variants, plan.variants, strict=True):
        here = one.config.model_dump() | {"evaluation": other.config.evaluation.model_dump()}
        assert other.config.model_dump() == here
        assert other.config.evaluation.resamples == one.config.evaluation.resamples == 2
    assert planned({"iterations": 400}, protocol="deck-2020").setting.startswith("cpu-deck-2020-")


def test_the_embedded_protocol_shares_its_runs_with_the_profile_that_has_it() -> None:
    digests = [[task.digest for task in tasks_of(plan)] for plan in (planned(), planned(protocol="embedded"))]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("name", ["upsampling", "changes_overview"])
def test_enlarged_images_are_measured_by_the_protocol_where_a_study_has_such(name: str) -> None:
    study = catalogue.study(name)
    plan = make_plan(study, study.profile("cpu"), designs=study.designs, seeds=[0], protocol="clean-50k")
    for variant in plan.variants:
        assert isinstance(variant.config, Config)
        asked = variant.config.evaluation.upsampling
        assert (asked is not None) == (name == "upsampling")
        assert asked is None or asked.metric == variant.config.evaluation.metric == PROTOCOLS["clean-50k"].metric


@pytest.mark.parametrize(
    ("name", "protocol", "overrides", "said"),
    [
        ("changes_overview", "deck2020", {}, "there is no protocol 'deck2020': did you mean 'deck-2020'"),
        ("changes_overview", "clean-50k", {"evaluation.metric.samples": 9}, "leave out the override evaluation.metric"),
        ("changes_overview", "clean-50k", {"evaluation": {}}, "sets evaluation.metric: leave out the override eval"),
        ("upsampling", "clean-50k", {"evaluation.upsampling.metric.samples": 9}, "sets evaluation.upsampling.metric"),
        ("inr_layers", "clean-50k", {}, "is of generated images, inr_layers fits given ones"),
    ],
)
def test_a_protocol_that_does_not_fit_is_refused(
    name: str, protocol: str, overrides: dict[str, Any], said: str
) -> None:
    study = catalogue.study(name)
    with pytest.raises(InputError, match=said):
        make_plan(study, study.profile("cpu"), designs=study.designs, seeds=[0], protocol=protocol, overrides=overrides)


def test_the_decks_own_profile_measures_as_deck_2020() -> None:
    plan = make_plan(STUDY, STUDY.profile("lsun64"), designs=["ladder"], seeds=[0])
    assert {variant.config.evaluation.metric for variant in plan.variants} == {PROTOCOLS["deck-2020"].metric}


# --- real images ------------------------------------------------------------------------------------------------------


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which weights are on this machine."""

    def there(*, inception: bool, imagenet: bool) -> None:
        monkeypatch.setattr(planning, "inception_here", lambda mode: inception and mode == "legacy_pytorch")
        monkeypatch.setattr(planning, "imagenet_file", lambda: Path("weights.pth") if imagenet else None)

    return there


def of_photographs(tmp_path: Path, name: str = "changes_overview", **given: Any) -> Plan:
    """The plan of one photograph that the options mean."""
    photo = tmp_path / "photos" / "a.png"
    photo.parent.mkdir(exist_ok=True)
    Image.new("RGB", (150, 150), "red").save(photo)
    asked = {"data_path": photo.parent, "profile": "cpu", "overrides": (), "wanted": (), "designs": None, "seeds": None}
    return plan_of(catalogue.study(name), mock.Mock(**{**asked, "protocol": None, "controls": False, **given}), ())


@pytest.mark.parametrize(
    ("inception", "imagenet", "protocol", "kind"),
    [
        (True, True, "deck-2020", "clean_fid"),
        (True, False, "deck-2020", "clean_fid"),
        (False, True, "imagenet", "fd_imagenet"),
        (False, False, None, "fd_rooms"),
    ],
)
def test_real_images_are_measured_by_what_knows_photographs_and_is_here(
    inception: bool, imagenet: bool, protocol: str | None, kind: str, weights: Callable[..., None], tmp_path: Path
) -> None:
    weights(inception=inception, imagenet=imagenet)
    plan = of_photographs(tmp_path)
    assert plan.protocol == protocol
    assert {variant.config.evaluation.metric.kind for variant in plan.variants} == {kind}
    assert plan.setting.startswith("cpu-" if protocol is None else f"cpu-{protocol}-")
    (said,) = metric_of_images(STUDY, plan)
    assert said.startswith(f"these images are measured by {kind}")
    assert ("pip install 'inr-gan-ablations[imagenet]'" in said) == (protocol is None)
    assert (f"(protocol {protocol}" in said) == (protocol is not None)
    # Named it is the same plan.
    if protocol is not None:
        assert of_photographs(tmp_path, protocol=protocol) == plan
    # Rooms keep what they are measured by, and other profiles theirs.
    assert of_photographs(tmp_path, data_path=None).protocol is None
    assert metric_of_images(STUDY, of_photographs(tmp_path, data_path=None)) == []
    deck = of_photographs(tmp_path, profile="lsun64")
    assert deck.protocol is None and metric_of_images(STUDY, deck) == []


def test_a_protocol_or_an_override_of_what_is_measured_wins(weights: Callable[..., None], tmp_path: Path) -> None:
    weights(inception=False, imagenet=True)
    assert of_photographs(tmp_path, protocol="embedded").variants[0].config.evaluation.metric.kind == "fd_rooms"
    for override, kind in (
        ("evaluation.metric.samples=64", "fd_rooms"),
        ("evaluation.metric=clean_fid", "clean_fid"),
        ("iterations=40", "fd_imagenet"),
    ):
        plan = of_photographs(tmp_path, overrides=(override,))
        assert plan.protocol == ("imagenet" if kind == "fd_imagenet" else None)
        assert {variant.config.evaluation.metric.kind for variant in plan.variants} == {kind}
        said = metric_of_images(STUDY, plan)
        assert [kind in line for line in said] == ([] if kind == "clean_fid" else [True])


def test_enlarged_photographs_are_measured_so_too_and_fitted_ones_are_not(
    weights: Callable[..., None], tmp_path: Path
) -> None:
    weights(inception=False, imagenet=True)
    for variant in of_photographs(tmp_path, "upsampling").variants:
        assert isinstance(variant.config, Config) and variant.config.evaluation.upsampling is not None
        assert variant.config.evaluation.upsampling.metric == PROTOCOLS["imagenet"].metric
    fits = of_photographs(tmp_path, "inr_layers")
    assert fits.protocol is None and metric_of_images(catalogue.study("inr_layers"), fits) == []


# --- looks ------------------------------------------------------------------------------------------------------------


def begin(runs: Path, plan: Plan) -> None:
    for variant in plan.variants:
        for seed in plan.seeds:
            (runs / "jobs" / variant.job(seed).digest).mkdir(parents=True, exist_ok=True)


def test_seeds_and_designs_are_registered_before_the_first_run_and_not_after(tmp_path: Path) -> None:
    record_plan(tmp_path, planned(seeds=[0, 1]))
    both = record_plan(tmp_path, planned(designs=["add_one_in"], seeds=[2]))
    assert both.looks == (Look(seeds=(0, 1, 2), designs=("ladder", "add_one_in"), runs=63),)
    begin(tmp_path, both)
    assert record_plan(tmp_path, planned(seeds=[0, 1])).looks == both.looks, "nothing new is no further look"
    later = record_plan(tmp_path, planned(designs=["leave_one_out"], seeds=[3]))
    assert later.looks == (
        both.looks[0],
        Look(seeds=(3,), designs=("leave_one_out",), begun=63, runs=len(later.variants) * 4),
    )


def test_runs_that_another_study_had_trained_are_said_to_have_begun(tmp_path: Path) -> None:
    begin(tmp_path, Plan(**{**dict(planned(seeds=[0])), "variants": planned().variants[:2]}))
    look = record_plan(tmp_path, planned(seeds=[0, 1])).looks[0]
    assert look.begun == len(look.seen) == 2


def test_an_override_that_changes_nothing_is_no_setting_of_its_own() -> None:
    assert planned({"iterations": 800}) == planned()
    assert planned({"iterations": 800, "ema.decay": 0.5}).overrides == {"ema.decay": 0.5}


def test_overrides_may_need_one_another() -> None:
    together = planned({"looks.view": "patches", "fine": "pool"})
    assert {variant.config.looks.view.kind for variant in together.variants} == {"patches"}
    with pytest.raises(InputError, match=r"of 64 pixels a side, and those here have 16: set fine.resolution=64"):
        planned({"looks.view": "patches"})


# --- variants that only some seeds train ------------------------------------------------------------------------------


def screened(*seeds: int, designs: Sequence[DesignName] = ("screening",)) -> Plan:
    return planned(designs=designs, seeds=seeds)


def digests(plan: Plan) -> set[str]:
    return {task.digest for task in tasks_of(plan)}


def test_each_seed_trains_the_screening_that_it_drew_and_claims_train_all() -> None:
    plan = screened(0, 1)
    # 24 runs a seed, and both variants of the claim with each of them, of which screenings have none.
    assert len(plan.jobs()) == len(digests(plan)) == 2 * 24 + 2 * 2
    for seed in (0, 1):
        mine = {variant.changes for variant, of in plan.jobs() if of == seed and variant.designs}
        assert mine == set(screening(STUDY, seed))
    assert [variant.name for variant in plan.listed] == ["baseline", "all-ns_loss"]
    assert plan.drawn_words == f"screening, {len(plan.variants) - 2} variants"
    assert all(0 < len(plan.seeds_of(variant)) <= 2 for variant in plan.variants)


def test_a_later_seed_adds_its_runs_and_leaves_those_that_are_there(tmp_path: Path) -> None:
    first = record_plan(tmp_path, screened(0, 1))
    assert read_plan(tmp_path / "plans" / "changes_overview" / "cpu.json") == first
    whole = record_plan(tmp_path, screened(0, 1, 2))
    assert digests(first) < digests(whole) == digests(screened(0, 1, 2))
    # Asked for alone, the third seed is the same.
    assert digests(merged(screened(0, 1), screened(2))) == digests(whole)
    assert len(whole.jobs()) == 3 * 24 + 3 * 2


def test_what_another_design_asks_for_too_is_trained_with_all_seeds() -> None:
    both = screened(0, 1, designs=("screening", "shapley"))
    shared = set(screening(STUDY, 0)) & set(shapley(STUDY))
    assert shared, "the two designs have a variant in common"
    for order in (both, merged(screened(0, 1), planned(designs=["shapley"], seeds=[0, 1]))):
        found = {variant.changes: variant for variant in order.variants}
        assert all(order.seeds_of(found[subset]) == (0, 1) and found[subset].seeds is None for subset in shared)
        assert digests(order) == digests(both)
    # A design that comes to more seeds than the screening leaves that as it was.
    more = merged(screened(0, 1), planned(designs=["ladder"], seeds=[0, 1, 2]))
    assert {seed for variant in more.drawn for seed in more.seeds_of(variant)} == {0, 1}


def test_equal_configs_have_the_seeds_of_both_names() -> None:
    study, profile = flat_study()
    plan = make_plan(study, profile, designs=["screening"], seeds=range(4))
    for seed in range(4):
        for subset in screening(study, seed):
            variant = plan.variant(variant_name(study, subset))
            assert variant is not None and seed in plan.seeds_of(variant)
    assert len(digests(plan)) == len(plan.jobs())


def test_plans_from_before_there_were_such_seeds_still_load(tmp_path: Path) -> None:
    plan = record_plan(tmp_path, planned())
    file = tmp_path / "plans" / "changes_overview" / "cpu.json"
    written = json.loads(file.read_text())
    for variant in written["variants"]:
        assert variant.pop("seeds") is None
    file.write_text(json.dumps(written))
    assert read_plan(file) == plan


def test_what_a_search_chooses_is_trained_with_all_seeds() -> None:
    study = catalogue.study("learning_rates")
    plan = make_plan(study, study.profile("cpu"), designs=study.designs, seeds=[0, 1])
    baseline = plan.variant("baseline")
    assert baseline is not None
    search = study.searches[0]
    values = {p.path: p.ends(baseline.config)[0] for p in search.parameters}
    choice = SearchChoice(search=search.name, variant=search.variant, trials=1, trial=0, values=values)
    found = with_searched(plan, study, [choice]).variant(search.variant)
    assert found is not None
    # As though a seed had drawn that very config before.
    drawn = PlannedVariant(**{**dict(found), "name": "drawn", "seeds": (1,)})
    before = Plan(**{**dict(plan), "variants": (*plan.variants, drawn)})
    again = with_searched(before, study, [choice]).variant(search.variant)
    assert again is not None and again.name == "drawn" and again.seeds is None


# --- what the profiles do to the deck's changes -----------------------------------------------------------------------


def test_the_cpu_profile_thins_neither_side_of_the_change_of_penalty() -> None:
    """Of two penalties that a change exchanges, each acts at every step of D, as in the deck."""
    for variant in planned().variants:
        assert isinstance(variant.config, Config)
        assert variant.config.penalty.interval == 1, variant.name


def test_the_average_of_g_acts_at_the_small_scale_in_the_decks_proportion() -> None:
    decks = STUDY.folded(["generator_ema"])
    here = STUDY.profile("cpu").scaled(decks)
    for config in (decks, here):
        assert isinstance(config, Config) and config.ema is not None and not config.ema.warmup
        # Its memory, 1 / (1 - decay) steps of G, is a twentieth of the iterations.
        assert (1 - config.ema.decay) * config.iterations == pytest.approx(20)


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_no_profile_erases_an_edit_of_a_change(name: str) -> None:
    study = catalogue.study(name)
    for profile in study.profiles:
        for change in study.changes:
            without, with_it = (
                profile.scaled(study.folded(names)).model_dump(mode="json")
                for names in (change.requires, (*change.requires, change.name))
            )
            for edit in change.edits:
                before, after = patch.lookup(without, edit.path), patch.lookup(with_it, edit.path)
                assert before != after, f"{profile.name} makes {edit.path} of {change.name} the same on both sides"


@pytest.mark.parametrize("name", ["weight_clipping", "model_size", "upsampling", "lsun_bedroom_128"])
def test_numbers_on_the_larger_models_curve_are_compared_at_its_size(name: str) -> None:
    study = catalogue.study(name)
    assert {claim.comparable_profile for claim in study.claims} == {"lsun128"}
    assert study.profile("lsun128").scaled(study.base).data.resolution == 128


def test_the_record_of_the_cpu_profile_tells_what_was_changed_with_results_in_view() -> None:
    page = RECORD.with_suffix(".md").read_text()
    assert "1.90 with factor 2 (mean), 4.10 with 4 (regret)" in page and "after its result had been seen" in page
    rows = [line.split("|") for line in page.partition("## The deck's sentence under both factors")[2].splitlines()]
    ratios = {row[1].strip(): row[4].strip() for row in rows if len(row) == 6 and row[1].strip() in ("2", "4")}
    assert set(ratios) == {"2", "4"} and all(
        re.fullmatch(r"\d\.\d\d \[\d\.\d\d, \d\.\d\d\]", r) for r in ratios.values()
    )


def test_a_plan_has_no_more_jobs_than_commands_can_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="1,001 seeds are too many: a plan may have 1,000"):
        planned(seeds=range(1001))
    monkeypatch.setattr("studies.plan.MOST_JOBS", 20)
    with pytest.raises(InputError, match="it has up to 24 jobs, and a plan may have 20"):
        planned(seeds=range(2))


@pytest.mark.parametrize("seeds", [[2**70], [-1], [0.5], list(range(20_000))])
def test_seeds_of_a_plan_that_cannot_be_are_one_line(tmp_path: Path, seeds: list[float]) -> None:
    plan = planned()
    file = plan_file(tmp_path, plan.study, plan.setting)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({**json.loads(plan.model_dump_json()), "seeds": seeds}))
    with pytest.raises(InputError, match=r"seeds.*move it away"):
        read_plan(file)
