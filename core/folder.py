"""The run folder: the truth about one job. Reading it needs neither torch nor the code that trained.

job.json             the identity: config, seed, schema version (its digest names the folder)
protocol.json        what each series of numbers is measured with, and its fingerprint (`core.metrics.protocol`)
data.json            of somebody's images: source, filter, count, what was skipped and what left out
memory.json          of a job on a GPU: `DeviceMemory`, since its first evaluation
provenance.json      version and commit of the code, versions, device, threads of the process that ended the job, and
                     where it evaluated
events.jsonl         one event a line, in order (`core.events`)
samples/000500.png   images of the fixed latents
samples/interpolations.png  of a GAN, rows of images on paths between latents
samples/upsampled.png  rows of images made larger by every method, where the config measures them
samples/octaves.png  of each zoom of `evaluation.octaves` a row of real windows and a row of generated ones
samples/dense.png    a row of real images and a row of generated ones at the fine pixels of `evaluation.scales`
checkpoint.pt        while it runs, and checkpoint.previous.pt, the one before (`core.checkpoint`)
generator.safetensors  the evaluated generator, at the end
outcome.json         once it has ended: `Outcome`; written last, when all of the above is on the disk
deaths.json          where workers left it or died at it: how, and how often since it last had an outcome
log.txt              what the process printed, and the traceback of a failure
lock                 held by the process that trains here
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from core.config import Job, Node
from core.errors import InputError
from core.events import Event, event_adapter
from core.files import make_folder, write_whole
from core.locks import is_held
from core.names import DIGEST, fits
from core.numbers import Count, Seconds, Whole
from core.reading import MOST_JSON, MOST_LINE, Damaged, last_bytes, lines_of, model_of, opened, record_of, what_is_wrong
from core.words import visible

Status = Literal["finished", "diverged", "failed"]
"""How a job ended."""

State = Literal["new", "interrupted", "running", Status]
"""How a job stands."""

RESULTS: tuple[State, ...] = ("finished", "diverged")
"""Ends that nothing changes any more; what has failed may be tried again."""

MOST_EVENTS = 500_000
"""Of one job: a hundred reports of losses, what every evaluation finds, and a checkpoint every ten seconds of two
months."""

MOST_RECORD = 2**20
"""Bytes of a small file of a run folder."""


class Recorded(Node):
    """The bytes that `events.jsonl` had when its job ended: how many, and their sha256."""

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> Recorded:
        """That of a whole record."""
        return cls(size=len(content), sha256=hashlib.sha256(content).hexdigest())

    def is_in(self, file: Path, remedy: str, *, hashed: bool = True) -> bool:
        """Whether the file still has these bytes; by its length alone where it is not to be `hashed`. Raises Damaged
        where it is larger than any record."""
        try:
            stat = file.stat()
            if stat.st_size != self.size:
                return False
            return not hashed or _sha256(file, remedy, stat.st_ino, stat.st_size, stat.st_mtime_ns) == self.sha256
        except FileNotFoundError:
            return False


@lru_cache(maxsize=1 << 16)
def _sha256(file: Path, remedy: str, _inode: int, _size: int, _mtime: int) -> str:
    """Once in a process while the file stays as it is: those who look at every run of a study look often."""
    with opened(file, remedy) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@lru_cache(maxsize=1 << 16)
def _job(file: Path, remedy: str, _inode: int, _size: int, _mtime: int) -> Job:
    """The same of a job as it was declared. Raises Damaged where it is not the one that its folder is named after."""
    job = model_of(file, Job, remedy, MOST_RECORD)
    if job.digest != file.parent.name:
        raise Damaged(file, "it is of another job than the folder is named after", remedy)
    return job


class Outcome(Node):
    """How a job ended. `failed` may be tried again, the other two are results.

    Seconds are wall time: of training steps, of evaluations, and of the job in all, loading and recording included,
    summed over interruptions as far as they were recorded. `resumed` says whether it went on from a checkpoint.
    `peak_memory` is in bytes (`core.memory`), of the process that ended the job, without one that evaluated beside it;
    None where nobody could tell. Evaluations beside training take no time of the job's own. `recorded` is what a result
    was found with; None of a failure, and of a result of an earlier version.
    """

    status: Status
    iteration: Count
    reason: str | None = None
    seconds: Seconds
    evaluation_seconds: Seconds
    job_seconds: Seconds
    peak_memory: Whole | None = None
    attempts: Count = 1
    resumed: bool = False
    recorded: Recorded | None = None


class DeviceMemory(Node):
    """The memory of a GPU and the share of the process that trains a job, after an evaluation, in bytes.

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


class _Skipped(BaseModel):
    name: str
    reason: str


class _LeftOut(BaseModel):
    what: str
    count: int
    first: list[str]


class _Images(BaseModel):
    """The part of a `data.json` that reports read."""

    fingerprint: str
    name: str
    words: str
    count: int
    skipped: list[_Skipped]
    left_out: list[_LeftOut] = []


SHAPES: dict[str, TypeAdapter[Any]] = {
    "data.json": TypeAdapter(_Images),
    "provenance.json": TypeAdapter(dict[str, str | int | float | bool | None]),
}
"""The shapes of files that are read as plain data."""

