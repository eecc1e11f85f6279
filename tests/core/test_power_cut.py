"""What was told to be finished is on the disk: a power cut at any moment costs work, never a measurement."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from core import config as cfg
from core.data.making import make
from core.data.prepared import is_prepared, verify
from core.folder import RunFolder
from core.job import run_job
from core.processes import ROOT
from tests.core.test_job import FITTING, comparable, finished
from tests.support.pictures import encoded, picture, zipped
from tests.support.power_cut import ForgetfulDisk, Tree, put

JOB = cfg.Job(config=FITTING, seed=3)


def is_complete(folder: RunFolder, undisturbed: RunFolder) -> bool:
    weights, expected = (load_file(each.generator_file) for each in (folder, undisturbed))
    grids, others = ({f.name: f.read_bytes() for f in each.samples.glob("*.png")} for each in (folder, undisturbed))
    same = all(torch.equal(weights[name], expected[name]) for name in expected) and grids == others
    declared = folder.job() == undisturbed.job() and folder.read("protocol.json") == undisturbed.read("protocol.json")
    return declared and comparable(folder) == comparable(undisturbed) and same


def kind_of(tree: Tree) -> tuple[tuple[str, int], ...]:
    """What of a tree decides how a job goes on: all but times, and what nobody reads."""
    return tuple(sorted((name, len(content)) for name, content in tree.items() if "/." not in name))


def check(disk: ForgetfulDisk, undisturbed: RunFolder, folder: Path, cache: Path, most: int) -> tuple[int, int]:
    """Every tree that may be left has a whole result, or none and comes to the same one; returns how many of both."""
    trees = list({kind_of(tree): tree for tree in disk.left.values()}.values())
    told = [tree for tree in trees if any(name.endswith("outcome.json") for name in tree)]
    untold = [tree for tree in trees if not any(name.endswith("outcome.json") for name in tree)]
    whole = again = 0
    for place, tree in enumerate([*told, *untold[:: max(1, len(untold) // most)]]):
        left = RunFolder(put(tree, folder / str(place)), JOB)
        if left.outcome() is not None:
            whole += 1
        else:
            again += 1
            left = finished(folder / str(place), cache, JOB)
        assert is_complete(left, undisturbed), sorted(tree)
    return whole, again


def watched(folder: Path, cache: Path) -> tuple[RunFolder, ForgetfulDisk]:
    """The job once undisturbed, and once on a disk that keeps what would be left of it after every operation."""
    undisturbed = finished(folder / "undisturbed", cache, JOB)
    root = folder / "watched"
    root.mkdir()
    disk = ForgetfulDisk(root)
    with disk.watched():
        finished(root, cache, JOB)
    return undisturbed, disk


def test_a_power_cut_at_any_moment_leaves_a_whole_result_or_none(tmp_path: Path, cache: Path) -> None:
    undisturbed, disk = watched(tmp_path, cache)
    whole, again = check(disk, undisturbed, tmp_path / "cut", cache, most=6)
    assert whole and again
    # And once run_job has told that it is finished nothing can take that away.
    for place, tree in enumerate(disk.now()):
        left = RunFolder(put(tree, tmp_path / f"told {place}"), JOB)
        assert left.outcome() is not None and is_complete(left, undisturbed)


@pytest.mark.usefixtures("every_iteration")
def test_the_same_where_it_writes_checkpoints(tmp_path: Path, cache: Path) -> None:
    undisturbed, disk = watched(tmp_path, cache)
    whole, again = check(disk, undisturbed, tmp_path / "cut", cache, most=12)
    assert whole and again


@pytest.mark.parametrize("damage", ["gone", "empty", "shorter", "longer", "zeros"])
def test_a_result_whose_record_was_lost_is_trained_again(damage: str, tmp_path: Path, cache: Path) -> None:
    undisturbed = finished(tmp_path / "undisturbed", cache, JOB)
    folder = finished(tmp_path / "damaged", cache, JOB)
    content = folder.events_file.read_bytes()
    match damage:
        case "gone":
            folder.events_file.unlink()
        case "empty":
            folder.events_file.write_bytes(b"")
        case "shorter":
            folder.events_file.write_bytes(content[: len(content) // 2])
        case "longer":
            folder.events_file.write_bytes(content + content.splitlines(keepends=True)[-1])
        case "zeros":
            folder.events_file.write_bytes(bytes(len(content)))
    assert folder.outcome() is None
    assert list(run_job(JOB, runs=tmp_path / "damaged", cache=cache)) != []
    assert folder.outcome() is not None and is_complete(folder, undisturbed)
    assert "trained again" in folder.log_file.read_text()


def test_an_outcome_of_an_earlier_version_stays_valid(tmp_path: Path, cache: Path) -> None:
    folder = finished(tmp_path, cache, JOB)
    outcome = folder.outcome()
    assert outcome is not None
    folder.write("outcome.json", outcome.model_dump_json(exclude={"recorded"}))
    assert list(run_job(JOB, runs=tmp_path, cache=cache)) == []


FLEETING = {
    "core/metrics/clean_fid.py": "a cache, for its owner alone",
    "core/metrics/real.py": "a cache",
    "core/home.py": "a cache, for its owner alone",
    "core/data/making.py": "images that can be made again",
    "core/data/prepare.py": "images that can be prepared again",
    "studies/completion.py": "a cache",
    "studies/mlflow_view/artifacts.py": "copies of what is in the folders of runs",
}


def test_folders_of_what_lasts_are_made_so_that_their_names_last() -> None:
    """By `core.files.make_folder` alone, unless what is in them can be had again."""
    rooms = ("core", "ablations", "studies", "reports")
    files = [file for room in rooms for file in (ROOT / room).rglob("*.py")]
    makers = {file.relative_to(ROOT).as_posix() for file in files if re.search(r"mkdir\(|makedirs\(", file.read_text())}
    assert makers - FLEETING.keys() == {"core/files.py"}


def test_a_prepared_set_that_is_there_is_whole(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {f"{i}.png": encoded(picture(i)) for i in range(3)})
    undisturbed = make(path, tmp_path / "undisturbed", [4, 8])
    root = tmp_path / "watched"
    root.mkdir()
    disk = ForgetfulDisk(root)
    with disk.watched():
        make(path, root / "new" / "folders" / "set", [4, 8])
    there = again = 0
    for place, tree in enumerate(disk.left.values()):
        left = put(tree, tmp_path / f"cut {place}") / "new" / "folders" / "set"
        if is_prepared(left):
            there += 1
        else:
            again += 1
            make(path, left, [4, 8])
        assert verify(left) == undisturbed, sorted(tree)
    assert there and again
    # And once it was told to be made nothing can take that away.
    for place, tree in enumerate(disk.now()):
        assert verify(put(tree, tmp_path / f"told {place}") / "new" / "folders" / "set") == undisturbed
