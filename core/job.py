"""Runs one job in its run folder: locks it, resumes it, records every event, and writes how it ended."""

from __future__ import annotations

import errno
import json
import os
import platform
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, assert_never

import numpy as np
import torch
from pydantic import ValidationError
from safetensors.torch import save as save_safetensors
from torch import Tensor

from core import config as cfg
from core import origin
from core.beside import Beside, EvaluationDropped, Order
from core.build import build_domain, check_layer
from core.checkpoint import read_checkpoint, remove_checkpoints, write_checkpoint
from core.data.load import ImageSet
from core.data.prepare import told
from core.errors import InputError
from core.evaluate import Evaluator, Inline
from core.events import Checkpointed, Diverged, Event, Finished, Pictured, Sampled
from core.files import append, check_tree, is_full, make_folder, sync_folder, unwritable, write_whole
from core.folder import Outcome, Recorded, RunFolder, Status, check_apart
from core.loaded import evaluation_of, images_of
from core.locks import FileLock, Timeout
from core.loop import train
from core.machine import cores, processor
from core.memory import OutOfMemory, PeakMemory, device_memory, free_at_start, is_out_of_memory
from core.metrics import protocol as protocols
from core.metrics.enough import check_fitted
from core.needs import check_memory
from core.pixels import PICTURES
from core.precision import check_precision
from core.reading import record_of
from core.reconstruct import drawn, reconstruct
from core.schedule import period
from core.signals import Signal
from core.words import first_words

CHECKPOINT_SECONDS = 10.0
"""Between checkpoints: what a kill may cost."""

CHECKPOINT_COST_FACTOR = 20.0
"""At least this many times what writing the last one took, so that checkpoints stay below 5% of the time."""


Begin = Callable[..., Iterator[Event]]

Where = Literal["inline", "beside"]
"""A GAN is evaluated in the process that trains it, or in one of its own beside it; the numbers are the same."""


class JobTaken(RuntimeError):
    """Another living process trains this job, perhaps since it took this one for dead."""


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
    it. Who waits for one asks `asked_to_stop`, or `stop` where that is None: being asked `stop` may be taken for a sign
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
        beside = evaluation == "beside" and isinstance(job.config, cfg.Config)
        entered = time.perf_counter()
        with _task(order, images, device, evaluation, asked_to_stop or stop) as (begin, measured_with):
            _check_protocol(folder, measured_with)
            memory = PeakMemory(device)
            # A process beside is this job's own; a metric inline is loaded once per process, as images are.
            started = entered if beside else time.perf_counter()
            folder.write("job.json", job.model_dump_json(indent=1) + "\n")
            folder.write("protocol.json", protocols.as_json(measured_with))
            if (described := _described(job.config.data, data_path, cache)) is not None:
                folder.write("data.json", json.dumps(described, indent=1) + "\n")
            ran_by = {**provenance(device, threads), "evaluation": f"beside on {order.device}" if beside else "inline"}
            folder.write("provenance.json", json.dumps(ran_by, indent=1) + "\n")
            _, signal = build_domain(job.config.data, job.config.inr.coordinates)
            real = folder.samples / f"real{signal.suffix}"
            if not real.exists():
                signal.write(real, _shown(job, images))
            attempt = before.attempts + 1 if before else 1
            yield from _Recording(folder, job, signal, attempt, started, memory, device, shared).of(begin, stop)


def load_once(
    job: cfg.Job, *, data_path: Path | None = None, cache: Path, device: str = "cpu", threads: int = 1
) -> None:
    """Loads what a process loads once and all its jobs share: images, the metric with its real set, parts of torch.

    Raises InputError as `run_job` does.
    """
    torch.set_num_threads(threads)
    provenance(device, threads)
    order = Order(job=job, data_path=data_path, cache=cache, device=device, threads=threads)
    with _task(order, images_of(job.config.data, data_path, cache), device, "inline", lambda: False) as (begin, _):
        # torch imports its compiler with the first optimiser, which takes seconds.
        next(begin())


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


