"""A worker: claims a job, trains it, tells the queue, and takes the next, until none waits.

`python -m studies.runner.worker ORDER NAME` is what launchers start. Exit codes: 0 nothing left or asked to stop,
2 unusable input (its one line comes last on stderr); anything else is a worker that broke.
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
from typing import ClassVar, Literal

import click
from filelock import FileLock

from core.config import Node
from core.errors import InputError
from core.folder import RunFolder, write_whole
from studies.plan import jobs_root
from studies.runner.launchers import Work
from studies.runner.queue import Claim, Queue
from studies.runner.tasks import Task, mark_failed, outcome_mark

TAKEN_TRIES = 4
TAKEN_PAUSE_SECONDS = 0.25
TAKEN_WAIT_SECONDS = 5.0
PARENT_GONE_GRACE_SECONDS = 60.0


class Order(Node):
    """All that workers need to know, written to a file before they start.

    `tasks` are in the order in which they should be claimed. `trainer` is the module that offers `run_job` and
    `JobTaken` as `core.job` does.
    """

    module: ClassVar[str] = "studies.runner.worker"

    study: str
    setting: str
    runs: Path
    tasks: tuple[Task, ...]
    workers: int = 1
    device: Literal["cpu", "cuda"] = "cpu"
    gpus: tuple[str, ...] = ()
    threads: int = 1
    data_path: Path | None = None
    cache: Path
    trainer: str = "core.job"

    @property
    def digests(self) -> list[str]:
        """The jobs' identities, in order."""
        return [task.digest for task in self.tasks]

    def queue(self) -> Queue:
        """The queue that these jobs stand in."""
        return Queue(self.runs, self.study, self.setting)

    def called(self, claim: Claim) -> str:
        """What people call a claimed job."""
        task = next(task for task in self.tasks if task.digest == claim.digest)
        return f"{task.variant} seed {task.seed}"

    def work(self, name: str, *, stop: Callable[[], bool], each: Callable[[], None]) -> None:
        """See `work`."""
        work(self, name, stop=stop, each=each)

    def write(self, name: str) -> Path:
        """Writes the order where its workers find it."""
        folder = self.runs / "queue" / "orders"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.json"
        write_whole(file, self.model_dump_json().encode())
        return file


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
        with FileLock(lock):
            while not stop():
                claim = queue.claim(order.digests, name)
                if claim is None:
                    return
                try:
                    _train(order, trainer, queue, claim, by_digest[claim.digest], stop, each)
                except trainer.JobTaken:
                    # Another study may be training the same job: it stays in the queue until that one is done.
                    queue.release(claim, again=True)
                    until = time.monotonic() + TAKEN_WAIT_SECONDS
                    while time.monotonic() < until and not stop():
                        each()
                        time.sleep(0.2)
    finally:
        lock.unlink(missing_ok=True)


def _train(
    order: Order,
    trainer: object,
    queue: Queue,
    claim: Claim,
    task: Task,
    stop: Callable[[], bool],
    each: Callable[[], None],
) -> None:
    folder = RunFolder(jobs_root(order.runs), task.digest)
    before = outcome_mark(folder)
    run_job, taken = trainer.run_job, trainer.JobTaken  # type: ignore[attr-defined]
    for attempt in range(1, TAKEN_TRIES + 1):
        try:
            for _event in run_job(
                task.job,
                runs=jobs_root(order.runs),
                device=order.device,
                data_path=order.data_path,
                cache=order.cache,
                threads=order.threads,
                stop=stop,
            ):
                each()
        except taken:
            if attempt == TAKEN_TRIES:
                raise
            time.sleep(TAKEN_PAUSE_SECONDS)  # Somebody may only have asked whether the lock is held.
            continue
        except InputError:
            queue.release(claim, again=True)
            raise
        except Exception as error:
            traceback.print_exc()
            mark_failed(folder, f"{type(error).__name__}: {error}")
        break
    outcome = folder.outcome()
    results = outcome is not None and (outcome.status != "failed" or outcome_mark(folder) != before)
    if results:
        queue.settle(claim)
    elif stop():
        queue.release(claim, again=False)
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


@click.command()
@click.argument("order_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("name")
@click.option("--follow-parent", is_flag=True, help="Stop when stdin ends.")
def main(order_file: Path, name: str, follow_parent: bool) -> None:
    """Works off ORDER_FILE as worker NAME."""
    serve(Order.model_validate_json(order_file.read_text()), name, follow_parent)


def serve(order: Work, name: str, follow_parent: bool) -> None:
    """The life of a worker process: signals, its parent's end, and the exit code for unusable input."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    if follow_parent:
        threading.Thread(target=stop_with_parent, args=(stopping,), daemon=True).start()
    try:
        order.work(name, stop=stopping.is_set, each=_nothing)
    except InputError as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
