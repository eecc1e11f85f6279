"""Records one job in its run folder: every event, samples, checkpoints, and how it ended."""

from __future__ import annotations

import errno
import os
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors.torch import save as save_safetensors
from torch import Tensor

from core import config as cfg
from core.checkpoint import read_checkpoint, remove_checkpoints, write_checkpoint
from core.events import Checkpointed, Diverged, Event, Finished, Pictured, Sampled
from core.files import append, is_full, sync_folder, write_whole
from core.folder import Outcome, Recorded, RunFolder, Status
from core.memory import PeakMemory, device_memory, is_out_of_memory
from core.side_evaluator import EvaluationDropped
from core.signals import Signal
from core.words import first_words

CHECKPOINT_SECONDS = 10.0
"""Between checkpoints: what a kill may cost."""

CHECKPOINT_COST_FACTOR = 20.0
"""At least this many times what writing the last one took, so that checkpoints stay below 5% of the time."""

Begin = Callable[..., Iterator[Event]]
"""A loop that has not begun; called with `resume` and `checkpoint_due` it yields its events."""


class JobTaken(RuntimeError):
    """Another living process trains this job, perhaps since it took this one for dead."""


def failure(error: Exception, job: cfg.Job) -> str:
    """Why a job failed, in one line."""
    first = first_words(error)
    if not is_out_of_memory(error):
        return first
    return (
        f"out of GPU memory: end what else runs on the device, or {job.config.smaller} for all variants, which is "
        f"another config: {first}"
    )


class Recorder:
    """Writes a job's events into its folder while they pass through, with samples, checkpoints and the outcome."""

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

    def record(self, begin: Begin, stop: Callable[[], bool]) -> Iterator[Event]:
        """The events of the job that `begin` starts or resumes, each once it is in the folder."""
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
        with self.folder.events_file.open("a+b") as self.file:
            try:
                for event in events:
                    self.iteration, self.seconds = event.iteration, event.seconds
                    self.evaluation_seconds += getattr(event, "evaluation_seconds", 0.0)
                    self.file.write(event.model_dump_json().encode() + b"\n")
                    self.file.flush()
                    match event:
                        case Sampled():
                            self.signal.write(self._sample(f"{event.iteration:06d}"), event.pictures)
                            self._note_memory()
                        case Pictured():
                            rows, steps = event.pictures, event.pictures.shape[1]
                            self.signal.write(self._sample(event.name), rows.flatten(0, 1), columns=steps)
                        case Checkpointed():
                            began = time.perf_counter()
                            os.fsync(self.file.fileno())
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
                self._end("failed", reason=failure(error, self.job))

    def _recorded(self) -> bytes:
        self.file.seek(0)
        return self.file.read()

    def _check_still_ours(self) -> None:
        """Raises JobTaken where another process has gone on with the job: it has begun a new file of events.

        A process that hung, or lost its file system, may have been taken for dead.
        """
        try:
            if os.path.samestat(os.fstat(self.file.fileno()), self.folder.events_file.stat()):
                return
        except OSError as error:
            # NFS forgets a file that was replaced from another host, though it is open here.
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise
        raise JobTaken(f"job {self.folder.digest} was taken over by another process")

    def _note_memory(self) -> None:
        """Writes the process's share of the GPU, after a whole turn of the loop, lazy penalties included."""
        if self.iteration - self.begun_at < self.job.config.period:
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
        os.fsync(self.file.fileno())
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
