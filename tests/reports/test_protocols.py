"""Numbers that were measured differently: refused, left out, or set apart, with the field that differs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from core.config import Images
from core.errors import InputError
from core.folder import RunFolder
from reports import markdown, pdf
from reports.claims import judge_claim
from reports.comparability import MixedProtocols, shortened
from reports.deck import dataset_name, metric_differs
from reports.page import Column, Document, Grey, Table
from reports.render import main, render, render_comparison
from reports.results import load
from studies.plan import Plan, jobs_root
from tests.support.pages import page_of
from tests.support.runs import WEIGHTS, planned, protocols_of, train_all, write_run

THREE = {"baseline", "all", "all-ns_loss"}
OTHER_WEIGHTS = {"weights": "00" * 32}


def test_one_run_of_other_weights_refuses_the_report_in_one_line(tmp_path: Path) -> None:
    plan = planned(tmp_path, only=THREE, seeds=(0, 1))
    train_all(tmp_path, plan, otherwise={("all", 1): OTHER_WEIGHTS})
    done = CliRunner().invoke(main, ["changes_overview", "--runs", str(tmp_path)])
    assert done.exit_code == 2 and done.output.count("\n") == 1
    assert done.output.startswith("error: changes_overview (cpu): fd_rooms was measured under 2 protocols")
    assert f"weights {WEIGHTS[:12]}… in 5 runs (baseline, all, all-ns_loss)" in done.output
    assert "weights 000000000000… in 1 run (all). Train 1 run again" in done.output
    # The remedy names the folder, and only what differs is named as such.
    all_of_it = plan.variant("all")
    assert all_of_it is not None
    assert f"remove the run folder {all_of_it.job(1).digest}, keep" in done.output
    assert "resize" not in done.output
    assert not (tmp_path / "reports").exists() or not any((tmp_path / "reports").rglob("report.md"))


def test_the_remedy_works(tmp_path: Path) -> None:
    plan = planned(tmp_path, only=THREE, seeds=(0, 1))
    train_all(tmp_path, plan, otherwise={("all", 1): OTHER_WEIGHTS})
    with pytest.raises(MixedProtocols):
        load("changes_overview", tmp_path)
    variant = plan.variant("all")
    assert variant is not None
    folder = RunFolder(jobs_root(tmp_path), variant.job(1))
    for file in (folder.events_file, folder.path / "outcome.json"):
        file.unlink()
    write_run(tmp_path, variant, 1, "finished")
    results = load("changes_overview", tmp_path)
    protocol = results.protocol("fd_rooms")
    assert protocol == protocols_of(variant)[0]


def test_runs_of_earlier_versions_mix_with_no_others_but_with_each_other(tmp_path: Path) -> None:
    plan = planned(tmp_path, only=THREE, seeds=(0, 1))
    every = {(variant.name, seed) for variant in plan.variants for seed in plan.seeds}
    train_all(tmp_path / "old", planned(tmp_path / "old", only=THREE, seeds=(0, 1)), unrecorded=every)
    results = load("changes_overview", tmp_path / "old")
    assert results.protocol("fd_rooms") is None
    assert "No run recorded its protocol" in page_of("changes_overview", runs=tmp_path / "old")
    train_all(tmp_path, plan, unrecorded={("baseline", 0)})
    with pytest.raises(MixedProtocols, match=r"protocol [0-9a-f]{12} in 5 runs .*; protocol not recorded in 1 run"):
        load("changes_overview", tmp_path)


def test_most_runs_are_not_kept_where_they_say_nothing(tmp_path: Path) -> None:
    """Runs without a record can't be matched by training others again: they are what has to be trained."""
    plan = planned(tmp_path, only={"baseline"}, seeds=(0, 1, 2))
    train_all(tmp_path, plan, unrecorded={("baseline", 0), ("baseline", 1)})
    with pytest.raises(MixedProtocols) as refused:
        load("changes_overview", tmp_path)
    digests = [plan.variants[0].job(seed).digest for seed in plan.seeds]
    assert "Train 2 runs again" in str(refused.value)
    assert all(digest in str(refused.value) for digest in digests[:2]) and digests[2] not in str(refused.value)


def test_a_diverged_run_counts_under_the_protocol_that_it_began_with(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, only=THREE, seeds=(0, 1)), diverged={("baseline", 1)})
    results = load("changes_overview", tmp_path)
    assert (results.tidy[results.tidy["metric"] == "fd_rooms"]["protocol"] == results.tidy["protocol"].iloc[0]).all()


