"""A process beside training leaves the run that evaluating inline leaves, whatever is killed, and no process behind."""

from __future__ import annotations

import copy
import os
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from core import config as cfg
from core import job as job_module
from core import side_evaluator, side_process
from core.build import build_generator
from core.errors import InputError
from core.evaluation import Answer, Evaluation, Inline, Moment
from core.events import Checkpointed, Event
from core.folder import RunFolder
from core.job import run_job
from core.side_evaluator import Order, SideEvaluator
from tests.core.conftest import MeanPixel, small_config
from tests.core.test_further import FURTHER
from tests.core.test_job import in_a_process_that_kills_itself
from tests.core.test_train import payload

JOB = cfg.Job(config=small_config(evaluation=FURTHER, ema=cfg.Ema(decay=0.9)), seed=3)


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> RunFolder:
    return finished(tmp_path_factory.mktemp("inline"), cache)


def finished(runs: Path, cache: Path, job: cfg.Job = JOB, **options: Any) -> RunFolder:
    for _ in run_job(job, runs=runs, cache=cache, **options):
        pass
    return RunFolder(runs, job)


def assert_same(folder: RunFolder, expected: RunFolder) -> None:
    """Events but their times, pictures and the generator's file."""
    assert payload(folder.events()) == payload(expected.events())
    outcomes = [found.outcome() for found in (folder, expected)]
    assert [(o.status, o.iteration, o.reason) for o in outcomes if o] == 2 * [
        (outcomes[0].status, outcomes[0].iteration, outcomes[0].reason)  # type: ignore[union-attr]
    ]
    grids = [{file.name: file.read_bytes() for file in found.samples.iterdir()} for found in (folder, expected)]
    assert grids[0] == grids[1]
    assert folder.read("protocol.json") == expected.read("protocol.json") != {}
    assert folder.generator_file.exists() == expected.generator_file.exists()
    if expected.generator_file.exists():
        assert folder.generator_file.read_bytes() == expected.generator_file.read_bytes()


def test_a_run_is_the_same_inline_and_beside(tmp_path: Path, cache: Path, inline: RunFolder) -> None:
    folder = finished(tmp_path, cache, evaluation="beside")
    assert_same(folder, inline)
    assert {e.kind for e in folder.events()} >= {"evaluated", "sampled", "pictured", "finished"}
    outcome = folder.outcome()
    assert outcome is not None and outcome.evaluation_seconds > 0
    assert outcome.evaluation_seconds == pytest.approx(
        sum(getattr(e, "evaluation_seconds", 0) for e in folder.events())
    )
    assert [found.read("provenance.json")["evaluation"] for found in (folder, inline)] == ["beside on cpu", "inline"]


def test_a_metric_that_is_not_finite_ends_the_run_where_it_ends_inline(tmp_path: Path, cache: Path) -> None:
    """G's first update, at iteration 2, spoils it; losses are looked at no earlier than at iteration 4."""
    rates = cfg.Optimizers(learning_rates=cfg.LearningRates(generator=1e30))
    evaluation = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), every=2)
    job = cfg.Job(config=small_config(optimizers=rates, evaluation=evaluation, iterations=200), seed=0)
    expected = finished(tmp_path / "inline", cache, job)
    *_, last = expected.events()
    assert last.kind == "diverged" and last.reason.endswith("not finite at iteration 2")
    assert_same(finished(tmp_path / "beside", cache, job, evaluation="beside"), expected)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.usefixtures("every_iteration")
def test_a_killed_trainer_leaves_no_process_and_a_run_that_goes_on_to_the_same_end(
    tmp_path: Path, cache: Path, inline: RunFolder
) -> None:
    noted = tmp_path / "children"

    def kills_itself_at(event: Event) -> bool:
        if event.kind != "sampled":
            return False
        noted.write_text(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text())
        return True

    status = in_a_process_that_kills_itself(
        lambda: run_job(JOB, runs=tmp_path, cache=cache, evaluation="beside"), kills_itself_at
    )
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    (child,) = noted.read_text().split()
    deadline = time.monotonic() + 60
    while lives(child):
        assert time.monotonic() < deadline, "the process beside outlived its trainer"
        time.sleep(0.05)
    folder = RunFolder(tmp_path, JOB)
    assert folder.outcome() is None and folder.checkpoint_file.exists()
    # Where it is evaluated may change on the way.
    assert_same(finished(tmp_path, cache), inline)
    outcome = folder.outcome()
    assert outcome is not None and outcome.resumed


def lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_process_beside_that_dies_is_replaced(
    tmp_path: Path, cache: Path, inline: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []

    class Mortal(SideEvaluator):
        def ask(self, generator: nn.Module, moment: Moment) -> Answer:
            answer = super().ask(generator, moment)  # type: ignore[arg-type]
            if moment["iteration"] == 10:
                killed.append(self._process.pid)
                os.kill(self._process.pid, signal.SIGKILL)
            return answer

    monkeypatch.setattr(job_module, "SideEvaluator", Mortal)
    assert_same(finished(tmp_path, cache, evaluation="beside"), inline)
    assert len(killed) == 1


@pytest.mark.slow
def test_a_process_beside_is_not_replaced_by_one_that_measures_otherwise(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Altered(SideEvaluator):
        def ask(self, generator: nn.Module, moment: Moment) -> Answer:
            answer = super().ask(generator, moment)  # type: ignore[arg-type]
            if moment["iteration"] == 10:
                self.protocols = (self.protocols[0].derived("fd_rooms", weights="00" * 32), *self.protocols[1:])
                os.kill(self._process.pid, signal.SIGKILL)
            return answer

    monkeypatch.setattr(job_module, "SideEvaluator", Altered)
    outcome = finished(tmp_path, cache, evaluation="beside").outcome()
    assert outcome is not None and outcome.status == "failed"
    assert outcome.reason is not None and outcome.reason.endswith("would measure by another protocol")


def says(monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    """Another process in the place of the one that evaluates: ready at once, and then this."""
    program = f"""
    import os, pickle, sys
    from multiprocessing.connection import Connection
    from core.events import Evaluated
    connection = Connection(int(sys.argv[1]))
    def say(reply): connection.send_bytes(pickle.dumps(reply))
    connection.recv_bytes()
    {then}
    """
    monkeypatch.setattr(side_evaluator, "_command", lambda: [sys.executable, "-c", textwrap.dedent(program)])


AT = "iteration=5, images=30, seconds=0"
EVENT = f"Evaluated(metric='fd_rooms', value=1.0, evaluation_seconds=0.0, {AT})"

HALF = "os.write(connection.fileno(), (1000).to_bytes(4, 'big') + b'half a frame'); os._exit(3)"


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (
            f"say(()); connection.recv_bytes(); say({EVENT}); os.kill(os.getpid(), 9)",
            "EvaluationLost: the process that evaluates was killed by SIGKILL, perhaps for want of memory, "
            "at the evaluation of iteration 5, 2 times",
        ),
        (
            f"say(()); connection.recv_bytes(); {HALF}",
            "EvaluationLost: the process that evaluates ended with code 3 at the evaluation of iteration 5, 2 times",
        ),
        (
            "say(()); connection.recv_bytes(); from core.side_evaluator import EvaluationLost; "
            "say(EvaluationLost('ValueError: no such image' + chr(10) + 'Traceback'))",
            "EvaluationLost: ValueError: no such image",
        ),
        (
            "say(()); connection.recv_bytes(); import torch; "
            "say(torch.OutOfMemoryError('evaluating beside: CUDA out of memory.'))",
            "out of GPU memory: end what else runs on the device, or batch_size=3 (it is 6) for all variants, which is "
            "another config: OutOfMemoryError: evaluating beside: CUDA out of memory.",
        ),
    ],
)
def test_what_cannot_be_evaluated_fails_the_job_in_one_line(
    then: str, reason: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, then)
    folder = finished(tmp_path, cache, evaluation="beside")
    outcome = folder.outcome()
    assert outcome is not None and (outcome.status, outcome.reason) == ("failed", reason)
    # What the first process had said before it died is recorded once, and nothing that belongs behind its answer.
    assert [e.kind for e in folder.events() if e.kind not in ("built", "losses")] == ["evaluated"] * ("9" in then)
    assert max(e.iteration for e in folder.events()) == 5


@pytest.mark.usefixtures("every_iteration")
@pytest.mark.parametrize(
    ("first", "patience"),
    [("", 0.0), (f"say({EVENT});", 2.0)],
    ids=["nothing said, it trains", "half said, it waits"],
)
def test_asked_to_stop_an_evaluation_that_does_not_come_back_is_dropped_and_done_again(
    first: str, patience: float, tmp_path: Path, cache: Path, inline: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = tmp_path / "pid"
    with monkeypatch.context() as patch:
        patch.setattr(side_evaluator, "PATIENCE_SECONDS", patience)
        says(
            patch,
            f"open({str(noted)!r}, 'w').write(str(os.getpid())); say(()); connection.recv_bytes(); {first} "
            "import time; time.sleep(600)",
        )
        seen = list(
            run_job(
                JOB, runs=tmp_path, cache=cache, evaluation="beside", stop=lambda: False, asked_to_stop=lambda: True
            )
        )
    folder = RunFolder(tmp_path, JOB)
    assert folder.outcome() is None and not lives(noted.read_text())
    assert [e.kind for e in seen].count("evaluated") == bool(first)
    last = [e for e in seen if isinstance(e, Checkpointed)][-1]
    assert last.iteration == 5
    assert_same(finished(tmp_path, cache), inline)
    outcome = folder.outcome()
    assert outcome is not None and outcome.resumed


@pytest.mark.parametrize("then", ["os._exit(3)", HALF], ids=["nothing said", "half a frame said"])
def test_a_process_that_is_never_ready_is_said_before_anything_trains(
    then: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, then)
    with pytest.raises(side_evaluator.EvaluationLost, match="that evaluates ended with code 3 before it was ready"):
        finished(tmp_path, cache, evaluation="beside")
    assert RunFolder(tmp_path, JOB).events() == []


def test_input_that_cannot_be_used_is_refused_before_anything_trains(tmp_path: Path, cache: Path) -> None:
    evaluation = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64, extractor="0" * 64))
    job = cfg.Job(config=small_config(evaluation=evaluation), seed=0)
    said = []
    for where in ("inline", "beside"):
        with pytest.raises(InputError, match="rooms16 extractor is 000000000000") as caught:
            finished(tmp_path / where, cache, job, evaluation=where)
        said.append(str(caught.value))
        folder = RunFolder(tmp_path / where, job)
        assert folder.events() == [] and folder.outcome() is None
    assert said[0] == said[1]


