"""The studies of the layers and of the first layer: what they train, and what they share with others."""

from __future__ import annotations

from itertools import product

import pytest

from ablations.layers import ROWS
from core.config import Config, Fourier, Job, Reconstruction, Siren
from studies.catalogue import study
from studies.plan import Plan
from studies.planning import make_plan


def plan_of(name: str, profile: str = "cpu") -> Plan:
    declared = study(name)
    return make_plan(declared, declared.profile(profile), designs=declared.designs, seeds=range(3))


def test_every_layer_at_every_init_by_every_emitter() -> None:
    plan = plan_of("inr_layers")
    assert len(plan.variants) == 11 * 2 * 2
    configs = [variant.config for variant in plan.variants]
    assert all(isinstance(config, Reconstruction) for config in configs)
    kinds = {
        (c.inr.layer.model_dump_json(), c.inr.init, c.emitter.kind) for c in configs if isinstance(c, Reconstruction)
    }
    assert len(kinds) == 44
    assert plan.variant("baseline+adain+unit_init+latent_codes") is not None


def test_the_decks_setting_is_a_profile() -> None:
    config = plan_of("inr_layers", "deck128").variants[0].config
    assert isinstance(config, Reconstruction)
    assert (config.images, config.data.resolution, config.inr.width, config.inr.depth) == (50, 128, 256, 5)


def test_the_slides_table_is_one_claim_of_an_order() -> None:
    (claim,) = study("inr_layers").claims
    assert claim.expects == "order"
    assert [number.value for number in claim.numbers] == [row.mae for row in ROWS]
    assert {number.variant for number in claim.numbers} == {
        "baseline", *(f"baseline+{row.name}" for row in ROWS if row.name != "linear")
    }  # fmt: skip


def test_gans_of_the_eight_layers_share_runs_with_the_ladder() -> None:
    plan, ladder = plan_of("inr_layers_gan"), plan_of("changes_overview")
    assert len(plan.variants) == 16
    factorized_se, everything = plan.variant("baseline+factorized_se"), ladder.variant("all")
    assert factorized_se is not None and everything is not None
    assert factorized_se.job(0).digest == everything.job(0).digest


def test_first_layers() -> None:
    plan = plan_of("siren_vs_fourier")
    assert len(plan.variants) == 13 * 2
    scales = set()
    for variant in plan.variants:
        assert isinstance(variant.config, Config)
        basis = variant.config.inr.basis
        factor = basis.factor if isinstance(basis, Siren) else None
        scales.add((basis.kind, round(basis.scale, 2), factor, variant.config.inr.coordinates.layer))
    # Both kinds get the same scales: neither is tuned more finely than the other.
    same = (1.0, 2.0, 4.0, 8.66, 30.0, 100.0)
    sirens = [*(("siren", sigma, 30.0) for sigma in same), ("siren", 1.0, 1.0)]
    fouriers = [("fourier", sigma, None) for sigma in same]
    assert scales == {(*what, owner) for what, owner in product([*sirens, *fouriers], ("generated", "shared"))}


@pytest.mark.parametrize("name", ["inr_layers_gan", "siren_vs_fourier"])
def test_nothing_but_the_asked_for_differs(name: str) -> None:
    """Without layer, basis, coordinates and init every variant is one config."""
    rest = set()
    for variant in plan_of(name).variants:
        data = variant.config.model_dump(mode="json")
        for key in ("layer", "basis", "init", "coordinates"):
            del data["inr"][key]
        rest.add(str(data))
    assert len(rest) == 1


def test_lsun_profile_keeps_the_decks_numbers() -> None:
    plan = plan_of("siren_vs_fourier", "lsun64")
    hundred = plan.variant("baseline+fourier_100")
    assert hundred is not None and isinstance(hundred.config, Config)
    assert hundred.config.inr.basis == Fourier() and hundred.config.iterations == 20_000
    assert Job(config=hundred.config, seed=0).digest != Job(config=plan.variants[0].config, seed=0).digest
