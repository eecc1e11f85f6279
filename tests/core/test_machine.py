"""Which runs were trained on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import machine
from core.errors import InputError
from core.machine import Machine, check_device, this_machine
from core.provenance import provenance

HERE = {"processor": "a processor", "cores": 2, "device": "cpu", "threads": 1, "torch": "2.15.0"}


def test_a_run_of_this_process_was_trained_on_this_machine() -> None:
    assert this_machine("cpu", 1).ran(provenance("cpu", 1))


@pytest.mark.parametrize(
    ("theirs", "same"),
    [
        ({}, True),
        ({"torch": "2.15.0+cu132"}, True),
        ({"torch": "2.16.0"}, False),
        ({"processor": "another"}, False),
        ({"cores": 4}, False),
        ({"threads": 2}, False),
        ({"device": "NVIDIA H100"}, False),
    ],
)
def test_what_a_run_recorded_is_compared(theirs: dict[str, object], same: bool) -> None:
    assert Machine.model_validate(HERE).ran({**HERE, **theirs}) is same


def test_provenance_of_an_older_version_lacks_cores() -> None:
    assert Machine.model_validate(HERE).ran({key: value for key, value in HERE.items() if key != "cores"})


def test_a_gpu_is_known_by_the_drivers_name_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "GPUS", tmp_path)
    unnamed = this_machine("cuda", 8)
    assert unnamed.device == "cuda"
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ: 1\n")
    named = this_machine("cuda", 8)
    assert named.device == "NVIDIA H100 80GB HBM3"
    there = {**named.model_dump(), "device": "NVIDIA H100 80GB HBM3"}
    assert named.ran(there) and unnamed.ran(there)
    assert not named.ran({**there, "device": "NVIDIA H200"})
    assert not unnamed.ran({**there, "device": "cpu"})


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("cpu", 2), ("cuda", 1), ("cuda:0", 1), ("cuda:1", 2)])
def test_a_device_that_is_there_is_taken(device: str, gpus: int) -> None:
    check_device(device, gpus)


@pytest.mark.parametrize(
    ("device", "gpus", "said"),
    [
        ("cuda", 0, "--device cuda: there is no NVIDIA device here (or CUDA_VISIBLE_DEVICES hides it)"),
        ("cuda:99", 0, "--device cuda:99: there is no NVIDIA device here (or CUDA_VISIBLE_DEVICES hides it)"),
        ("cuda:2", 2, "--device cuda:2 is no device here: there is cpu, cuda, cuda:0, cuda:1"),
        ("cuda:-1", 1, "--device cuda:-1 is no device here: there is cpu, cuda, cuda:0"),
        *((name, 0, f"--device {name} is no device here: there is cpu") for name in ("gpu", "mps", "xpu", "meta")),
        ("\x1b[2J", 0, "--device \\x1b[2J is no device here: there is cpu"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(device: str, gpus: int, said: str) -> None:
    with pytest.raises(InputError) as caught:
        check_device(device, gpus)
    assert str(caught.value) == said
