"""`python -m core.side_process FD` evaluates for the process that trains, as `core.side_evaluator` says.

FD is its end of a pipe to that process, and where that is gone, however it went, this one ends.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection

import torch

from core.build import build_generator
from core.errors import InputError
from core.evaluation import Evaluation, evaluation_of
from core.memory import is_out_of_memory
from core.models.generator import Generator
from core.side_evaluator import EvaluationLost, Order
from core.streams import initialising
from core.words import degrade_streams, first_words


def _messages(connection: Connection) -> queue.SimpleQueue[bytes]:
    """All pickled messages as they come, by a thread of its own, which ends the process when the trainer is gone."""
    messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def receive() -> None:
        while True:
            try:
                messages.put(connection.recv_bytes())
            except (EOFError, OSError):
                os._exit(0)

    threading.Thread(target=receive, daemon=True).start()
    return messages


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the device {device} cannot evaluate: {first_words(error)}") from None


def _loaded(order: Order) -> tuple[Generator, Evaluation]:
    """A generator to put states into, and what it is measured by. Raises InputError for what cannot be used."""
    _check_device(order.device)
    config = order.job.gan
    evaluation = evaluation_of(config, data_path=order.data_path, cache=order.cache, device=order.device)
    with initialising(order.job.seed, "generator"):
        return build_generator(config).to(order.device), evaluation


def _replies(messages: queue.SimpleQueue[bytes]) -> Iterator[object]:
    """The messages to the trainer, in order."""
    order: Order = pickle.loads(messages.get())
    sys.path += [place for place in order.search_path if place not in sys.path]
    torch.set_num_threads(order.threads)
    try:
        generator, evaluation = _loaded(order)
    except InputError as error:
        yield InputError(str(error))
        return
    yield evaluation.protocols
    while True:
        moment, state = pickle.loads(messages.get())
        generator.load_state_dict(state)
        yield from evaluation(generator, moment)
        yield None


def _evaluate(connection: Connection) -> None:
    try:
        for reply in _replies(_messages(connection)):
            connection.send_bytes(pickle.dumps(reply))
    except Exception as error:
        lost: Exception = EvaluationLost(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
        if is_out_of_memory(error):
            lost = torch.OutOfMemoryError(f"evaluating beside: {first_words(error)}")
        connection.send_bytes(pickle.dumps(lost))


def main() -> None:
    """The life of the process; an error goes to the trainer."""
    # Of the trainer alone; a Ctrl-C that reaches this process all the same is the trainer's to act on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    degrade_streams()
    _evaluate(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    main()