def test_a_further_series_that_mixes_leaves_its_section_out_and_nothing_else(
    tmp_path: Path, page: Callable[..., str]
) -> None:
    plan = planned(tmp_path, only=THREE, seeds=(0, 1))
    train_all(tmp_path, plan, otherwise={("all", 1): {"latents": "set 1, seed 7"}}, series={"fd_rooms/resample_1"})
    text = page()
    assert "**A section is left out:** fd\\_rooms/resample\\_1 was measured under 2 protocols" in text
    assert "latents set 1, seed 7 in 1 run (all)" in text
    assert "Where the scatter comes from" not in text and "## Learning curves" in text


def test_other_measures_that_mix_leave_the_method_where_it_is(tmp_path: Path, page: Callable[..., str]) -> None:
    plan = planned(tmp_path, only=THREE, seeds=(0, 1))
    train_all(tmp_path, plan, otherwise={("all", 1): OTHER_WEIGHTS}, series={"fd_rooms/kid"})
    text = page()
    assert "**A section is left out:** fd\\_rooms/kid was measured under 2 protocols" in text
    assert "## Other measures" not in text
    for heading in ("## What was run", "## Cost", "## Provenance", "## Threats to validity"):
        assert heading in text


def test_a_claim_of_a_series_that_mixes_is_not_tested(tmp_path: Path) -> None:
    plan = planned(tmp_path, "upsampling", designs=("add_one_in",), seeds=(0, 1))
    train_all(tmp_path, plan, otherwise={("baseline", 1): OTHER_WEIGHTS}, series={"upsampled/bilinear_corners"})
    results = load("upsampling", tmp_path)
    words = {claim.name: judge_claim(claim, results) for claim in results.study.claims}
    assert words["natural_against_bilinear"].word == "not tested"
    assert "weights" in words["natural_against_bilinear"].why
    assert words["natural_against_own"].word != "not tested"
    text = page_of("upsampling", runs=tmp_path)
    assert text.count("was measured under 2 protocols") >= 2 and "*Table 1.* One sentence of the deck" in text


def test_an_opponent_that_mixes_is_left_out_where_it_is_told_of(tmp_path: Path) -> None:
    plan = planned(tmp_path, "upsampling", designs=("add_one_in",), seeds=(0, 1))
    train_all(tmp_path, plan, otherwise={("baseline", 1): OTHER_WEIGHTS}, series={"upsampled/lanczos_centres"})
    text = page_of("upsampling", runs=tmp_path)
    assert "Distance over that of a denser grid: sharpened bicubic" in text
    assert r"upsampled/lanczos\_centres was measured under 2 protocols" in text


def test_settings_that_are_re_tuned_stand_only_beside_what_is_measured_alike(tmp_path: Path) -> None:
    published = planned(tmp_path, only=THREE, seeds=(0, 1))
    train_all(tmp_path, published)
    raw = json.loads(published.model_dump_json())
    rates = {"generator": 0.004, "discriminator": 0.001}
    raw |= {"setting": "cpu-retuned4", "retuned": {"trials": 4, "seed": 100, "rates": dict.fromkeys(THREE, rates)}}
    for variant in raw["variants"]:
        variant["config"]["optimizers"]["learning_rates"] = rates
    tuned = Plan.model_validate_json(json.dumps(raw))
    (tmp_path / "plans" / "changes_overview" / "cpu-retuned4.json").write_text(tuned.model_dump_json())
    everywhere = {(variant.name, seed): OTHER_WEIGHTS for variant in tuned.variants for seed in tuned.seeds}
    train_all(tmp_path, tuned, otherwise=everywhere)
    text = page_of("changes_overview", runs=tmp_path, setting="cpu")
    assert "**A section is left out:** cpu and cpu-retuned4: fd\\_rooms was measured under 2 protocols" in text
    assert "### As published beside re-tuned" not in text


# --- the deck's numbers -----------------------------------------------------------------------------------------------


def like_the_deck(runs: Path, **given: object) -> Plan:
    """A study as the deck ran it: its profile, 8,192 real images of its data set, its protocol."""
    data = Images(resolution=64, count=20_000, fingerprint="ef" * 32, resampling="bilinear")
    keywords: dict[str, object] = {"data": data, "data_name": "lsun-conference_room.zip", "profile": "lsun64"}
    return planned(runs, only=THREE, seeds=(0, 1), **{**keywords, **given})  # type: ignore[arg-type]


def claim_row(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("| the deck:"))


