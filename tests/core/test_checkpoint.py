"""Whatever happens to a checkpoint's bytes, a job goes on from one that is whole, or anew, to the same numbers."""

from __future__ import annotations

import io
import json
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from core.checkpoint import read_checkpoint, write_checkpoint
from core.events import Checkpointed
from core.folder import RunFolder
from core.job import run_job
from tests.core.test_job import JOB, comparable, finished

pytestmark = pytest.mark.usefixtures("every_iteration")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> RunFolder:
    return finished(tmp_path_factory.mktemp("undisturbed"), cache)


def stopped(runs: Path, cache: Path, *, checkpoints: int = 3) -> RunFolder:
    """The job, stopped after so many checkpoints, one an iteration."""
    seen: list[int] = []
    for event in run_job(JOB, runs=runs, cache=cache, stop=lambda: len(seen) >= checkpoints):
        if isinstance(event, Checkpointed):
            seen.append(event.iteration)
    folder = RunFolder(runs, JOB)
    assert len(seen) == checkpoints and folder.checkpoint_file.exists() and folder.previous_checkpoint_file.exists()
    return folder


def flipped(position: float) -> Callable[[bytes], bytes]:
    """Flips one bit at this share of the file."""

    def flip(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[int(position * (len(content) - 1))] ^= 16
        return bytes(changed)

    return flip


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "something else": lambda _: b"not a checkpoint",
    "cut in the header": lambda content: content[:40],
    "cut by half": lambda content: content[: len(content) // 2],
    "cut by a byte": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    **{f"a bit at {share:.0%}": flipped(share) for share in (0.0, 0.3, 0.6, 0.9, 1.0)},
}


def ended_as(folder: RunFolder, undisturbed: RunFolder, cache: Path) -> None:
    """Ends the job and holds all that it recorded to the undisturbed one."""
    finished(folder.path.parent, cache)
    assert comparable(folder) == comparable(undisturbed)
    weights, expected = load_file(folder.generator_file), load_file(undisturbed.generator_file)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert not folder.checkpoint_file.exists() and not folder.previous_checkpoint_file.exists()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_not_trusted_and_the_one_before_is(damage: str, tmp_path: Path, cache: Path) -> None:
    folder = stopped(tmp_path, cache)
    folder.checkpoint_file.write_bytes(DAMAGES[damage](folder.checkpoint_file.read_bytes()))
    found = read_checkpoint(folder)
    assert found is not None and found.state["iteration"] == 2
    assert not folder.checkpoint_file.exists(), "it would become the one before"
    (said,) = folder.log_file.read_text().splitlines()
    assert said.startswith("checkpoint.pt cannot be used, the one before is tried: ")


def test_going_on_from_the_one_before_ends_as_undisturbed(tmp_path: Path, cache: Path, undisturbed: RunFolder) -> None:
    folder = stopped(tmp_path, cache, checkpoints=5)
    before = folder.events_file.read_bytes()
    folder.checkpoint_file.write_bytes(flipped(0.5)(folder.checkpoint_file.read_bytes()))
    events = run_job(JOB, runs=tmp_path, cache=cache)
    first = next(events)
    assert first.iteration == 4, "it pauses where the one before was taken, and 5 was damaged"
    kept = folder.events_file.read_bytes().splitlines()[:-1]
    assert kept == before.splitlines()[: len(kept)] and json.loads(kept[-1]) == checkpointed_at(before, 4)
    events.close()
    ended_as(folder, undisturbed, cache)
    outcome = folder.outcome()
    assert outcome is not None and outcome.resumed


def checkpointed_at(events: bytes, iteration: int) -> dict[str, Any]:
    read = [json.loads(line) for line in events.splitlines()]
    return next(event for event in read if event["kind"] == "checkpointed" and event["iteration"] == iteration)


def test_where_neither_can_be_trusted_it_starts_anew(tmp_path: Path, cache: Path, undisturbed: RunFolder) -> None:
    folder = stopped(tmp_path, cache)
    for file in (folder.checkpoint_file, folder.previous_checkpoint_file):
        file.write_bytes(flipped(0.7)(file.read_bytes()))
    ended_as(folder, undisturbed, cache)
    assert [line.split(":")[0] for line in folder.log_file.read_text().splitlines()] == [
        "checkpoint.pt cannot be used, the one before is tried",
        "checkpoint.previous.pt cannot be used, starting anew",
    ]
    outcome = folder.outcome()
    assert outcome is not None and not outcome.resumed


def test_a_kill_between_the_two_moves_leaves_the_one_before(
    tmp_path: Path, cache: Path, undisturbed: RunFolder
) -> None:
    folder = stopped(tmp_path, cache)
    folder.checkpoint_file.unlink()
    found = read_checkpoint(folder)
    assert found is not None and found.state["iteration"] == 2
    assert not folder.log_file.exists()
    ended_as(folder, undisturbed, cache)


@pytest.mark.parametrize("error", [OSError(116, "Stale file handle"), MemoryError()], ids=["reading", "loading"])
def test_a_checkpoint_that_cannot_be_read_now_is_left_for_later(
    error: Exception, tmp_path: Path, cache: Path, undisturbed: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stopped(tmp_path, cache)
    before = {file.name: file.read_bytes() for file in folder.path.glob("checkpoint*")}

    def fails(*_: object, **__: object) -> bytes:
        raise error

    with monkeypatch.context() as patch:
        if isinstance(error, OSError):
            patch.setattr(Path, "read_bytes", fails)
        else:
            patch.setattr("core.checkpoint.torch.load", fails)
        with pytest.raises(type(error)):
            finished(tmp_path, cache)
    assert {file.name: file.read_bytes() for file in folder.path.glob("checkpoint*")} == before
    assert not folder.log_file.exists() and folder.outcome() is None
    ended_as(folder, undisturbed, cache)
    outcome = folder.outcome()
    assert outcome is not None and outcome.resumed


@pytest.mark.parametrize(("changed", "iteration"), [(-2, 2), (0, None)], ids=["after the one before", "before both"])
def test_a_state_never_goes_on_behind_another_record(
    changed: int, iteration: int | None, tmp_path: Path, cache: Path
) -> None:
    folder = stopped(tmp_path, cache)
    lines = folder.events_file.read_bytes().splitlines(keepends=True)
    lines[changed] = flipped(0.5)(lines[changed])
    folder.events_file.write_bytes(b"".join(lines))
    found = read_checkpoint(folder)
    assert (found.state["iteration"] if found else None) == iteration
    assert "events.jsonl no longer begins with" in folder.log_file.read_text()


def test_a_checkpoint_that_cannot_be_written_leaves_both_former_ones(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stopped(tmp_path, cache)
    before = {file.name: file.read_bytes() for file in folder.path.glob("checkpoint*")}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(folder, {"iteration": 4}, events=b"", job_seconds=1.0, evaluation_seconds=0.0)
    assert {file.name: file.read_bytes() for file in folder.path.glob("*checkpoint*")} == before
    assert not list(folder.path.glob(".checkpoint*"))


def right_header(stored: bytes) -> bytes:
    """These bytes as somebody would give them who wants them to be trusted."""
    return b"inr-gan checkpoint 1 %d %08x\n" % (len(stored), zlib.crc32(stored)) + stored


def saved(content: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


FOREIGN: dict[str, bytes] = {
    "nothing": b"",
    "garbage": b"garbage" * 100,
    "a cut archive": saved({"state": {}})[:-40],
    "a class": saved(Path("somewhere")),
    "a pickle": pickle.dumps(Path("somewhere")),
    "a list": saved([1, 2]),
    "too little": saved({"state": {}}),
    "a size that is none": saved(
        {"state": {}, "job_seconds": 0.0, "evaluation_seconds": 0.0, "events_size": "0", "events_sha256": ""}
    ),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_what_torch_refuses_behind_a_right_header_is_not_trusted_either(content: bytes, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, JOB)
    folder.path.mkdir(parents=True)
    folder.events_file.touch()
    for iteration in (1, 2):
        write_checkpoint(folder, {"iteration": iteration}, events=b"", job_seconds=1.0, evaluation_seconds=0.0)
    folder.checkpoint_file.write_bytes(right_header(content))
    found = read_checkpoint(folder)
    assert found is not None and found.state == {"iteration": 1}
    folder.previous_checkpoint_file.write_bytes(right_header(content))
    assert read_checkpoint(folder) is None
    assert [line.split(":")[0] for line in folder.log_file.read_text().splitlines()] == [
        "checkpoint.pt cannot be used, the one before is tried",
        "checkpoint.previous.pt cannot be used, starting anew",
    ]
