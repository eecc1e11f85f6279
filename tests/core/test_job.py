"""The run folder's job: killed at any iteration it ends as an undisturbed one; faults end as documented."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from pydantic import ValidationError
from safetensors.torch import load_file

from core import config as cfg
from core import job as job_module
from core import recorder
from core.checkpoint import read_checkpoint
from core.errors import InputError
from core.events import Checkpointed, Evaluated, Event
from core.folder import DeviceMemory, Outcome, RunFolder
from core.job import JobTaken, read_job, run_job
from core.memory import OutOfMemory, is_out_of_memory
from core.metrics.identity import INCEPTION_VARIABLE
from core.train import main
from tests.core.conftest import small_config
from tests.core.test_train import payload

JOB = cfg.Job(config=small_config(), seed=3)
FITTING = cfg.Reconstruction(
    data=cfg.Rooms(resolution=8, train=64, held_out=32),
    images=4,
    inr=cfg.Inr(width=8, depth=3),
    learning_rate=1e-2,
    iterations=4,
    evaluation=cfg.ErrorEvaluation(every=2),
)
ROOT = Path(__file__).parents[2]


def finished(runs: Path, cache: Path, job: cfg.Job = JOB) -> RunFolder:
    for _ in run_job(job, runs=runs, cache=cache):
        pass
    return RunFolder(runs, job)


def comparable(folder: RunFolder) -> list[dict[str, Any]]:
    return payload(folder.events())


def in_a_process_that_kills_itself(events: Callable[[], Iterator[Event]], when: Callable[[Event], bool]) -> int:
    """Runs the events in a forked process that SIGKILLs itself at the first event for which `when` holds."""
    child = os.fork()
    if child == 0:
        try:
            for event in events():
                if when(event):
                    os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.usefixtures("every_iteration")
def test_killed_after_every_iteration_it_ends_as_an_undisturbed_job(tmp_path: Path, cache: Path) -> None:
    undisturbed = finished(tmp_path / "undisturbed", cache)
    kills = 0
    for iteration in range(1, 12):
        status = in_a_process_that_kills_itself(
            lambda: run_job(JOB, runs=tmp_path / "killed", cache=cache),
            lambda event, at=iteration: event.iteration >= at and not isinstance(event, Checkpointed),  # type: ignore[misc]
        )
        kills += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert kills == 11
    killed = finished(tmp_path / "killed", cache)
    assert comparable(killed) == comparable(undisturbed)
    weights, expected = load_file(killed.generator_file), load_file(undisturbed.generator_file)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    grids = [sorted((folder.samples).iterdir()) for folder in (killed, undisturbed)]
    assert [file.read_bytes() for file in grids[0]] == [file.read_bytes() for file in grids[1]]


def test_a_finished_folder_has_all_that_its_docstring_says_and_is_never_trained_again(
    tmp_path: Path, cache: Path
) -> None:
    folder = finished(tmp_path, cache)
    assert folder.job() == JOB and folder.digest == JOB.digest
    outcome = folder.outcome()
    assert outcome is not None and outcome.status == "finished" and outcome.iteration == 12
    assert outcome.seconds + outcome.evaluation_seconds <= outcome.job_seconds
    assert not folder.checkpoint_file.exists()
    fingerprints = {e.protocol for e in folder.events() if isinstance(e, Evaluated)}
    assert fingerprints == {folder.read("protocol.json")["fd_rooms"]["fingerprint"]}
    assert folder.read("provenance.json")["torch"] == torch.__version__
    assert [file.name for file in sorted(folder.samples.iterdir())] == [
        "000005.png",
        "000010.png",
        "000012.png",
        "interpolations.png",
        "real.png",
    ]
    assert [e.iteration for e in folder.events() if isinstance(e, Evaluated)] == [5, 10, 12]
    assert list(run_job(JOB, runs=tmp_path, cache=cache)) == []


def test_asked_to_stop_it_leaves_a_checkpoint_and_no_outcome(tmp_path: Path, cache: Path) -> None:
    undisturbed = finished(tmp_path / "undisturbed", cache)
    seen: list[Event] = []
    for event in run_job(JOB, runs=tmp_path / "stopped", cache=cache, stop=lambda: len(seen) > 4):
        seen.append(event)
    folder = RunFolder(tmp_path / "stopped", JOB)
    assert isinstance(seen[-1], Checkpointed) and folder.outcome() is None and folder.checkpoint_file.exists()
    assert comparable(finished(tmp_path / "stopped", cache)) == comparable(undisturbed)


def test_a_locked_folder_is_taken(tmp_path: Path, cache: Path) -> None:
    folder = RunFolder(tmp_path, JOB)
    folder.path.mkdir()
    with FileLock(folder.lock_file), pytest.raises(JobTaken):
        next(run_job(JOB, runs=tmp_path, cache=cache))
    assert finished(tmp_path, cache).outcome() is not None


def until(events: Iterator[Event], iteration: int) -> None:
    """Follows the events up to the first of this iteration, where whoever yields them then hangs."""
    assert any(event.iteration == iteration for event in events)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> RunFolder:
    return finished(tmp_path_factory.mktemp("undisturbed"), cache)


@pytest.mark.parametrize("where", ["training", "fsync", "the last evaluation", "an error"])
def test_who_wakes_after_another_has_gone_on_with_the_job_writes_neither_checkpoint_nor_outcome(
    where: str, tmp_path: Path, cache: Path, undisturbed: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One host took the other's process for dead, and locks do not reach from the one to the other."""
    monkeypatch.setattr(recorder, "CHECKPOINT_COST_FACTOR", 0.0)
    folder = RunFolder(tmp_path / "taken", JOB)

    def begun(*, checkpoints: bool) -> Iterator[Event]:
        monkeypatch.setattr(recorder, "CHECKPOINT_SECONDS", -1.0 if checkpoints else 1e9)
        folder.lock_file.unlink(missing_ok=True)
        return run_job(JOB, runs=tmp_path / "taken", cache=cache)

    first = begun(checkpoints=where in ("training", "fsync"))
    until(first, 12 if where == "the last evaluation" else 4)
    another: list[Iterator[Event]] = []

    def goes_on(_: object = None) -> None:
        if not another:
            another.append(begun(checkpoints=True))
            until(another[0], 7)

    with monkeypatch.context() as patched:
        if where == "fsync":
            patched.setattr(recorder.os, "fsync", goes_on)
        else:
            goes_on()
        if where == "an error":
            patched.setattr(recorder, "CHECKPOINT_SECONDS", 1e9)
            patched.setattr(recorder.Recorder, "_note_memory", lambda _: 1 / 0)
        before: dict[str, bytes] = {}
        if where != "fsync":
            before = {file.name: file.read_bytes() for file in folder.path.glob("*checkpoint*")}
            assert before
        with pytest.raises(JobTaken, match="taken over"):
            list(first)
    assert folder.outcome() is None and not folder.generator_file.exists()
    if before:
        assert {file.name: file.read_bytes() for file in folder.path.glob("*checkpoint*")} == before
    found = read_checkpoint(folder)
    assert found is not None and found.state["iteration"] >= 6 and not folder.log_file.exists()
    list(another[0])
    assert comparable(folder) == comparable(undisturbed)
    outcome = folder.outcome()
    assert outcome is not None and outcome.status == "finished"