LARGER = {"data.json": MOST_JSON}
"""Files with what may be a list of thousands of images."""


class RunFolder:
    """One job's folder at `root` / digest. Raises InputError for a text that is no digest: it would be any path."""

    def __init__(self, root: Path, job_or_digest: Job | str) -> None:
        digest = job_or_digest if isinstance(job_or_digest, str) else job_or_digest.digest
        if not fits(DIGEST, digest):
            raise InputError(f"'{visible(digest)[:80]}' is no digest of a job, which names its folder: 16 hex digits")
        self.digest = digest
        self.path = root / digest
        self.events_file = self.path / "events.jsonl"
        self.checkpoint_file = self.path / "checkpoint.pt"
        self.previous_checkpoint_file = self.path / "checkpoint.previous.pt"
        self.generator_file = self.path / "generator.safetensors"
        self.samples = self.path / "samples"
        self.log_file = self.path / "log.txt"
        self.lock_file = self.path / "lock"

    @property
    def remedy(self) -> str:
        """The advice where a file in it is damaged."""
        return f"move the folder {self.path} away, and the run is trained anew"

    def job(self) -> Job:
        """The job as it was declared. Raises FileNotFoundError where nobody has started it, and Damaged, as where the
        folder was copied under another name."""
        stat = (file := self.path / "job.json").stat()
        return _job(file, self.remedy, stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def outcome(self, *, hashed: bool = True) -> Outcome | None:
        """How it ended, or None while it has not. Raises Damaged.

        A result whose record is not the one that it was found with is none: a power cut or a copy has lost part of it,
        and the job is one that was interrupted. Without `hashed` the record's length alone is looked at, and not
        whether the folder is this job's.
        """
        try:
            outcome = model_of(self.path / "outcome.json", Outcome, self.remedy, MOST_RECORD)
        except FileNotFoundError:
            return None
        if hashed:
            with suppress(FileNotFoundError):
                self.job()
        if outcome.status == "failed" or outcome.recorded is None:
            return outcome
        return outcome if outcome.recorded.is_in(self.events_file, self.remedy, hashed=hashed) else None

    def state(self, running: Collection[str] | None = None) -> State:
        """How the job stands. Raises Damaged.

        `running` are the digests known to be in training; without it the folder's lock is asked.
        """
        if running is not None and self.digest in running:
            return "running"
        if (outcome := self.outcome()) is not None:
            return outcome.status
        if not (self.path / "job.json").exists():
            return "new"
        return "running" if running is None and is_held(self.lock_file) else "interrupted"

    def memory(self) -> DeviceMemory | None:
        """The job's last `DeviceMemory`; None before its first evaluation, and on a CPU."""
        try:
            return model_of(self.path / "memory.json", DeviceMemory, self.remedy, MOST_RECORD)
        except (OSError, Damaged):
            return None

    def events(self) -> list[Event]:
        """All complete events in order. Raises Damaged, with the line.

        A last line cut off by a kill is left out: the resumed job writes it anew.
        """
        return list(self.each_event())

    def each_event(self, holding: bytes = b"") -> Iterator[Event]:
        """The same one after the other, those alone whose line has `holding` in it."""
        try:
            for number, line in lines_of(self.events_file, self.remedy, MOST_EVENTS):
                if holding in line and line.endswith(b"\n"):
                    try:
                        yield event_adapter.validate_json(line)
                    except ValidationError as error:
                        raise Damaged(self.events_file, f"line {number}: {what_is_wrong(error)}", self.remedy) from None
        except FileNotFoundError:
            return

    def last_event(self) -> Event | None:
        """The last of the complete events, None where there is none, or where it is damaged."""
        try:
            *_, line, _ = (b"\n" + last_bytes(self.events_file, self.remedy, 2 * MOST_LINE)).split(b"\n")
            return event_adapter.validate_json(line)
        except (FileNotFoundError, Damaged, ValidationError):
            return None

    def read(self, name: str) -> dict[str, Any]:
        """`protocol.json`, `data.json` or `provenance.json` as plain data, empty where it is absent. Raises Damaged."""
        file = self.path / name
        try:
            record = record_of(file, self.remedy, LARGER.get(name, MOST_RECORD))
        except FileNotFoundError:
            return {}
        if record and (shape := SHAPES.get(name)) is not None:
            try:
                shape.validate_python(record)
            except ValidationError as error:
                raise Damaged(file, what_is_wrong(error), self.remedy) from None
        return record

    def remove_half_written(self) -> None:
        """Removes what killed processes left of large files. Only for who holds the lock: nobody else writes these."""
        for file in (self.checkpoint_file, self.generator_file, self.events_file):
            for aside in self.path.glob(f".{file.name}.*"):
                aside.unlink(missing_ok=True)

    def write(self, name: str, text: str) -> None:
        """Writes a small file whole: aside, then moved into place."""
        make_folder(self.path)
        write_whole(self.path / name, text.encode())


def check_apart(runs: Path, data: Path | None) -> None:
    """Raises InputError where runs would be written among the images that they are trained on."""
    if data is not None and data.is_dir() and runs.resolve().is_relative_to(data.resolve()):
        raise InputError(
            f"{runs} lies in the folder of images {data}, so that pictures of runs would become images: write the runs "
            "elsewhere, or put the images into a folder of their own"
        )
