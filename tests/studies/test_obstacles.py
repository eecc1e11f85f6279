"""What keeps a run from being trained, said before anything starts."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path

import pytest

from core.config import CleanFid, Config, Evaluation, Images, Job, Reconstruction, Rooms, RoomsFrechet, Upsampling
from core.folder import Outcome, RunFolder
from core.metrics import identity
from studies import catalogue
from studies.catalogue import NAMES
from studies.plan import jobs_root, make_plan
from studies.runner import obstacles
from studies.runner.obstacles import obstacle
from studies.runner.tasks import State, Task

ROOMS = Evaluation(metric=RoomsFrechet())
IMAGES = Images(count=40, fingerprint="a" * 64)


def of(config: Config | Reconstruction, tmp_path: Path, state: State = "new", **others: object) -> str | None:
    job = Job(config=config, seed=0)
    task = Task(digest=job.digest, variant="baseline", title="none of the ten changes", seed=0, job=job)
    keywords = {"data_path": None, "device": "cpu", "retry_failed": False, **others}
    return obstacle(task, state, runs=tmp_path, **keywords)  # type: ignore[arg-type]


def test_nothing_is_in_the_way_of_rooms_and_their_own_metric(tmp_path: Path) -> None:
    assert of(Config(evaluation=ROOMS), tmp_path) is None
    assert of(Reconstruction(), tmp_path) is None


def test_arithmetic_that_a_cpu_does_not_have_is_in_the_way_there(tmp_path: Path) -> None:
    config = Config(evaluation=ROOMS, precision="tf32")
    assert of(config, tmp_path) == "precision is tf32, which CPUs do not have: set precision=float32, or --device cuda"
    assert of(config, tmp_path, device="cuda") is None


def test_a_failure_needs_a_word_to_be_tried_again(tmp_path: Path) -> None:
    config = Config(evaluation=ROOMS)
    fields = {"status": "failed", "iteration": 1, "seconds": 1.0, "evaluation_seconds": 0.0, "job_seconds": 1.0}
    outcome = Outcome.model_validate_json(json.dumps({**fields, "reason": "RuntimeError:\nout of memory"}))
    RunFolder(jobs_root(tmp_path), Job(config=config, seed=0)).write("outcome.json", outcome.model_dump_json())
    assert of(config, tmp_path, "failed") == (
        "failed before (RuntimeError: out of memory): --retry-failed tries it once more"
    )
    assert of(config, tmp_path, "failed", retry_failed=True) is None


def test_images_have_to_be_given_and_readable(tmp_path: Path) -> None:
    config = Config(data=IMAGES, evaluation=ROOMS)
    assert "40 images aaaaaaaaaaaa are not given: --data" in (of(config, tmp_path) or "")
    assert "cannot be read (No such file or directory)" in (of(config, tmp_path, data_path=tmp_path / "no.zip") or "")
    assert of(config, tmp_path, data_path=tmp_path) is None
    assert of(config, tmp_path, "finished") is None, "a result needs no images"


def test_a_fit_needs_as_many_images_as_it_fits(tmp_path: Path) -> None:
    assert of(Reconstruction(images=50, data=Rooms(train=20)), tmp_path) == (
        "50 images are to be fitted and the data has 20: lower images"
    )


def test_another_extractor_is_not_shipped(tmp_path: Path) -> None:
    config = Config(evaluation=Evaluation(metric=RoomsFrechet(extractor="b" * 64)))
    assert "its extractor is bbbbbbbbbbbb" in (of(config, tmp_path) or "")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_keeps_a_cpu_profile_from_being_trained(name: str, tmp_path: Path) -> None:
    study = catalogue.study(name)
    plan = make_plan(study, study.profile("cpu"), designs=study.designs, seeds=[0])
    assert {of(variant.config, tmp_path) for variant in plan.variants} == {None}


def test_the_metric_of_upsampling_counts(tmp_path: Path) -> None:
    other = Upsampling(metric=RoomsFrechet(resolution=32, extractor="b" * 64))
    config = Config(evaluation=Evaluation(metric=RoomsFrechet(), upsampling=other))
    assert "its extractor is bbbbbbbbbbbb" in (of(config, tmp_path) or "")


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The Inception FID where its weights are not, and no proxy is."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("INR_GAN_INCEPTION", raising=False)
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    obstacles._answers.cache_clear()
    return Config(evaluation=Evaluation(metric=CleanFid(mode="legacy_pytorch")))


def test_inception_weights_must_be_there_or_within_reach(
    no_weights: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_proxy = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", open_proxy)
        assert of(no_weights, tmp_path) is None
    obstacles._answers.cache_clear()
    found = of(no_weights, tmp_path) or ""
    assert "github.com does not answer: put the file there, or set INR_GAN_INCEPTION to its path" in found
    weights = tmp_path / "weights.pth"
    monkeypatch.setenv("INR_GAN_INCEPTION", str(weights))
    assert "which is no file" in (of(no_weights, tmp_path) or "")
    weights.write_bytes(b"garbage")
    found = of(no_weights, tmp_path) or ""
    assert found.startswith(str(weights)) and "sha256 is 6726825d0af5" in found
    monkeypatch.setattr(identity, "STATE_DICT_SHA256", hashlib.sha256(b"garbage").hexdigest())
    assert of(no_weights, tmp_path) is None


def test_a_look_up_that_hangs_is_not_waited_for(
    no_weights: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    released = threading.Event()

    def hang(*_: object, **__: object) -> None:
        released.wait(30)
        raise OSError

    monkeypatch.setattr(obstacles, "NETWORK_SECONDS", 0.05)
    monkeypatch.setattr(socket, "create_connection", hang)
    assert "does not answer" in (of(no_weights, tmp_path) or "")
    assert not released.is_set()
    released.set()
