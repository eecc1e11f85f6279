"""Evaluates in a process of its own beside training: on the same GPU, on another one, or on the CPU.

`core.side_process` is that process. Between the two goes a pipe of pickles, as both are one program of one user:

to it       `Order`; then for each evaluation a moment and the generator's state
from it     the protocols of its series; then for each evaluation its events and None behind the last; an error in the
            place of any of them
"""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Pipe
from pathlib import Path
from types import TracebackType
from typing import Any

from core.config import Job
from core.evaluation import Answer, Moment
from core.events import Event
from core.metrics.protocol import Protocol
from core.models.generator import Generator
from core.processes import environment, python

ATTEMPTS = 2
"""Processes that may die at one evaluation."""

PATIENCE_SECONDS = 10.0
"""So long after it was asked to stop the trainer waits for an evaluation, as long as a kill may cost anyway."""

LOOK_SECONDS = 0.2


class EvaluationDropped(RuntimeError):
    """Nobody waits for an evaluation any longer: the job goes on from its last checkpoint, and evaluates again."""


class EvaluationLost(RuntimeError):
    """An evaluation beside came to no end; the first line of the message says why."""


@dataclass(frozen=True)
class Order:
    """The job that the process evaluates, and where. `search_path` is where the process that trains finds modules."""

    job: Job
    data_path: Path | None
    cache: Path
    device: str
    threads: int
    search_path: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))


class SideEvaluator:
    """An evaluator (`core.evaluation.Evaluator`) whose process is there from the beginning to the end of the context.

    Entering waits until the process has loaded all it needs, and raises the InputError of what it cannot use. A process
    that dies is replaced and asked again; the second death at one evaluation raises `EvaluationLost`, and so does one
    that would measure otherwise than the first, as after its weights file was replaced.

    Once `asked_to_stop()` has been true for `PATIENCE_SECONDS` and an answer is not there, it raises
    `EvaluationDropped`.
    """

    protocols: tuple[Protocol, ...] = ()
    """Of every series, the metric's first; known once the context is entered."""

    def __init__(self, order: Order, asked_to_stop: Callable[[], bool] = lambda: False) -> None:
        _ = order.job.gan
        self.order = order
        self._asked_to_stop, self._asked_at = asked_to_stop, float("inf")

    def __enter__(self) -> SideEvaluator:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def ask(self, generator: Generator, moment: Moment) -> Answer:
        """See `core.evaluation.Evaluator`; the state is copied before this returns."""
        state = {name: tensor.detach().cpu() for name, tensor in generator.state_dict().items()}
        answer = _SideAnswer(self, pickle.dumps((moment, state)), moment["iteration"])
        self._send(answer.question)
        return answer

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
            self._send(pickle.dumps(self.order))
            protocols = self._reply()
            if self.protocols and protocols != self.protocols:
                raise EvaluationLost("the process that replaced one that evaluated would measure by another protocol")
        except EOFError:
            raise EvaluationLost(f"the process that evaluates {self._death()} before it was ready") from None
        except BaseException:
            self._end()
            raise
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

    def _send(self, message: bytes) -> None:
        # That nobody is there is noticed where the reply is read.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.send_bytes(message)

    def _again(self, question: bytes) -> None:
        self._start()
        self._send(question)

    def _ready(self, seconds: float = 0.0) -> bool:
        """Whether something is there within so long. Raises `EvaluationDropped`."""
        if self._connection.poll(seconds):
            return True
        if self._asked_to_stop():
            self._asked_at = min(self._asked_at, time.monotonic())
        if time.monotonic() - self._asked_at > PATIENCE_SECONDS:
            raise EvaluationDropped("asked to stop while an evaluation was under way")
        return False

    def _reply(self) -> Any:
        """The next one. Raises the error that it is, and EOFError where the process is gone, also in the middle."""
        try:
            reply = pickle.loads(self._connection.recv_bytes())
        except OSError:
            raise EOFError from None
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _events(self) -> Iterator[Event]:
        """Those of one evaluation. Raises as `_reply`."""
        while True:
            while not self._ready(LOOK_SECONDS):
                pass
            if (event := self._reply()) is None:
                return
            yield event


class _SideAnswer:
    def __init__(self, evaluator: SideEvaluator, question: bytes, iteration: int) -> None:
        self.evaluator, self.question, self.iteration = evaluator, question, iteration

    @property
    def ready(self) -> bool:
        return self.evaluator._ready()

    def __iter__(self) -> Iterator[Event]:
        passed = 0
        for attempt in range(1, ATTEMPTS + 1):
            try:
                for number, event in enumerate(self.evaluator._events(), 1):
                    if number > passed:  # What the one that died had sent is sent by the next one again.
                        yield event
                        passed = number
                return
            except EOFError:
                death = self.evaluator._death()
                if attempt < ATTEMPTS:
                    self.evaluator._again(self.question)
        raise EvaluationLost(
            f"the process that evaluates {death} at the evaluation of iteration {self.iteration}, {ATTEMPTS} times"
        )


def _command() -> list[str]:
    return python("core.side_process")
