"""A worker: claims a job, trains it, tells the queue, and takes the next, until none waits.

`python -m studies.runner.worker ORDER NAME` is what launchers start. Exit codes: 0 nothing left or asked to stop,
2 unusable input (its one line comes last on stderr), 3 a queue out of reach for too long, 75 asked to stop where nobody
waits for that (`Work.detached`), 76 no memory left on a GPU that is shared, the job still claimed (one line, too);
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
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from core.errors import InputError
from core.locks import FileLock
from core.reading import model_of
from studies.click_life import Command
from studies.runner.heartbeat import Heart
from studies.runner.order import NO_ROOM, TOLD_TO_STOP, Work, starts_before
from studies.runner.stores import Unreachable, waiting_until
from studies.runner.tasks import Task
from studies.runner.training import NoRoom, TrainingOrder, train_claim
from studies.stores import redacted

if TYPE_CHECKING:
    from studies.runner.order import Claim
    from studies.runner.queue import Queue

AGAIN = "give the same command again"
"""What helps where an order is damaged, which every command writes anew."""

TAKEN_WAIT_SECONDS = 5.0
PARENT_GONE_GRACE_SECONDS = 60.0


class Order(TrainingOrder):
    """All that workers need to know; `tasks` are in the order in which they should be claimed."""

    module: ClassVar[str] = "studies.runner.worker"

    tasks: tuple[Task, ...]

    @property
    def digests(self) -> list[str]:
        """The jobs' identities, in order."""
        return [task.digest for task in self.tasks]

    def queue(self) -> Queue:
        """The queue that these jobs stand in."""
        # A dry run makes an order too, and need not wait for optuna.
        from studies.runner.queue import Queue

        return Queue(self.runs, self.study, self.setting, self.hang_seconds)

    def called(self, claim: Claim) -> str:
        """What people call a claimed job."""
        task = next(task for task in self.tasks if task.digest == claim.digest)
        return f"{task.variant} seed {task.seed}"

    def work(self, name: str, *, stop: Callable[[], bool], each: Callable[[], None]) -> None:
        """See `work`."""
        work(self, name, stop=stop, each=each)


def _nothing() -> None:
    return None


def work(order: Order, name: str, *, stop: Callable[[], bool], each: Callable[[], None] = _nothing) -> None:
    """Trains waiting jobs of the order until none waits or `stop()`; `each` is called after every event.

    Raises InputError, the job back in the queue, where the environment or the data cannot do what the config asks.
    """
    trainer = importlib.import_module(order.trainer)
    queue = order.queue()
    lock = queue.worker_lock(name)
    by_digest = {task.digest: task for task in order.tasks}
    try:
        with FileLock(lock), Heart(lock) as heart:
            stop = heart.beating(stop)

            def passed(_: object) -> None:
                heart.beat()
                each()

            while not stop():
                claim = queue.claim(order.digests, name)
                if claim is None:
                    return
                try:
                    train_claim(
                        order,
                        queue,
                        claim,
                        by_digest[claim.digest].job,
                        stop=stop,
                        each=passed,
                    )
                except trainer.JobTaken:
                    heart.beat(now=True)  # Who was taken for dead has nothing to give back.
                    # Another study may be training the same job: it stays in the queue until that one is done.
                    queue.release(claim, again=True)
                    until = time.monotonic() + TAKEN_WAIT_SECONDS
                    while time.monotonic() < until and not stop():
                        each()
                        time.sleep(0.2)
    finally:
        lock.unlink(missing_ok=True)


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


def serve(order: Work, name: str, follow_parent: bool) -> None:
    """The life of a worker process: signals, its parent's end, and the exit code for unusable input."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    signal.signal(signal.SIGUSR1, lambda *_: stopping.set())
    if follow_parent:
        threading.Thread(target=stop_with_parent, args=(stopping,), daemon=True).start()
    order.make_findable()
    try:
        with waiting_until(stopping.is_set):
            if order.detached:
                order.queue().release_orphans(starts_before(name))
            order.work(name, stop=stopping.is_set, each=_nothing)
    except InputError as error:
        print(redacted(str(error)), file=sys.stderr, flush=True)
        sys.exit(2)
    except NoRoom as error:
        # Its end gives back all it had, which the others may need.
        print(error, file=sys.stderr, flush=True)
        sys.exit(NO_ROOM)
    except Unreachable as error:
        # What was trained is in its folder: whoever looks at the queue next settles it from there.
        print(error, file=sys.stderr, flush=True)
        sys.exit(TOLD_TO_STOP if stopping.is_set() and order.detached else 0 if stopping.is_set() else 3)
    except Exception:
        # Whatever a database's driver says of its URL.
        print(redacted(traceback.format_exc()), file=sys.stderr, flush=True)
        sys.exit(1)
    if order.detached and stopping.is_set():
        sys.exit(TOLD_TO_STOP)


if __name__ == "__main__":
    main()
