"""Protocols: what numbers are measured with, and when two are the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core import config as cfg
from core.errors import InputError
from core.folder import RunFolder
from core.job import run_job
from core.metrics.build import build_metric, in_single_precision
from core.metrics.identity import extractor_sha256
from core.metrics.protocol import Protocol, as_json, differences, from_json, of_fit, of_metric
from tests.core.conftest import a_protocol, small_config


def clean(mode: str = "legacy_pytorch", *, metric: cfg.CleanFid | None = None, **changed: object) -> Protocol:
    given: dict[str, object] = {
        "weights": "ab" * 32,
        "side": 64,
        "real_samples": 8192,
        "real_content": "cd" * 32,
        "latents_seed": 8192,
    }
    return of_metric(metric or cfg.CleanFid(mode=mode), **{**given, **changed})  # type: ignore[arg-type]


def test_fingerprints_are_pinned() -> None:
    """A reworded field parts new numbers from old ones: where that is not meant, this fails."""
    assert clean().fingerprint == "1878da98d949"
    assert a_protocol().fingerprint == "46fbf5e08b57"
    assert [protocol.fingerprint for protocol in of_fit(cfg.Reconstruction())] == ["f22bd9e63a6f", "8b6d6dcb3fd2"]


@pytest.mark.parametrize(
    ("other", "field"),
    [
        (clean(mode="clean"), "resize"),
        (clean(weights="00" * 32), "weights"),
        (clean(side=128), "resize"),
        (clean(real_samples=4096), "real_samples"),
        (clean(real_content="00" * 32), "real_content"),
        (clean(latents_seed=1), "latents"),
        (clean(metric=cfg.CleanFid(quantised=False)), "quantisation"),
        (clean(metric=cfg.CleanFid(real_taken="first")), "real images taken"),
        (clean().derived("clean_fid", samples=50_000), "samples"),
        (clean().derived("clean_fid", precision="bfloat16"), "precision"),
        (clean().derived("clean_fid", truncation="psi 0.7"), "truncation"),
        (clean().derived("clean_fid", details={"neighbours": "5"}), "neighbours"),
    ],
)
def test_each_field_is_part_of_the_fingerprint_and_is_named(other: Protocol, field: str) -> None:
    assert other.fingerprint != clean().fingerprint
    assert list(differences(clean(), other)) == [field]
    assert differences(clean(), clean()) == {}


def test_the_public_codes_fid_says_both_and_comes_back_from_its_record() -> None:
    public = clean(metric=cfg.PUBLIC_FID)
    assert list(differences(clean(), public)) == ["quantisation", "real images taken"]
    recorded = json.loads(as_json([public]))
    assert recorded["clean_fid"]["quantisation"] == "8 bits a channel of real images, none of generated ones"
    assert recorded["clean_fid"]["details"] == {"real images taken": "the first of the set"}
    assert from_json(recorded) == {"clean_fid": public}


def test_what_was_not_recorded_differs_from_what_was() -> None:
    assert differences(None, clean()) == {"protocol": ("not recorded", clean().fingerprint)}
    assert differences(None, None) == {}


def test_a_measure_says_what_it_uses_not_what_was_asked_for() -> None:
    real = torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    measure = build_metric(cfg.RoomsFrechet(samples=8), real, device="cpu", cache=None, latents_seed=3)
    protocol = measure.protocol
    assert (protocol.series, protocol.extractor) == ("fd_rooms", "rooms16, pooled")
    assert (protocol.samples, protocol.real_samples) == (8, 40)
    assert protocol.weights == extractor_sha256() and protocol.real_content == measure.real.content
    assert (protocol.resize, protocol.latents) == ("means over areas, 32 to 16", "fixed, seed 3")


def test_a_record_comes_back_and_an_old_one_is_no_record() -> None:
    protocols = (clean(), clean().derived("clean_fid/kid", details={"kernel_subsets": "100"}))
    recorded = json.loads(as_json(protocols))
    assert recorded["clean_fid"]["fingerprint"] == clean().fingerprint
    assert from_json(recorded) == {protocol.series: protocol for protocol in protocols}
    assert from_json({"metric": "fd_rooms", "samples": "2048"}) == {}
    assert from_json({"fd_rooms": {"extractor": "another version's"}}) == {}


def test_features_are_of_single_precision_while_they_are_asked_for() -> None:
    seen = []

    def features(images: torch.Tensor) -> torch.Tensor:
        seen.append(torch.backends.cudnn.conv.fp32_precision)
        return images

    before = torch.backends.cudnn.conv.fp32_precision
    in_single_precision(features)(torch.zeros(1))
    assert seen == ["ieee"] and torch.backends.cudnn.conv.fp32_precision == before == "tf32"


@pytest.mark.gpu
def test_on_a_gpu_features_are_the_cpus() -> None:
    real = torch.randint(0, 256, (512, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    on_cpu, on_gpu = (
        build_metric(cfg.RoomsFrechet(samples=8), real, device=device, cache=None) for device in ("cpu", "cuda")
    )
    assert on_cpu.protocol == on_gpu.protocol
    torch.testing.assert_close(on_gpu.features(real).cpu(), on_cpu.features(real), rtol=1e-5, atol=1e-5)


def test_a_job_does_not_go_on_under_another_protocol(tmp_path: Path) -> None:
    job = cfg.Job(config=small_config(), seed=0)
    options = {"runs": tmp_path, "cache": tmp_path / "cache"}
    seen: list[object] = []
    for event in run_job(job, stop=lambda: len(seen) > 4, **options):  # type: ignore[arg-type]
        seen.append(event)
    folder = RunFolder(tmp_path, job)
    assert folder.checkpoint_file.exists()
    began = folder.read("protocol.json")
    other = {"fd_rooms": {**began["fd_rooms"], "real_samples": 31}}
    folder.write("protocol.json", json.dumps(other))
    with pytest.raises(InputError, match=r"began with another protocol of fd_rooms: real_samples was 31 and is 32"):
        list(run_job(job, **options))  # type: ignore[arg-type]
    folder.write("protocol.json", json.dumps(began))
    list(run_job(job, **options))  # type: ignore[arg-type]
    outcome = folder.outcome()
    assert outcome is not None and outcome.status == "finished" and outcome.resumed


def test_the_docs_name_every_field() -> None:
    text = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text()
    rows = [line.split("|")[1].strip() for line in text.split("## By name")[0].splitlines() if line.startswith("| `")]
    assert rows == [f"`{name}`" for name in Protocol.model_fields]
