"""What workers of queues and of searches share: how an order is written down, and how a claimed job is trained."""

from __future__ import annotations

import importlib
import time
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from core.config import Job, Node
from core.errors import InputError
from core.file_names import StoredPath
from core.files import make_folder, write_whole
from core.folder import RunFolder
from core.words import first_words
from studies.outside import make_findable
from studies.plan import jobs_root
from studies.run_state import mark_failed, outcome_mark
from studies.runner.deaths import note_claim
from studies.runner.heartbeat import HANG_SECONDS
from studies.runner.stores import asked_to_stop

if TYPE_CHECKING:
    from studies.runner.order import Claim

TAKEN_TRIES = 4
TAKEN_PAUSE_SECONDS = 0.25


class TrainingOrder(Node):
    """Where and how the jobs of an order are trained. `trainer` is the module that offers `run_job`, `JobTaken` and
    `OutOfMemory` as `core.job` does, `detached` and `most_workers` are explained by `studies.runner.order.Work`.
    `gpus` are those of this machine, `parts_of_gpus` says that a cluster puts several workers on one of its own.
    `folder_of_study` has modules that a study given by its file brings along."""

    study: str
    setting: str
    runs: StoredPath
    workers: int = 1
    device: Literal["cpu", "cuda"] = "cpu"
    gpus: tuple[str, ...] = ()
    threads: int = 1
    data_path: StoredPath | None = None
    cache: StoredPath
    evaluation: Literal["inline", "beside"] = "inline"
    hang_seconds: float = HANG_SECONDS
    trainer: str = "core.job"
    detached: bool = False
    most_workers: int | None = None
    parts_of_gpus: bool = False
    folder_of_study: StoredPath | None = None

    @property
    def shares_gpus(self) -> bool:
        """Whether several of its workers may train on one GPU: of `gpus`, or where a cluster gives parts of them."""
        crowded = bool(self.gpus) and (self.most_workers or self.workers) > len(self.gpus)
        return self.parts_of_gpus or crowded

    def make_findable(self) -> None:
        """Lets this process import what lies beside the study's file."""
        if self.folder_of_study is not None:
            make_findable(self.folder_of_study)

    def write(self, name: str) -> Path:
        """Writes the order where its workers find it."""
        folder = self.runs / "queue" / "orders"
        make_folder(folder)
        file = folder / f"{name}.json"
        write_whole(file, self.model_dump_json().encode())
        return file


class Claims(Protocol):
    """Where a claim is told how it ended."""

    def settle(self, claim: Claim) -> None: ...

    def release(self, claim: Claim, *, again: bool) -> None: ...


class NoRoom(Exception):
    """The GPU that a job shares has no memory left for it; the claim is still held. The message is one line."""


class GivenUp(Exception):
    """Raised while a job trains: it is not worth its end, and has been told so."""


def train_claim(
    order: TrainingOrder,
    claims: Claims,
    claim: Claim,
    job: Job,
    *,
    stop: Callable[[], bool],
    each: Callable[[Any], None],
) -> None:
    """Trains a claimed job until it has an outcome, until `stop()`, or until `each`, called with every event, gives up.

    A job that was stopped goes back: another runner of the study may be waiting for it.

    Raises InputError, the claim released, where environment or data cannot do it, the trainer's JobTaken where another
    process trains the same job or has taken it over, and NoRoom.
    """
    trainer = importlib.import_module(order.trainer)
    folder = RunFolder(jobs_root(order.runs), claim.digest)
    before, begun = outcome_mark(folder), False
    with suppress(OSError):  # A full disk is the trainer's to tell.
        note_claim(folder)
    for attempt in range(1, TAKEN_TRIES + 1):
        try:
            events = trainer.run_job(
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
                    each(event)
        except GivenUp:
            return
        except trainer.JobTaken:
            if attempt == TAKEN_TRIES or begun:
                raise
            time.sleep(TAKEN_PAUSE_SECONDS)  # Somebody may only have asked whether the lock is held.
            continue
        except InputError:
            # Where a disk is full the queue may be on it too: what is claimed by nobody alive is put back later.
            with suppress(OSError):
                claims.release(claim, again=True)
            raise
        except trainer.OutOfMemory as error:
            raise NoRoom(str(error)) from error
        except Exception as error:
            traceback.print_exc()
            mark_failed(folder, first_words(error))
        break
    outcome = folder.outcome()
    if outcome is not None and (outcome.status != "failed" or outcome_mark(folder) != before):
        claims.settle(claim)
    elif stop():
        claims.release(claim, again=True)
    else:
        mark_failed(folder, "the training ended without an outcome")
        claims.settle(claim)
