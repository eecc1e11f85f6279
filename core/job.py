"""Runs one job in its run folder: locks it, resumes it, records every event, and writes how it ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, assert_never

import torch
from pydantic import ValidationError
from torch import Tensor

from core import config as cfg
from core.build import build_domain, check_layer
from core.data.load import ImageSet
from core.data.prepare import index_of
from core.errors import InputError
from core.evaluation import Evaluator, Inline, evaluation_of, fine_of, images_of
from core.events import Event
from core.files import append, check_tree, is_full, make_folder, unwritable
from core.folder import RunFolder, check_apart
from core.locks import FileLock, Timeout
from core.loop import train
from core.memory import OutOfMemory, PeakMemory, free_at_start, is_out_of_memory
from core.metrics import protocol as protocols
from core.metrics.enough import check_counts
from core.needs import check_memory
from core.pixels import PICTURES
from core.precision import check_precision
from core.provenance import provenance
from core.reading import record_of
from core.reconstruct import drawn, reconstruct
from core.recorder import Begin, JobTaken, Recorder, failure
from core.side_evaluator import Order, SideEvaluator

Where = Literal["inline", "beside"]
"""A GAN is evaluated in the process that trains it, or in one of its own beside it; the numbers are the same."""


def run_job(
    job: cfg.Job,
    *,
    runs: Path,
    device: str = "cpu",
    data_path: Path | None = None,
    cache: Path,
    threads: int = 1,
    evaluation: Where = "inline",
    evaluation_device: str | None = None,
    shared: bool = False,
    stop: Callable[[], bool] = lambda: False,
    asked_to_stop: Callable[[], bool] | None = None,
) -> Iterator[Event]:
    """Trains `job` in its folder below `runs`, or goes on where its last checkpoint stands, and yields each event.

    With `evaluation` "beside" a GAN trains on while a process of its own evaluates it on `evaluation_device`, `device`
    where that is None. A reconstruction's error is a by-product of its loop and always found there.

    With `shared` other jobs may be on the same GPU. That it has no memory left is then no outcome of this job:
    OutOfMemory is raised, and the job goes on from its checkpoint when it is run again. What a job computes is the same
    beside others as alone.

    A job that has finished or diverged is not trained again, unless its record is not the one that it ended with
    (`RunFolder.outcome`): nothing is yielded. An error in training ends the job as
    `failed`, with the traceback in its log. When `stop()` turns true a checkpoint is written and the job ends without
    an outcome; an evaluation beside that is not back soon is dropped, and the job goes on from the checkpoint before
    it. The wait for one asks `asked_to_stop`, or `stop` where that is None: being asked `stop` may be taken for a sign
    that the loop goes on. Raises InputError for data or a metric that cannot be used, and where the disk is full, which
    leaves the job without an outcome as well; JobTaken where the folder is locked, and where another process has gone
    on with the job meanwhile: this one then leaves neither checkpoint nor outcome.
    """
    if evaluation_device is not None and evaluation != "beside":
        raise InputError(
            f"the evaluation's device {evaluation_device} is that of a process beside: ask for one as well"
        )
    check_apart(runs, data_path)
    check_precision(job.config.precision, torch.device(device))
    check_memory(job.config, on_cpu=not device.startswith("cuda"))
    folder = RunFolder(runs, job)
    check_tree(runs, folder.path)
    with _room_for(folder):
        make_folder(folder.samples)
    try:
        held = FileLock(folder.lock_file).acquire(timeout=0)
    except Timeout:
        raise JobTaken(f"job {job.digest} is being trained by another process") from None
    with held, _room_for(folder), _memory_for(job, shared):
        before = folder.outcome()
        folder.remove_half_written()
        if before is None and (folder.path / "outcome.json").exists():
            append(folder.log_file, "events.jsonl is not what the job ended with: it is trained again\n")
        if before and before.status != "failed":
            return
        torch.set_num_threads(threads)
        if device.startswith("cuda"):
            free_at_start(device)
        # Once per process, so not a part of what this job costs.
        images = images_of(job.config.data, data_path, cache)
        order = Order(job=job, data_path=data_path, cache=cache, device=evaluation_device or device, threads=threads)
        entered = time.perf_counter()
        with _task(order, images, device, evaluation, asked_to_stop or stop) as task:
            _check_protocol(folder, task.protocols)
            memory = PeakMemory(device)
            # A process beside is this job's own; a metric inline is loaded once per process, as images are.
            started = entered if task.evaluates_beside else time.perf_counter()
            folder.write("job.json", job.model_dump_json(indent=1) + "\n")
            folder.write("protocol.json", protocols.as_json(task.protocols))
            if (described := _described(job.config.data, data_path, cache)) is not None:
                folder.write("data.json", json.dumps(described, indent=1) + "\n")
            where = f"beside on {order.device}" if task.evaluates_beside else "inline"
            ran_by = {**provenance(device, threads), "evaluation": where}
            folder.write("provenance.json", json.dumps(ran_by, indent=1) + "\n")
            _, signal = build_domain(job.config.data, job.config.inr.coordinates)
            real = folder.samples / f"real{signal.suffix}"
            if not real.exists():
                signal.write(real, task.shown)
            attempt = before.attempts + 1 if before else 1
            yield from Recorder(folder, job, signal, attempt, started, memory, device, shared).record(task.begin, stop)


def load_once(
    job: cfg.Job, *, data_path: Path | None = None, cache: Path, device: str = "cpu", threads: int = 1
) -> None:
    """Loads what a process loads once and all its jobs share: images, the metric with its real set, parts of torch.

    Raises InputError as `run_job` does.
    """
    torch.set_num_threads(threads)
    provenance(device, threads)
    order = Order(job=job, data_path=data_path, cache=cache, device=device, threads=threads)
    with _task(order, images_of(job.config.data, data_path, cache), device, "inline", lambda: False) as task:
        # torch imports its compiler with the first optimiser, which takes seconds.
        next(task.begin())


def read_job(file: Path, seed: int | None = None) -> cfg.Job:
    """The job in a JSON file: a whole job, or a config that gets `seed`, 0 where that is None.

    Raises InputError, as for a whole job of another seed.
    """
    try:
        data = record_of(file, "give a job, or a config, as JSON")
        whole = data if "config" in data else {"config": data, "seed": seed or 0}
        if isinstance(whole["config"], dict):
            whole["config"] = {"task": "gan", **whole["config"]}
        job = cfg.Job.model_validate_json(json.dumps(whole))
    except OSError as error:
        raise InputError(f"cannot read {file}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{file}: {cfg.place_of(first['loc'])}: {first['msg']}") from None
    if seed is not None and job.seed != seed:
        raise InputError(
            f"{file} holds a job of seed {job.seed} and seed {seed} is asked for: leave --seed out, or give the config "
            "alone"
        )
    return job


class _Task(NamedTuple):
    """A job that has not begun, the protocols of its series, the metric's first, and real images to show.

    `evaluates_beside` says whether a process of the job's own evaluates it.
    """

    begin: Begin
    protocols: tuple[protocols.Protocol, ...]
    shown: Tensor
    evaluates_beside: bool = False


@contextmanager
def _task(
    order: Order, images: ImageSet, device: str, evaluation: Where, asked_to_stop: Callable[[], bool]
) -> Iterator[_Task]:
    """The job of `order`. All that can be refused is refused on entering."""
    job, config = order.job, order.job.config
    check_layer(config.inr)
    check_counts(config, len(images.train), len(images.real))
    match config:
        case cfg.Config():
            # Spread over the set: images from a folder come sorted, one class after the other.
            shown = images.real[:: max(1, len(images.real) // PICTURES)][:PICTURES]
            with _evaluator(order, config, evaluation, asked_to_stop) as evaluator:
                fine = fine_of(config.data, config.fine, order.data_path, order.cache)
                begin = partial(train, job, images.train, evaluator, device=device, fine=fine)
                yield _Task(begin, evaluator.protocols, shown, evaluation == "beside")
        case cfg.Reconstruction():
            begin = partial(reconstruct, job, images.train, device=device)
            yield _Task(begin, protocols.of_fit(config), drawn(images.train, config, job.seed)[:PICTURES])
        case _:
            assert_never(config)


def _check_protocol(folder: RunFolder, now: Iterable[protocols.Protocol]) -> None:
    """Raises InputError for a job that would go on under another protocol than it began with."""
    if not (folder.checkpoint_file.exists() or folder.previous_checkpoint_file.exists()):
        return
    before = protocols.from_json(folder.read("protocol.json"))
    for protocol in now:
        if protocol.series in before and (differ := protocols.differences(before[protocol.series], protocol)):
            field, (then, here) = next(iter(differ.items()))
            raise InputError(
                f"job {folder.digest} began with another protocol of {protocol.series}: {field} was {then[:40]} and is "
                f"{here[:40]}: bring that back, or remove {folder.path} to begin anew"
            )


@contextmanager
def _evaluator(
    order: Order, config: cfg.Config, evaluation: Where, asked_to_stop: Callable[[], bool]
) -> Iterator[Evaluator]:
    match evaluation:
        case "inline":
            yield Inline(evaluation_of(config, data_path=order.data_path, cache=order.cache, device=order.device))
        case "beside":
            with SideEvaluator(order, asked_to_stop) as beside:
                yield beside
        case _:
            assert_never(evaluation)


@contextmanager
def _room_for(folder: RunFolder) -> Iterator[None]:
    """A full disk as one line. It is no outcome of the job: with room again the job goes on from its checkpoint."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise unwritable(folder.path, error) from error


@contextmanager
def _memory_for(job: cfg.Job, shared: bool) -> Iterator[None]:
    """A shared GPU without memory as OutOfMemory."""
    try:
        yield
    except Exception as error:
        if not (shared and is_out_of_memory(error)):
            raise
        raise OutOfMemory(failure(error, job)) from error


def _described(data: cfg.Data, path: Path | None, cache: Path) -> dict[str, Any] | None:
    """The description of somebody's images, None for other data."""
    if not isinstance(data, cfg.Images) or path is None:
        return None
    index = index_of(data, data.resolution, path=path, cache=cache)
    return {"words": index.words, **index.model_dump(mode="json", exclude={"pixels", "stamps"})}