def test_the_decks_numbers_are_plain_under_its_protocol_data_and_iterations(tmp_path: Path) -> None:
    train_all(tmp_path, like_the_deck(tmp_path))
    results = load("changes_overview", tmp_path)
    assert judge_claim(results.study.claims[0], results).differs == ()
    text = page_of("changes_overview", runs=tmp_path)
    assert "| 150 | 58 |" in claim_row(text) and "†" not in text and "<sub>" not in text
    assert "Magnitude: **comparable**" in text
    # What is neither the deck's nor the public code's is told even here, and nothing else is called so.
    scale = text.partition("### Scale")[2].partition("\n### ")[0]
    rows = [line.split("|")[1:-1] for line in scale.splitlines() if line.startswith("| `")]
    told = {cells[0].strip(" `"): [cell.strip() for cell in cells[1:4]] for cells in rows}
    assert list(told) == ["data", "discriminator.kind", "optimizers.multipliers.shared"]
    assert told["optimizers.multipliers.shared"] == ["–", "10 (0.0005 against 0.00005)", "1"]
    assert "All other numbers of the base" in scale


def test_the_decks_numbers_are_grey_with_the_reason_otherwise(tmp_path: Path) -> None:
    plan = like_the_deck(tmp_path)
    everywhere = {(variant.name, seed): {"real_samples": 300} for variant in plan.variants for seed in plan.seeds}
    train_all(tmp_path, plan, otherwise=everywhere)
    text = page_of("changes_overview", runs=tmp_path)
    assert "| <sub>150 †</sub> | <sub>58 †</sub> | <sub>0.39 †</sub> |" in claim_row(text)
    note = next(line for line in text.splitlines() if line.startswith("† Grey, because what follows differs."))
    assert "300 real images here, 8,192 there" in note and note.count(" there") == 1


@pytest.mark.parametrize(
    ("given", "fields", "reason"),
    [
        (
            {"protocol": "clean-50k"},
            {},
            "protocol: mode clean here, legacy_pytorch there, 50,000 generated images here",
        ),
        ({}, {"real_samples": 300}, "protocol: 300 real images here, 8,192 there"),
        ({}, {"weights": "ab" * 32}, "protocol: weights abababab here, 6726825d there"),
        (
            {"overrides": {"evaluation.metric.quantised": True}},
            {},
            "protocol: generated images rounded to 8 bits here, not rounded there",
        ),
        (
            {"overrides": {"evaluation.metric.real_taken": "spread"}},
            {},
            "protocol: real images spread over the set here, its first ones there",
        ),
        (
            {"data": Images(resolution=64, count=20_000, fingerprint="ef" * 32)},
            {},
            "protocol: images made smaller by the filter box here, bilinear there",
        ),
        ({"data_name": "lsun_bedroom"}, {}, "dataset: lsun_bedroom here, LSUN conference room there"),
        ({"overrides": {"iterations": 10_000}}, {}, "iterations: 10,000 here, 20,000 there"),
    ],
)
def test_the_one_thing_that_is_not_the_decks_is_named(
    tmp_path: Path, given: dict[str, object], fields: dict[str, object], reason: str
) -> None:
    plan = like_the_deck(tmp_path, **given)
    everywhere = {(variant.name, seed): fields for variant in plan.variants for seed in plan.seeds}
    train_all(tmp_path, plan, otherwise=everywhere)
    results = load("changes_overview", tmp_path)
    differs = judge_claim(results.study.claims[0], results).differs
    (named,) = [each for each in differs if not each.startswith("overrides: ")]
    assert named.startswith(reason)


def test_what_was_not_recorded_is_not_the_decks_protocol(tmp_path: Path) -> None:
    plan = like_the_deck(tmp_path)
    train_all(tmp_path, plan, unrecorded={(variant.name, seed) for variant in plan.variants for seed in plan.seeds})
    results = load("changes_overview", tmp_path)
    assert metric_differs(results.study.claims[0], results) == [
        "protocol: what clean_fid was measured with is not recorded here"
    ]


def test_upsampled_images_are_held_to_the_decks_protocol_by_their_own_metric(tmp_path: Path) -> None:
    data = Images(resolution=128, count=20_000, fingerprint="ef" * 32, resampling="bilinear")
    given = {"data": data, "data_name": "LSUN bedroom", "profile": "lsun128"}
    plan = planned(tmp_path, "upsampling", designs=("add_one_in",), seeds=(0,), **given)  # type: ignore[arg-type]
    train_all(tmp_path, plan)
    results = load("upsampling", tmp_path)
    assert [judge_claim(claim, results).differs for claim in results.study.claims] == [()] * 3
    raw = json.loads(results.plan.model_dump_json())
    for variant in raw["variants"]:
        variant["config"]["evaluation"]["upsampling"]["metric"]["mode"] = "legacy_tensorflow"
    other = dataclasses.replace(results, plan=Plan.model_validate_json(json.dumps(raw)))
    assert metric_differs(results.study.claims[0], other) == [
        "protocol: mode legacy_tensorflow here, legacy_pytorch there"
    ]


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("LSUN bedroom", True),
        ("lsun_bedroom.zip", True),
        ("lsun-bedroom_lmdb", False),
        ("bedroom_train_lmdb", True),
        ("bedroom_train_lmdb.zip", True),
        ("bedroom_val_lmdb", False),
        ("bedroom", False),
    ],
)
def test_data_sets_are_compared_by_name(name: str, same: bool) -> None:
    assert (dataset_name(name) == dataset_name("LSUN bedroom")) is same