def _shown(job: cfg.Job, images: ImageSet) -> Tensor:
    """Real images beside the generated ones: those that are fitted, or some of the metric's real set."""
    if isinstance(job.config, cfg.Reconstruction):
        return drawn(images.train, job.config, job.seed)[:PICTURES]
    # Spread over the set: images from a folder come sorted, one class after the other.
    return images.real[:: max(1, len(images.real) // PICTURES)][:PICTURES]


@contextmanager
def _task(
    order: Order, images: ImageSet, device: str, evaluation: Where, asked_to_stop: Callable[[], bool]
) -> Iterator[tuple[Begin, tuple[protocols.Protocol, ...]]]:
    """What begins the job, given `resume` and `checkpoint_due`, and the protocols of its series, the metric's first.

    All that can be refused is refused on entering.
    """
    job, config = order.job, order.job.config
    check_layer(config.inr)
    match config:
        case cfg.Config():
            with _evaluator(order, config, evaluation, asked_to_stop) as evaluator:
                yield partial(train, job, images.train, evaluator, device=device), evaluator.protocols
        case cfg.Reconstruction():
            check_fitted(config.images, len(images.train))
            yield partial(reconstruct, job, images.train, device=device), protocols.of_fit(config)
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
            with Beside(order, asked_to_stop) as beside:
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
        raise OutOfMemory(_reason(error, job)) from error


def _reason(error: Exception, job: cfg.Job) -> str:
    """Why a job failed, in one line."""
    first = first_words(error)
    if not is_out_of_memory(error):
        return first
    match job.config:
        case cfg.Config(batch_size=size):
            less = f"batch_size={max(1, size // 2)} (it is {size})"
        case cfg.Reconstruction(images=count):
            less = f"images={max(1, count // 2)} (it is {count})"
        case _:
            assert_never(job.config)
    return (
        f"out of GPU memory: end what else runs on the device, or {less} for all variants, which is another config: "
        f"{first}"
    )


class _Recording:
    """Records a job's events into its folder while they pass through."""

    def __init__(
        self,
        folder: RunFolder,
        job: cfg.Job,
        signal: Signal,
        attempt: int,
        started: float,
        memory: PeakMemory,
        device: str,
        shared: bool,
    ) -> None:
        self.folder, self.job, self.attempt, self.started, self.memory = folder, job, attempt, started, memory
        self.signal, self.device, self.shared = signal, device, shared
        self.job_seconds = self.evaluation_seconds = self.seconds = 0.0
        self.iteration = self.begun_at = 0
        self.resumed = False

    def _sample(self, name: str) -> Path:
        return self.folder.samples / f"{name}{self.signal.suffix}"

    def of(self, begin: Begin, stop: Callable[[], bool]) -> Iterator[Event]:
        checkpoint = read_checkpoint(self.folder)
        self.resumed = checkpoint is not None
        if checkpoint:
            self.job_seconds, self.evaluation_seconds = checkpoint.job_seconds, checkpoint.evaluation_seconds
            self.begun_at = int(checkpoint.state["iteration"])
        self._keep_events(checkpoint.events_size if checkpoint else 0)
        saved, cost = time.perf_counter(), 0.0

        def checkpoint_due() -> bool:
            return stop() or time.perf_counter() - saved > max(CHECKPOINT_SECONDS, CHECKPOINT_COST_FACTOR * cost)

        resume = checkpoint.state if checkpoint else None
        events = begin(resume=resume, checkpoint_due=checkpoint_due)
        with self.folder.events_file.open("a+b") as self.record:
            try:
                for event in events:
                    self.iteration, self.seconds = event.iteration, event.seconds
                    self.evaluation_seconds += getattr(event, "evaluation_seconds", 0.0)
                    self.record.write(event.model_dump_json().encode() + b"\n")
                    self.record.flush()
                    match event:
                        case Sampled():
                            self.signal.write(self._sample(f"{event.iteration:06d}"), event.pictures)
                            self._note_memory()
                        case Pictured():
                            rows, steps = event.pictures, event.pictures.shape[1]
                            self.signal.write(self._sample(event.name), rows.flatten(0, 1), columns=steps)
                        case Checkpointed():
                            began = time.perf_counter()
                            os.fsync(self.record.fileno())
                            self._check_still_ours()
                            write_checkpoint(
                                self.folder,
                                event.state,
                                events=self._recorded(),
                                job_seconds=self._total(),
                                evaluation_seconds=self.evaluation_seconds,
                            )
                            saved = time.perf_counter()
                            cost = saved - began
                        case Finished():
                            self._note_memory()
                            self._end("finished", generator=event.generator)
                        case Diverged():
                            self._end("diverged", reason=event.reason)
                    yield event
                    if isinstance(event, Checkpointed) and stop():
                        return
            except EvaluationDropped:
                return
            except JobTaken:
                raise
            except Exception as error:
                # GeneratorExit and KeyboardInterrupt are no Exceptions: an interrupted job keeps no outcome.
                if (isinstance(error, OSError) and is_full(error)) or (self.shared and is_out_of_memory(error)):
                    raise
                self._check_still_ours()
                append(self.folder.log_file, traceback.format_exc())
                self._end("failed", reason=_reason(error, self.job))

    def _recorded(self) -> bytes:
        self.record.seek(0)
        return self.record.read()

    def _check_still_ours(self) -> None:
        """Raises JobTaken where another process has gone on with the job: it has begun a new file of events.

        Who hung, or lost its file system, for so long that it was taken for dead knows nothing of that when it wakes.
        """
        try:
            if os.path.samestat(os.fstat(self.record.fileno()), self.folder.events_file.stat()):
                return
        except OSError as error:
            # NFS forgets a file that was replaced from another host, though it is open here.
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise
        raise JobTaken(f"job {self.folder.digest} was taken over by another process")

    def _note_memory(self) -> None:
        """What the process takes of its GPU, once its loop has done all that it ever does: lazy penalties, too."""
        if self.iteration - self.begun_at < period(self.job.config):
            return
        if (taken := device_memory(self.device, self.iteration)) is not None:
            self.folder.write("memory.json", taken.model_dump_json() + "\n")

    def _total(self) -> float:
        return self.job_seconds + time.perf_counter() - self.started

    def _keep_events(self, size: int) -> None:
        """Drops events after the checkpoint: they are about to happen again."""
        file = self.folder.events_file
        if file.exists():
            # A new file even where nothing is dropped: one who was taken for dead may still hold the old one open.
            write_whole(file, file.read_bytes()[:size])

    def _end(self, status: Status, *, reason: str | None = None, generator: dict[str, Tensor] | None = None) -> None:
        self._check_still_ours()
        os.fsync(self.record.fileno())
        if generator is not None:
            tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in generator.items()}
            write_whole(self.folder.generator_file, save_safetensors(tensors))
        outcome = Outcome(
            status=status,
            iteration=self.iteration,
            reason=reason,
            seconds=self.seconds,
            evaluation_seconds=self.evaluation_seconds,
            job_seconds=self._total(),
            peak_memory=self.memory.peak(),
            attempts=self.attempt,
            resumed=self.resumed,
            recorded=None if status == "failed" else Recorded.of(self._recorded()),
        )
        # Only what is on the disk may be called done: a power cut keeps what came last as gladly as what came first.
        sync_folder(self.folder.samples)
        sync_folder(self.folder.path)
        self._check_still_ours()
        self.folder.write("outcome.json", outcome.model_dump_json(indent=1) + "\n")
        if status != "failed":
            remove_checkpoints(self.folder)


def _described(data: cfg.Data, path: Path | None, cache: Path) -> dict[str, Any] | None:
    """What is known of somebody's images, None for other data."""
    if not isinstance(data, cfg.Images) or path is None:
        return None
    index = told(data, data.resolution, path=path, cache=cache)
    return {"words": index.words, **index.model_dump(mode="json", exclude={"pixels", "stamps"})}


@lru_cache(maxsize=1)
def provenance(device: str, threads: int) -> dict[str, Any]:
    """What ran this: version and commit of the code, versions, device, threads."""
    commit, dirty = origin.commit()
    return {
        "version": origin.version(),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
        "processor": processor(),
        "cores": cores(),
        "threads": threads,
        "platform": platform.platform(terse=True),
    }