def test_what_killed_processes_left_half_written_is_removed_by_who_goes_on(tmp_path: Path, cache: Path) -> None:
    folder = RunFolder(tmp_path, JOB)
    folder.path.mkdir()
    halves = [folder.path / f".{name}.there.7" for name in ("checkpoint.pt", "generator.safetensors", "events.jsonl")]
    others = folder.path / ".deaths.json.here.8"
    for file in (*halves, others):
        file.write_bytes(b"half")
    finished(tmp_path, cache)
    assert not any(file.exists() for file in halves)
    assert others.exists(), "somebody without the lock may be writing it"


def test_an_error_in_training_is_a_failed_outcome_with_its_traceback(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Iterator[Event]:
        raise RuntimeError("the sky fell")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(job_module, "train", broken)
        folder = finished(tmp_path, cache)
    outcome = folder.outcome()
    assert outcome is not None and outcome.status == "failed" and outcome.reason == "RuntimeError: the sky fell"
    assert "Traceback" in folder.log_file.read_text()
    again = finished(tmp_path, cache).outcome()
    assert again is not None and again.status == "finished" and again.attempts == 2


@pytest.mark.parametrize(
    ("job", "remedy"),
    [
        (JOB, "batch_size=3 (it is 6)"),
        (cfg.Job(config=FITTING, seed=0), "images=2 (it is 4)"),
    ],
    ids=["a GAN", "a reconstruction"],
)
def test_out_of_gpu_memory_is_a_failure_that_names_the_config_change_and_changes_nothing(
    job: cfg.Job, remedy: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: object, **__: object) -> Iterator[Event]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation.")
        yield

    monkeypatch.setattr(job_module, "train", too_large)
    monkeypatch.setattr(job_module, "reconstruct", too_large)
    folder = finished(tmp_path, cache, job)
    outcome = folder.outcome()
    assert outcome is not None and outcome.status == "failed" and outcome.reason is not None
    assert outcome.reason.startswith(
        f"out of GPU memory: end what else runs on the device, or {remedy} for all variants"
    )
    assert outcome.reason.endswith("OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.")
    assert folder.job() == job


@pytest.mark.parametrize(
    ("error", "recognised"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (MemoryError("CUDA error: out of memory"), False),
    ],
)
def test_errors_that_mean_a_gpu_without_memory(error: Exception, recognised: bool) -> None:
    assert is_out_of_memory(error) is recognised


@pytest.mark.usefixtures("every_iteration")
@pytest.mark.parametrize("where", ["train", "evaluation_of"])
def test_a_shared_gpu_without_memory_is_no_outcome_and_the_job_goes_on_to_the_same_end(
    where: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = finished(tmp_path / "undisturbed", cache)
    real = getattr(job_module, where)

    def short(*given: Any, **named: Any) -> Iterator[Event]:
        for event in real(*given, **named):
            yield event
            if event.iteration == 7 and not isinstance(event, Checkpointed):
                raise torch.OutOfMemoryError("CUDA out of memory.")

    def none_at_all(*_: object, **__: object) -> Iterator[Event]:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with monkeypatch.context() as patched:
        patched.setattr(job_module, where, short if where == "train" else none_at_all)
        with pytest.raises(OutOfMemory) as raised:
            list(run_job(JOB, runs=tmp_path / "shared", cache=cache, shared=True))
    assert str(raised.value).startswith("out of GPU memory: ") and "\n" not in str(raised.value)
    folder = RunFolder(tmp_path / "shared", JOB)
    assert folder.outcome() is None
    assert folder.checkpoint_file.exists() == (where == "train")
    assert comparable(finished(tmp_path / "shared", cache)) == comparable(undisturbed)


def test_memory_is_noted_after_evaluations_that_follow_a_whole_turn_of_the_loop(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1 at every sixth iteration: the evaluation of iteration 5 came before it."""
    looks: list[int] = []

    def device_memory(device: str, iteration: int) -> DeviceMemory:
        looks.append(iteration)
        sizes = dict.fromkeys(("total", "free_at_start", "free", "reserved", "peak"), 10**9)
        return DeviceMemory(process=os.getpid(), iteration=iteration, **sizes)

    job = cfg.Job(config=small_config(penalty=cfg.R1(weight=1.0, interval=6)), seed=3)
    assert finished(tmp_path / "on a CPU", cache, job).memory() is None
    monkeypatch.setattr(recorder, "device_memory", device_memory)
    found = finished(tmp_path / "all", cache, job).memory()
    assert found is not None and found.iteration == 12 and looks == [10, 12, 12]
    looks.clear()
    seen: list[Event] = []
    for event in run_job(job, runs=tmp_path / "resumed", cache=cache, stop=lambda: seen[-1].iteration >= 9):
        seen.append(event)
    assert finished(tmp_path / "resumed", cache, job).outcome() is not None
    assert looks == [], "a process that trained only the last iterations has not seen a whole turn"


@pytest.mark.usefixtures("every_iteration")
def test_a_disk_that_fills_is_one_line_and_with_room_again_the_job_ends_as_an_undisturbed_one(
    tmp_path: Path, cache: Path
) -> None:
    """The operating system refuses a file of the size of the second checkpoint."""
    undisturbed = finished(tmp_path / "undisturbed", cache)
    file = tmp_path / "job.json"
    file.write_text(JOB.model_dump_json())
    program = (
        "import resource, sys\nfrom core import recorder, checkpoint\nfrom core.train import main\n"
        "recorder.CHECKPOINT_SECONDS, recorder.CHECKPOINT_COST_FACTOR = -1.0, 0.0\n"
        "write = checkpoint.write_checkpoint\n"
        "def then_full(*given, **named):\n"
        "    write(*given, **named)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, -1))\n"
        "recorder.write_checkpoint = then_full\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    given = ["--config", str(file), "--out", str(tmp_path / "full"), "--cache", str(cache), "--device", "cpu"]
    ended = subprocess.run(
        [sys.executable, "-c", program, *given], cwd=ROOT, capture_output=True, text=True, check=False
    )
    folder = RunFolder(tmp_path / "full", JOB)
    assert (ended.returncode, ended.stderr) == (
        2,
        f"error: {folder.path} cannot be written (File too large): free space and run the same again: it goes on from "
        "there\n",
    )
    assert folder.outcome() is None and not folder.generator_file.exists()
    assert not list(folder.path.glob(".*")), "what was written aside takes room for nothing"
    found = read_checkpoint(folder)
    assert found is not None and found.state["iteration"] == 1
    assert comparable(finished(tmp_path / "full", cache)) == comparable(undisturbed)
    outcome = folder.outcome()
    assert outcome is not None and outcome.resumed


def test_a_diverged_job_is_a_result(tmp_path: Path, cache: Path) -> None:
    rates = cfg.Optimizers(learning_rates=cfg.LearningRates(generator=1e30, discriminator=1e30))
    job = cfg.Job(config=small_config(optimizers=rates), seed=0)
    outcome = finished(tmp_path, cache, job).outcome()
    assert outcome is not None and outcome.status == "diverged" and outcome.reason
    assert list(run_job(job, runs=tmp_path, cache=cache)) == []


def test_the_command_runs_one_job_folder_and_refuses_what_it_cannot_run_of_a_finished_one_too(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(JOB.config.model_dump_json())
    arguments = ["--config", str(file), "--seed", "3", "--out", str(tmp_path), "--cache", str(cache), "--device", "cpu"]
    assert main(arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["kind"] == "built" and lines[-1]["kind"] == "finished"
    assert RunFolder(tmp_path, JOB).outcome() is not None
    assert "--device vulkan is no device here: there is cpu" in refused([*arguments[:-1], "vulkan"], capsys)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which `core.train` refuses its arguments."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    return said.err


def test_the_seed_of_a_whole_job_is_not_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "job.json"
    file.write_text(JOB.model_dump_json())
    assert read_job(file) == read_job(file, JOB.seed) == JOB
    given = ["--config", str(file), "--out", str(tmp_path / "runs"), "--seed", "4"]
    said = refused(given, capsys)
    assert f"{file} holds a job of seed 3 and seed 4 is asked for" in said
    assert not (tmp_path / "runs").exists()
    file.write_text(JOB.config.model_dump_json())
    assert [read_job(file).seed, read_job(file, 4).seed] == [0, 4]


@pytest.mark.parametrize(
    ("config", "options", "said"),
    [
        (JOB.config, ["--data", "x"], "--data x: the config's data are rooms"),
        (JOB.config, ["--inception", "x"], "--inception x: nothing that the config measures asks Inception"),
        (FITTING, ["--inception", "x"], "--inception x: nothing that the config measures asks Inception"),
        (FITTING, ["--evaluation", "beside"], "--evaluation beside: a reconstruction's error is found as it is fitted"),
        (JOB.config, ["--evaluation-device", "cpu"], "that of a process beside"),
        (JOB.config, ["--evaluation", "beside", "--evaluation-device", "tpu"], "--evaluation-device tpu is no device"),
        (JOB.config, ["--device", "mps"], "--device mps is no device here"),
        (JOB.config, ["--device", "cuda:99"], "--device cuda:99"),
    ],
)
def test_an_option_that_a_job_cannot_take_is_one_line(
    config: cfg.AnyConfig, options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(config.model_dump_json())
    arguments = ["--config", str(file), "--out", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    assert said in refused([*arguments, *options], capsys)
    assert not (tmp_path / "cache").exists() and INCEPTION_VARIABLE not in os.environ


def test_numbers_that_no_job_can_have_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**JOB.config.model_dump(mode="json"), "iterations": 2**53 + 1}))
    assert "config.iterations" in refused(["--config", str(file), "--out", str(tmp_path / "runs")], capsys)
    for seconds in ("seconds", "evaluation_seconds", "job_seconds"):
        fields = {"iteration": 1, "seconds": 1.0, "evaluation_seconds": 1.0, "job_seconds": 1.0, seconds: -5.0}
        with pytest.raises(ValidationError, match=seconds):
            Outcome(status="finished", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is damaged"), ('{"colour": 1}', "colour"), ('{"batch_size": "many"}', "batch_size")],
)
def test_bad_job_files_are_refused_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_job(file, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("linked", ["", "samples", "log.txt", "events.jsonl", "job.json"])
def test_a_link_in_a_run_folder_that_leads_out_of_the_runs_is_refused(linked: str, tmp_path: Path, cache: Path) -> None:
    folder, outside = RunFolder(tmp_path / "runs", JOB), tmp_path / "outside"
    outside.mkdir()
    if linked.partition(".")[1]:
        outside = outside / "victim"
        outside.write_text("as it was")
    place = folder.path / linked if linked else folder.path
    place.parent.mkdir(parents=True)
    place.symlink_to(outside)
    with pytest.raises(InputError, match=f"{place} leads out of {tmp_path / 'runs'}"):
        next(run_job(JOB, runs=tmp_path / "runs", cache=cache))
    assert [file.name for file in (tmp_path / "outside").iterdir()] == ["victim"] * (outside.name == "victim")
    assert outside.is_dir() or outside.read_text() == "as it was"


def test_a_pipe_in_a_run_folder_is_not_waited_for(tmp_path: Path, cache: Path) -> None:
    folder = RunFolder(tmp_path, JOB)
    folder.path.mkdir()
    os.mkfifo(folder.events_file)
    with pytest.raises(InputError, match=r"events.jsonl is neither a file nor a folder"):
        next(run_job(JOB, runs=tmp_path, cache=cache))
