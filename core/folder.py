"""The run folder: the truth about one job. Reading it needs neither torch nor the code that trained.

job.json             the identity: config, seed, schema version (its digest names the folder)
protocol.json        what each series of numbers is measured with, and its fingerprint (`core.metrics.protocol`)
data.json            of somebody's images: source, filter, count, what was skipped and what left out
memory.json          of a job on a GPU: `DeviceMemory`, since its first evaluation
provenance.json      git commit, versions, device, threads of the process that ended the job, and where it evaluated
events.jsonl         one event a line, in order (`core.events`)
samples/000500.png   images of the fixed latents
samples/interpolations.png  of a GAN, rows of images on paths between latents
samples/upsampled.png  rows of images made larger by every method, where the config measures them
checkpoint.pt        while it runs, and checkpoint.previous.pt, the one before (`core.checkpoint`)
generator.safetensors  the evaluated generator, at the end
outcome.json         once it has ended: `Outcome`
deaths.json          where workers left it or died at it: how, and how often since it last had an outcome
log.txt              what the process printed, and the traceback of a failure
lock                 held by the process that trains here
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from core.config import Job, Node
from core.errors import InputError
from core.events import Event, event_adapter
from core.files import write_whole

Status = Literal["finished", "diverged", "failed"]


class Outcome(Node):
    """How a job ended. `failed` may be tried again, the other two are results.

    Seconds are wall time: of training steps, of evaluations, and of the job in all, loading and recording included,
    summed over interruptions as far as they were recorded. `resumed` says whether it went on from a checkpoint.
    `peak_memory` is in bytes (`core.memory`), of the process that ended the job, without one that evaluated beside it;
    None where nobody could tell. Evaluations beside training take no time of the job's own.
    """

    status: Status
    iteration: int
    reason: str | None = None
    seconds: float
    evaluation_seconds: float
    job_seconds: float
    peak_memory: int | None = None
    attempts: int = 1
    resumed: bool = False


class DeviceMemory(Node):
    """What the process that trains a job takes of its GPU, looked at after an evaluation, in bytes.

    `total` is the GPU's memory and `free` what nobody takes of it; `free_at_start` was free when `process` (its id) had
    made its context and nothing else. `reserved` is what its allocator holds, `peak` the most since the job began in
    this process, which includes what a whole turn of the loop and an evaluation need.
    """

    process: int
    iteration: int
    total: int
    free_at_start: int
    free: int
    reserved: int
    peak: int


class RunFolder:
    """One job's folder at `root` / digest."""

    def __init__(self, root: Path, job_or_digest: Job | str) -> None:
        digest = job_or_digest if isinstance(job_or_digest, str) else job_or_digest.digest
        self.digest = digest
        self.path = root / digest
        self.events_file = self.path / "events.jsonl"
        self.checkpoint_file = self.path / "checkpoint.pt"
        self.previous_checkpoint_file = self.path / "checkpoint.previous.pt"
        self.generator_file = self.path / "generator.safetensors"
        self.samples = self.path / "samples"
        self.log_file = self.path / "log.txt"
        self.lock_file = self.path / "lock"

    def job(self) -> Job:
        """The job as it was declared. Raises FileNotFoundError where nobody has started it."""
        return Job.model_validate_json((self.path / "job.json").read_text())

    def outcome(self) -> Outcome | None:
        """How it ended, or None while it has not."""
        file = self.path / "outcome.json"
        return Outcome.model_validate_json(file.read_text()) if file.exists() else None

    def memory(self) -> DeviceMemory | None:
        """What the job was last seen to take of its GPU; None before its first evaluation, and on a CPU."""
        try:
            return DeviceMemory.model_validate_json((self.path / "memory.json").read_text())
        except (OSError, ValidationError):
            return None

    def events(self) -> list[Event]:
        """All complete events in order. A last line cut off by a kill is left out: the resumed job writes it anew."""
        if not self.events_file.exists():
            return []
        lines = self.events_file.read_bytes().split(b"\n")[:-1]
        return [event_adapter.validate_json(line) for line in lines]

    def read(self, name: str) -> dict[str, Any]:
        """`protocol.json`, `data.json` or `provenance.json` as plain data, empty where it is absent."""
        file = self.path / name
        return json.loads(file.read_text()) if file.exists() else {}

    def remove_half_written(self) -> None:
        """Removes what killed processes left of large files. Only for who holds the lock: nobody else writes these."""
        for file in (self.checkpoint_file, self.generator_file, self.events_file):
            for aside in self.path.glob(f".{file.name}.*"):
                aside.unlink(missing_ok=True)

    def write(self, name: str, text: str) -> None:
        """Writes a small file whole: aside, then moved into place."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / name, text.encode())


def check_apart(runs: Path, data: Path | None) -> None:
    """Raises InputError where runs would be written among the images that they are trained on."""
    if data is not None and data.is_dir() and runs.resolve().is_relative_to(data.resolve()):
        raise InputError(
            f"{runs} lies in the folder of images {data}, so that pictures of runs would become images: write the runs "
            "elsewhere, or put the images into a folder of their own"
        )
