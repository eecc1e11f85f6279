"""The state of a running job on disk: the last checkpoint and the one before, both checked before they are trusted.

A file is one line of ASCII, `inr-gan checkpoint 1 LENGTH CRC32` of all that follows it, and then what `torch.save`
writes. A CRC is enough against damage, and takes a third of the time of a digest. Each checkpoint names the length and
the SHA-256 of `events.jsonl` when it was written, so that a state never goes on behind a record that is not its own.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.files import append, write_whole
from core.folder import RunFolder
from core.words import first_words

MAGIC = b"inr-gan checkpoint 1"


KINDS: dict[str, type | tuple[type, ...]] = {
    "state": dict,
    "job_seconds": (int, float),
    "evaluation_seconds": (int, float),
    "events_size": int,
    "events_sha256": str,
}
"""Of what is in a checkpoint, see `Checkpoint`."""


class _Unusable(Exception):
    """Why a checkpoint is not trusted, in one line."""


@dataclass(frozen=True)
class Checkpoint:
    """All that a job goes on from.

    `state` is that of a `Checkpointed` event. `job_seconds` and `evaluation_seconds` were spent until then. The first
    `events_size` bytes of `events.jsonl`, whose digest is `events_sha256`, are what had happened.
    """

    state: dict[str, Any]
    job_seconds: float
    evaluation_seconds: float
    events_size: int
    events_sha256: str


def write_checkpoint(
    folder: RunFolder, state: dict[str, Any], *, events: bytes, job_seconds: float, evaluation_seconds: float
) -> None:
    """Makes this the folder's checkpoint and keeps the last one as the one before. `events` are all until now, which
    `events.jsonl` on disk begins with already.

    Raises OSError, with both former checkpoints untouched, where it cannot be written.
    """
    whole = Checkpoint(state, job_seconds, evaluation_seconds, len(events), hashlib.sha256(events).hexdigest())
    content = io.BytesIO()
    torch.save(vars(whole), content)
    stored = content.getbuffer()
    write_whole(folder.checkpoint_file, _header(stored), stored, before=folder.previous_checkpoint_file)


def read_checkpoint(folder: RunFolder) -> Checkpoint | None:
    """The last checkpoint that can be trusted, None where there is none; then the job starts anew.

    What is not trusted is removed, lest it become the one before, and said in the job's log. What only cannot be read,
    as while a file system or memory fails, is left as it is: the error is raised.
    """
    for file in (folder.checkpoint_file, folder.previous_checkpoint_file):
        try:
            return _read(file, folder.events_file)
        except FileNotFoundError:
            continue
        except _Unusable as error:
            then = "the one before is tried" if file == folder.checkpoint_file else "starting anew"
            append(folder.log_file, f"{file.name} cannot be used, {then}: {error}\n")
            file.unlink()
    return None


def remove_checkpoints(folder: RunFolder) -> None:
    """Of a job that has ended."""
    folder.checkpoint_file.unlink(missing_ok=True)
    folder.previous_checkpoint_file.unlink(missing_ok=True)


def _loaded(stored: memoryview) -> Checkpoint:
    """The checkpoint in bytes that are as they were written. OSError and MemoryError pass: they say nothing of the
    bytes."""
    try:
        content = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        # What torch's own allocator says.
        if "allocate memory" in str(error):
            raise
        raise _Unusable(f"torch refuses it, {first_words(error)}") from None
    if (
        not isinstance(content, dict)
        or content.keys() != KINDS.keys()
        or not all(isinstance(value, KINDS[name]) for name, value in content.items())
    ):
        raise _Unusable("it has other things in it than a checkpoint")
    return Checkpoint(**content)


def _header(stored: memoryview) -> bytes:
    return b"%s %d %08x\n" % (MAGIC, len(stored), zlib.crc32(stored))


def _read(file: Path, events_file: Path) -> Checkpoint:
    content = memoryview(file.read_bytes())
    end = bytes(content[:100]).find(b"\n") + 1
    header, stored = bytes(content[:end]), content[end:]
    if not header.startswith(MAGIC):
        raise _Unusable("it does not begin as a checkpoint does")
    if header != _header(stored):
        raise _Unusable(f"its {len(stored)} bytes are not those that were written")
    checkpoint = _loaded(stored)
    events = events_file.read_bytes()[: checkpoint.events_size] if events_file.exists() else b""
    if hashlib.sha256(events).hexdigest() != checkpoint.events_sha256:
        raise _Unusable(f"{events_file.name} no longer begins with the {checkpoint.events_size} bytes it had then")
    return checkpoint
