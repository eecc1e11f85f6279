"""Evaluates in a process of its own beside training: on the same GPU, on another one, or on the CPU.

`python -m core.beside FD` is that process; FD is its end of a socket to the process that trains, and where that is
gone, however it went, it ends. Both ends speak in frames: JSON, and safetensors where tensors belong to it.

to it       `Order`; then for each evaluation a moment and the generator's state dict
from it     {"ready": the protocols of its series}, or {"refused": line} for unusable input; then for each evaluation
            its events, pictures behind those that have them, and {"answered": true}, or {"failed": traceback}, or
            {"out_of_memory": line} where the GPU has none left
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Any

import torch
from pydantic import Field
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from core.build import build_generator
from core.config import Config, Job, Node
from core.errors import InputError
from core.evaluate import Answer, Moment
from core.events import Event, Pictured, Sampled, event_adapter
from core.file_names import StoredPath
from core.loaded import evaluation_of
from core.memory import is_out_of_memory
from core.metrics.protocol import Protocol
from core.models.generator import Generator
from core.processes import environment, python
from core.streams import initialising
from core.words import degrade_streams, first_words

ATTEMPTS = 2
"""Processes that may die at one evaluation."""


PATIENCE_SECONDS = 10.0
"""So long after it was asked to stop the trainer waits for an evaluation, as long as a kill may cost anyway."""

LOOK_SECONDS = 0.2


class EvaluationDropped(RuntimeError):
    """Nobody waits for an evaluation any longer: the job goes on from its last checkpoint, and evaluates again."""


class EvaluationLost(RuntimeError):
    """An evaluation beside came to no end; the first line of the message says why."""


class Order(Node):
    """What the process evaluates and on what. `search_path` is where the process that trains finds modules."""

    job: Job
    data_path: StoredPath | None
    cache: StoredPath
    device: str
    threads: int
    search_path: tuple[str, ...] = Field(default_factory=lambda: tuple(sys.path))


class Beside:
    """An evaluator (`core.evaluate.Evaluator`) whose process is there from the beginning to the end of the context.

    Entering waits until the process has loaded all it needs, and raises the InputError of what it cannot use. A process
    that dies is replaced and asked again; the second death at one evaluation raises `EvaluationLost`, and so does one
    that would measure otherwise than the first, as after its weights file was replaced.

    Once `asked_to_stop()` has been true for `PATIENCE_SECONDS` and an answer is not there, it raises
    `EvaluationDropped`.
    """

    protocols: tuple[Protocol, ...] = ()
    """Of every series, the metric's first; known once the context is entered."""

    def __init__(self, order: Order, asked_to_stop: Callable[[], bool] = lambda: False) -> None:
        if not isinstance(order.job.config, Config):
            raise TypeError(f"a job of task '{order.job.config.task}' is evaluated in its own loop")
        self.order = order
        self._asked_to_stop, self._asked_at = asked_to_stop, float("inf")

    def __enter__(self) -> Beside:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def ask(self, generator: Generator, moment: Moment) -> Answer:
        """See `core.evaluate.Evaluator`; the state is copied before this returns."""
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in generator.state_dict().items()}
        question = (json.dumps(moment).encode(), save_safetensors(state))
        self._send(*question)
        return _FromBeside(self, question, moment)

    # --- the process --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [*_command(), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=2,  # Libraries print there, and the trainer's own output may be read by a program.
                start_new_session=True,  # A terminal's Ctrl-C is the trainer's to act on.
            )
        try:
            self._send(self.order.model_dump_json().encode())
            said = json.loads(self._frame())
        except EOFError:
            raise EvaluationLost(f"the process that evaluates {self._death()} before it was ready") from None
        except BaseException:
            self._end()
            raise
        if "ready" not in said:
            self._end()
            _raise_failure(said)
        protocols = tuple(Protocol.model_validate_json(json.dumps(fields)) for fields in said["ready"])
        if self.protocols and protocols != self.protocols:
            self._end()
            raise EvaluationLost("the process that replaced one that evaluated would measure by another protocol")
        self.protocols = protocols

    def _end(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _death(self) -> str:
        """How the process ended; it is known to have closed its end."""
        self._connection.close()
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "was killed by SIGKILL, perhaps for want of memory,"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def _send(self, *frames: bytes) -> None:
        # Who reads the answer finds that nobody is there.
        with suppress(BrokenPipeError, ConnectionResetError):
            for frame in frames:
                self._connection.send_bytes(frame)

    def _again(self, question: tuple[bytes, bytes]) -> None:
        self._start()
        self._send(*question)

    def _ready(self, seconds: float = 0.0) -> bool:
        """Whether something is there within so long. Raises `EvaluationDropped`."""
        if self._connection.poll(seconds):
            return True
        if self._asked_to_stop():
            self._asked_at = min(self._asked_at, time.monotonic())
        if time.monotonic() - self._asked_at > PATIENCE_SECONDS:
            raise EvaluationDropped("asked to stop while an evaluation was under way")
        return False

    def _received(self) -> bytes:
        while not self._ready(LOOK_SECONDS):
            pass
        return self._frame()

    def _frame(self) -> bytes:
        """The next one. Raises EOFError where the process is gone, also in the middle of a frame."""
        try:
            return self._connection.recv_bytes()
        except OSError:
            raise EOFError from None

    def _events(self) -> Iterator[Event]:
        """Those of one evaluation. Raises EOFError where the process is gone."""
        while True:
            said: dict[str, Any] = json.loads(self._received())
            if "answered" in said:
                return
            _raise_failure(said)
            if said["kind"] in ("sampled", "pictured"):
                said |= load_safetensors(self._received())
            yield event_adapter.validate_python(said)


def _raise_failure(said: dict[str, Any]) -> None:
    if "refused" in said:
        raise InputError(said["refused"])
    if "out_of_memory" in said:
        raise torch.OutOfMemoryError(said["out_of_memory"])
    if "failed" in said:
        raise EvaluationLost(said["failed"])


class _FromBeside:
    def __init__(self, beside: Beside, question: tuple[bytes, bytes], moment: Moment) -> None:
        self.beside, self.question, self.moment = beside, question, moment

    @property
    def ready(self) -> bool:
        return self.beside._ready()

    def __iter__(self) -> Iterator[Event]:
        passed = 0
        for attempt in range(1, ATTEMPTS + 1):
            try:
                for number, event in enumerate(self.beside._events(), 1):
                    if number > passed:  # What the one that died had said is said by the next one again.
                        yield event
                        passed = number
                return
            except EOFError:
                died = self.beside._death()
                if attempt < ATTEMPTS:
                    self.beside._again(self.question)
        raise EvaluationLost(
            f"the process that evaluates {died} at the evaluation of iteration {self.moment['iteration']}, "
            f"{ATTEMPTS} times"
        )


def _command() -> list[str]:
    return python("core.beside")


# --- in the process ---------------------------------------------------------------------------------------------------


def _received(connection: Connection) -> queue.SimpleQueue[bytes]:
    """All frames as they come, by a thread of its own, which ends the process when the trainer is gone."""
    frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def receive() -> None:
        while True:
            try:
                frames.put(connection.recv_bytes())
            except (EOFError, OSError):
                os._exit(0)

    threading.Thread(target=receive, daemon=True).start()
    return frames


def _say(connection: Connection, **said: object) -> None:
    connection.send_bytes(json.dumps(said).encode())


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the device {device} cannot evaluate: {first_words(error)}") from None


def _evaluate(connection: Connection) -> None:
    frames = _received(connection)
    order = Order.model_validate_json(frames.get())
    sys.path += [place for place in order.search_path if place not in sys.path]
    config = order.job.config
    assert isinstance(config, Config)
    torch.set_num_threads(order.threads)
    try:
        _check_device(order.device)
        evaluation = evaluation_of(config, data_path=order.data_path, cache=order.cache, device=order.device)
    except InputError as error:
        _say(connection, refused=str(error))
        return
    with initialising(order.job.seed, "generator"):
        generator = build_generator(config).to(order.device)
    _say(connection, ready=[protocol.model_dump(mode="json") for protocol in evaluation.protocols])
    while True:
        moment: Moment = json.loads(frames.get())
        generator.load_state_dict(load_safetensors(frames.get()))
        for event in evaluation(generator, moment):
            connection.send_bytes(event.model_dump_json().encode())
            if isinstance(event, Sampled | Pictured):
                connection.send_bytes(save_safetensors({"pictures": event.pictures.contiguous()}))
        _say(connection, answered=True)


def main() -> None:
    """The life of the process; an error that is nobody's input is told to the trainer."""
    # Of the trainer alone; a Ctrl-C that reaches this process all the same is the trainer's to act on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    degrade_streams()
    connection = Connection(int(sys.argv[1]))
    try:
        _evaluate(connection)
    except Exception as error:
        if is_out_of_memory(error):
            _say(connection, out_of_memory=f"evaluating beside: {first_words(error)}")
            return
        _say(connection, failed=f"{type(error).__name__}: {error}\n{traceback.format_exc()}")


if __name__ == "__main__":
    main()
