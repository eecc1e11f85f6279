"""Published runs are taken up and gone on with, and nothing else is."""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.errors import InputError
from core.reading import Damaged
from studies import adopt
from studies.plan import jobs_root, plan_file, read_plan
from tests.support.commands import answer
from tests.support.runs import planned, record_whole, train_all

STUDY = "changes_overview"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two variants with two seeds, recorded as the runner records them."""
    there = tmp_path / "theirs"
    train_all(there, plan := planned(there, only={"baseline", "all"}, seeds=(0, 1)))
    record_whole(there, plan)
    return there


def packed(runs: Path) -> bytes:
    return adopt.pack([read_plan(plan_file(runs, STUDY, "cpu"))], runs)


def archive(folder: Path, content: bytes | Mapping[str, bytes]) -> Path:
    """An archive in a folder, of these bytes or of these files."""
    folder.mkdir(exist_ok=True)
    if not isinstance(content, bytes):
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as tar:
            for name, file in content.items():
                adopt.add(tar, name, file)
        content = lzma.compress(made.getvalue())
    (folder / adopt.ARCHIVE).write_bytes(content)
    return folder


def files_in(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(content))) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_runs_are_taken_up_with_their_plan_and_gone_on_with(runs: Path, tmp_path: Path) -> None:
    content = packed(runs)
    assert content == packed(runs), "the same bytes"
    folder, ours = archive(tmp_path / "published", content), tmp_path / "ours"
    said = answer(str(folder), "--runs", str(ours), main=adopt.main)
    assert (said.code, said.out) == (0, "changes_overview, setting cpu: 4 runs taken up, 0 were there\n")
    assert read_plan(plan_file(ours, STUDY, "cpu")) == read_plan(plan_file(runs, STUDY, "cpu"))
    words = ("--only", "baseline,all", "--seeds", "3", "--dry-run", "--runs", str(ours))
    assert "6 runs: 2 new, 4 cached" in answer(STUDY, *words).flat
    again = answer(str(folder), "--runs", str(ours), main=adopt.main)
    assert "0 runs taken up, 4 were there" in again.out
    # Pictures of the first seed alone, and no weights.
    names = set(files_in(content))
    assert sum(name.endswith(".png") for name in names) > 0
    plan = read_plan(plan_file(runs, STUDY, "cpu"))
    second = {variant.job(1).digest for variant in plan.variants}
    assert not any(name.endswith(".png") and name.split("/")[1] in second for name in names)
    assert not any("safetensors" in name for name in names)


def test_what_is_not_ours_is_refused_and_leaves_nothing(runs: Path, tmp_path: Path) -> None:
    good = files_in(packed(runs))
    events = next(name for name in good if name.endswith("events.jsonl"))
    digest = events.split("/")[1]
    stranger = {name.replace(digest, "0" * 16): content for name, content in good.items()}
    hostile: dict[str, bytes | Mapping[str, bytes]] = {
        "no archive": b"PK\3\4",
        "cut short": packed(runs)[:-100],
        "a path": {**good, "../evil": b""},
        "an absolute path": {**good, "/tmp/evil": b""},
        "weights": {**good, f"jobs/{digest}/generator.safetensors": b""},
        "a pickle": {**good, f"jobs/{digest}/checkpoint.pt": b""},
        "no plan": {name: content for name, content in good.items() if name != adopt.PLAN},
        "a plan of nothing": {**good, adopt.PLAN: b"{}"},
        "another record": {**good, events: good[events].replace(b"0.4", b"0.5", 1)},
        "another's name": stranger,
        "half a run": {name: content for name, content in good.items() if name != events},
    }
    for number, (what, content) in enumerate(hostile.items()):
        ours = tmp_path / f"ours{number}"
        with pytest.raises(Damaged):
            adopt.adopt(archive(tmp_path / "hostile", content) / adopt.ARCHIVE, ours)
        assert list(jobs_root(ours).iterdir()) == [] and not plan_file(ours, STUDY, "cpu").exists(), what


def test_links_and_holes_are_no_files(runs: Path, tmp_path: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE):
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as tar:
            member = tarfile.TarInfo(adopt.PLAN)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
        folder = archive(tmp_path / "published", lzma.compress(made.getvalue()))
        with pytest.raises(Damaged):
            adopt.adopt(folder / adopt.ARCHIVE, tmp_path / "ours")


def test_another_declaration_of_the_setting_is_not_written_over(runs: Path, tmp_path: Path) -> None:
    folder, ours = archive(tmp_path / "published", packed(runs)), tmp_path / "ours"
    plan = planned(ours, only={"baseline"}, seeds=(0,))
    file = plan_file(ours, STUDY, "cpu")
    file.write_text(plan.replace(registered={**plan.registered, "question": "0" * 16}).model_dump_json())
    before = file.read_bytes()
    with pytest.raises(InputError, match="name another folder with --runs"):
        adopt.adopt(folder / adopt.ARCHIVE, ours)
    assert file.read_bytes() == before and list(jobs_root(ours).iterdir()) == []


def test_a_folder_without_an_archive_is_one_line(tmp_path: Path) -> None:
    said = answer(str(tmp_path), main=adopt.main)
    assert said.code == 2 and "has no runs.tar.xz: name the folder of a published report" in said.err