def test_devices_that_are_not_there_or_have_no_process_are_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(InputError, match="the device nonsense cannot evaluate"):
        side_process._check_device("nonsense")
    with pytest.raises(InputError, match="the evaluation's device cpu is that of a process beside"):
        finished(tmp_path, cache, evaluation_device="cpu")


def test_a_reconstruction_finds_its_error_itself(tmp_path: Path, cache: Path) -> None:
    config = cfg.Reconstruction(
        data=cfg.Rooms(resolution=8, train=64, held_out=32), images=4, inr=cfg.Inr(width=8, depth=3), iterations=4
    )
    job = cfg.Job(config=config, seed=0)
    with pytest.raises(TypeError, match="'reconstruction' is no GAN"):
        SideEvaluator(Order(job=job, data_path=None, cache=cache, device="cpu", threads=1))
    expected = finished(tmp_path / "inline", cache, job)
    assert_same(finished(tmp_path / "beside", cache, job, evaluation="beside"), expected)


class Late(Inline):
    """Evaluates a copy, and not before it was looked at `looks` times."""

    looks = 3
    under_way: Iterator[Event] | None = None

    def ask(self, generator: nn.Module, moment: Moment) -> Answer:
        Late.under_way = self.evaluation(copy.deepcopy(generator), moment)  # type: ignore[arg-type]
        return _Late(Late.under_way)


class _Late:
    def __init__(self, events: Iterator[Event]) -> None:
        self.events, self.left = events, Late.looks

    @property
    def ready(self) -> bool:
        self.left -= 1
        return self.left < 0

    def __iter__(self) -> Iterator[Event]:
        yield from self.events
        Late.under_way = None


@pytest.mark.parametrize("looks", [3, 10**9])
def test_asked_to_stop_while_an_evaluation_is_under_way_it_goes_on_to_the_same_end(
    looks: int, tmp_path: Path, cache: Path, inline: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "Inline", Late)
    monkeypatch.setattr(Late, "looks", looks)
    stopped = False

    def stop() -> bool:
        return stopped

    events = run_job(JOB, runs=tmp_path, cache=cache, stop=stop)
    seen: list[Event] = []
    for event in events:
        seen.append(event)
        stopped = stopped or event.iteration == 4
    # It was asked before the evaluation of iteration 5, at iteration 4.
    assert isinstance(seen[-1], Checkpointed) and seen[-1].iteration == 4
    stopped = False
    asked: list[int] = []

    def stop_under_way() -> bool:
        return bool(asked)

    def note(self: Late, generator: nn.Module, moment: Moment) -> Answer:
        asked.append(moment["iteration"])
        return original(self, generator, moment)

    original = Late.ask
    monkeypatch.setattr(Late, "ask", note)
    seen = list(run_job(JOB, runs=tmp_path, cache=cache, stop=stop_under_way))
    folder = RunFolder(tmp_path, JOB)
    assert asked == [5] and isinstance(seen[-1], Checkpointed) and folder.outcome() is None
    # The checkpoint came when the evaluation was back, and before the next one.
    assert [e.iteration for e in seen if e.kind == "evaluated"] == [5] and 5 < seen[-1].iteration <= 10
    monkeypatch.undo()
    assert_same(finished(tmp_path, cache), inline)


def test_the_generator_trains_on_after_it_was_asked_about(images: Any) -> None:
    """An evaluation leaves the generator in training mode, also where it ends in a divergence."""
    generator = build_generator(JOB.config)  # type: ignore[arg-type]
    evaluation = Evaluation(small_config(), MeanPixel())  # type: ignore[arg-type]
    moment: Moment = {"iteration": 1, "images": 6, "seconds": 0.0}
    assert [e.kind for e in evaluation(generator, moment)] == ["evaluated", "sampled"] and generator.training
    for parameter in generator.parameters():
        parameter.data.fill_(float("nan"))
    assert [e.kind for e in evaluation(generator, moment)] == ["diverged"] and generator.training