# --- the page ---------------------------------------------------------------------------------------------------------


def test_grey_is_grey_in_the_pdf_and_small_in_markdown(tmp_path: Path) -> None:
    table = Table((Column("n"),), ((Grey("12 † #a_b"),), ("13",)), "caption", note="† Grey because of *that*.")
    document = Document("t", "s", "f", (table,))
    text = markdown.render(document)
    assert "| <sub>12 † #a\\_b</sub> |\n| 13 |\n\n† Grey because of \\*that\\*." in text
    source = pdf.source(document)
    assert '#text(fill: luma(58%))[#"12 † #a_b";];' in source and source.count("luma(58%)") == 1
    assert '#"† Grey because of *that*.";' in source
    pdf.write(document, tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_long_values_are_shortened() -> None:
    assert shortened("of data " + "ab" * 32) == "of data abababababab…"
    assert len(shortened("x" * 200)) == 60


# --- side by side -----------------------------------------------------------------------------------------------------


def test_two_reports_that_measure_differently_never_share_a_table(tmp_path: Path) -> None:
    for name, fields in (("a", {}), ("b", {"real_content": "12" * 32})):
        plan = planned(tmp_path / name, only=THREE, seeds=(0, 1))
        everywhere = {(variant.name, seed): fields for variant in plan.variants for seed in plan.seeds}
        train_all(tmp_path / name, plan, otherwise=everywhere)
        render("changes_overview", runs=tmp_path / name, out=tmp_path / f"kept_{name}", formats=("md",))
    folder = render_comparison(str(tmp_path / "kept_a"), str(tmp_path / "kept_b"), runs=tmp_path, out=tmp_path / "out")
    text = (folder / "report.md").read_text()
    assert f"**Measured differently.** real content: {'cd' * 6}… in A, {'12' * 6}… in B." in text
    assert "B / A" not in text and not (folder / "figures" / "effects.svg").exists()
    heads = [line for line in text.splitlines() if line.startswith("| variant |")]
    assert heads == [
        "| variant | A |",
        "| variant | B |",
        "| variant | A: ratio \\[95%\\] | n |".replace("\\", ""),
        "| variant | B: ratio \\[95%\\] | n |".replace("\\", ""),
        "| variant | A | B | together |",
    ]
    # The last holds words alone.
    last = text.split(heads[-1])[1].split("\n\n")[0]
    assert "below" in last and not any(digit in last.replace("baseline", "") for digit in "0123456789")


def test_a_kept_report_says_which_metric_it_reports_and_is_refused_where_it_mixes(tmp_path: Path) -> None:
    plan = planned(tmp_path, only=THREE, seeds=(0, 1))
    train_all(tmp_path, plan)
    kept = render("changes_overview", runs=tmp_path, out=tmp_path / "kept", formats=("md",))
    lines = (kept / "results.csv").read_text().splitlines()
    assert lines[0].split(",")[-4:] == ["protocol", "reported", "status", "run"]
    reported = {line.split(",")[6] for line in lines[1:] if line.split(",")[-3] == "True"}
    assert reported == {"fd_rooms"}
    said = json.loads((kept / "protocols.json").read_text())
    assert said["data"] == "embedded rooms"
    assert set(said["protocols"]) == {protocol.fingerprint for protocol in protocols_of(plan.variants[0])}
    fingerprint = lines[1].split(",")[-4]
    assert fingerprint in said["protocols"]
    lines[1] = lines[1].replace(fingerprint, "0123456789ab")
    (kept / "results.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="protocol 0123456789ab in 1 run"):
        render_comparison(str(kept), "changes_overview", runs=tmp_path, out=tmp_path / "out")


def test_the_report_prints_its_protocol_and_the_command_that_asks_for_it(tmp_path: Path) -> None:
    plan = planned(tmp_path, only=THREE, seeds=(0, 1), protocol="clean-50k")
    train_all(tmp_path, plan)
    text = page_of("changes_overview", runs=tmp_path)
    assert "Setting cpu-clean-50k" in text and "but with protocol clean-50k" in text
    assert "--profile cpu --protocol clean-50k" in text
    assert "`clean-50k`: FID with clean-fid's resizing, of 50,000 images." in text
    assert "| `evaluation.metric` |" in text and "the protocol clean-50k |" in text
    fingerprint = protocols_of(plan.variants[0])[0].fingerprint
    assert f"| fingerprint | `{fingerprint}` |" in text
    assert "| real images | 4,096 |" in text
