"""A worker: claims a job, trains it, tells the queue, and takes the next, until none waits.

`python -m studies.runner.worker ORDER NAME` is what launchers start. Exit codes: 0 nothing left or asked to stop,
2 unusable input (its one line comes last on stderr), 3 a queue out of reach for too long, 75 asked to stop where nobody
waits for that (`Resources.detached`), 76 no memory left on a GPU that is shared, the job still claimed (one line, too);
anything else is a worker that broke.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from core.command_line import BAD_INPUT
from core.errors import InputError
from core.folder import RunFolder
from core.locks import FileLock
from core.reading import model_of
from core.words import first_words
from studies.click_life import Command
from studies.plan import jobs_root
from studies.run_state import mark_failed, outcome_mark
from studies.runner.claim import Claim, GivenUp
from studies.runner.deaths import note_claim
from studies.runner.heartbeat import Heart
from studies.runner.order import AGAIN, NO_ROOM, TOLD_TO_STOP, Order, TrainingOrder, starts_before
from studies.runner.outages import Unreachable, asked_to_stop, waiting_until
from studies.stores import redacted

if TYPE_CHECKING:
    from core.config import Job
    from studies.runner.claimed_jobs import Claims

TRAINER_VARIABLE = "INR_GAN_TRAINER"

TAKEN_TRIES = 4
TAKEN_PAUSE_SECONDS = 0.25
PARENT_GONE_GRACE_SECONDS = 60.0


class NoRoom(Exception):
    """The GPU that a job shares has no memory left for it; the claim is still held. The message is one line."""


def trainer() -> Any:
    """The module that trains: it offers `run_job`, `JobTaken` and `OutOfMemory` as `core.job` does, which it is where
    INR_GAN_TRAINER names no other."""
    return importlib.import_module(os.environ.get(TRAINER_VARIABLE, "core.job"))


def work(order: TrainingOrder, name: str, *, stop: Callable[[], bool], each: Callable[[], None] = lambda: None) -> None:
    """Trains jobs of the order as worker `name` until none can be claimed or `stop()`; calls `each` after every event.

    Raises InputError, the job back in the queue, where the environment or the data cannot do what the config asks, and
    NoRoom.
    """
    job_taken = trainer().JobTaken
    queue = order.queue()
    lock = queue.worker_lock(name)
    try:
        with FileLock(lock), Heart(lock) as heart:
            stop = heart.beating(stop)

            def passed() -> None:
                heart.beat()
                each()

            while not stop():
                claimed = order.claim(queue, name)
                if claimed is None:
                    return
                claim, job = claimed
                try:
                    _train(order, queue, claim, job, stop=stop, each=passed)
                except job_taken:
                    heart.beat(now=True)  # A worker that was taken for dead has nothing to give back.
                    # Another study or search may train the same job: it waits until that one is done.
                    queue.release(claim, again=True)
                    until = time.monotonic() + order.taken_seconds
                    while time.monotonic() < until and not stop():
                        each()
                        time.sleep(0.2)
    finally:
        lock.unlink(missing_ok=True)


def _train(
    order: TrainingOrder,
    queue: Claims,
    claim: Claim,
    job: Job,
    *,
    stop: Callable[[], bool],
    each: Callable[[], None],
) -> None:
    """Trains a claimed job until it has an outcome, until `stop()`, or until the queue gives it up.

    A job that was stopped goes back: another runner of the study may be waiting for it.

    Raises InputError, the claim released, where environment or data cannot do it, the trainer's JobTaken where another
    process trains the same job or has taken it over, and NoRoom.
    """
    module = trainer()
    folder = RunFolder(jobs_root(order.runs), claim.digest)
    before, begun = outcome_mark(folder), False
    with suppress(OSError):  # A full disk is the trainer's to tell.
        note_claim(folder)
    for attempt in range(1, TAKEN_TRIES + 1):
        try:
            events = module.run_job(
                job,
                runs=jobs_root(order.runs),
                device=order.device,
                data_path=order.data_path,
                cache=order.cache,
                threads=order.threads,
                evaluation=order.evaluation,
                shared=order.shares_gpus,
                stop=stop,
                asked_to_stop=asked_to_stop,
            )
            with closing(events):
                for event in events:
                    begun = True
                    each()
                    queue.follow(claim, event)
        except GivenUp:
            return
        except module.JobTaken:
            if attempt == TAKEN_TRIES or begun:
                raise
            time.sleep(TAKEN_PAUSE_SECONDS)  # Somebody may only have asked whether the lock is held.
            continue
        except InputError:
            # Where a disk is full the queue may be on it too: claims of workers that are gone are put back later.
            with suppress(OSError):
                queue.release(claim, again=True)
            raise
        except module.OutOfMemory as error:
            raise NoRoom(str(error)) from error
        except Exception as error:
            traceback.print_exc()
            mark_failed(folder, first_words(error))
        break
    outcome = folder.outcome()
    if outcome is not None and (outcome.status != "failed" or outcome_mark(folder) != before):
        queue.settle(claim)
    elif stop():
        queue.release(claim, again=True)
    else:
        mark_failed(folder, "the training ended without an outcome")
        queue.settle(claim)


def stop_with_parent(stopping: threading.Event) -> None:
    """The parent holds the other end of stdin: its end means that the parent is gone, however it went."""
    while os.read(0, 4096):
        pass
    stopping.set()
    time.sleep(PARENT_GONE_GRACE_SECONDS)
    os._exit(1)


@click.command(cls=Command)
@click.argument("order_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("name")
@click.option("--follow-parent", is_flag=True, help="Stop when stdin ends.")
def main(order_file: Path, name: str, follow_parent: bool) -> None:
    """Works off ORDER_FILE as worker NAME."""
    serve(model_of(order_file, Order, AGAIN), name, follow_parent)


def serve(order: TrainingOrder, name: str, follow_parent: bool) -> None:
    """The life of a worker process: signals, its parent's end, and the exit code for unusable input."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, lambda *_: stopping.set())
    if follow_parent:
        threading.Thread(target=stop_with_parent, args=(stopping,), daemon=True).start()
    order.make_findable()
    try:
        with waiting_until(stopping.is_set):
            if order.detached:
                order.queue().release_orphans(starts_before(name))
            work(order, name, stop=stopping.is_set)
    except InputError as error:
        _end(redacted(str(error)), BAD_INPUT)
    except NoRoom as error:
        # Its end gives back all it had, which the others may need.
        _end(error, NO_ROOM)
    except Unreachable as error:
        # What was trained is in its folder: the next look at the queue settles it from there.
        _end(error, TOLD_TO_STOP if stopping.is_set() and order.detached else 0 if stopping.is_set() else 3)
    except Exception:
        # Whatever a database's driver says of its URL.
        _end(redacted(traceback.format_exc()), 1)
    if order.detached and stopping.is_set():
        sys.exit(TOLD_TO_STOP)


def _end(last_words: object, code: int) -> NoReturn:
    print(last_words, file=sys.stderr, flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
