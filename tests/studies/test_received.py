"""A folder of runs from somebody else is data: commands that show it run nothing of it and go nowhere else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from core.files import emptied
from core.folder import RunFolder
from studies import catalogue, sync, ui
from studies.plan import Plan, plan_file, read_plan, record_plan, report_folder
from studies.planning import make_plan
from studies.runner.heartbeat import Heart, heartbeat_file
from studies.runner.queue import Queue
from studies.runner.tasks import tasks_of
from studies.search_records import read_sweep, sweep_file
from tests.support.commands import answer, refused

TRAP = "from pathlib import Path\nPath({where!r}).write_text('ran')\nSTUDY = None\n"


def plan_of(name: str = "changes_overview") -> Plan:
    study = catalogue.study("changes_overview")
    plan = make_plan(study, study.profile("cpu"), designs=["ladder"], seeds=[0])
    return plan.replace(study=name)


def written(runs: Path, content: dict[str, Any], study: str, setting: str = "cpu") -> Path:
    file = plan_file(runs, study, setting)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


@pytest.fixture
def received(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs whose plan of a study called lovely names a file among them, which would leave a trace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    runs = tmp_path / "runs"
    content = plan_of("lovely").model_dump(mode="json") | {"declared_in": "runs/plans/lovely/study.py"}
    written(runs, content, "lovely")
    (runs / "plans" / "lovely" / "study.py").write_text(TRAP.format(where=str(tmp_path / "PWNED")))
    return runs


@pytest.mark.parametrize("options", [("--dry-run",), ("--show-config",), ("--dry-run", "--json"), ()])
def test_the_file_that_a_plan_names_is_named_and_not_run(options: tuple[str, ...], received: Path) -> None:
    line = "the study 'lovely' was declared in runs/plans/lovely/study.py: give the path of that file"
    assert line in refused("lovely", "--runs", str(received), *options)
    assert not Path("PWNED").exists()


def test_commands_beside_the_training_run_no_file_that_a_plan_names(received: Path) -> None:
    for command in (sync.main, ui.main):
        refused("lovely", "--runs", str(received), main=command)
    assert not Path("PWNED").exists()


def test_a_plan_is_enough_for_a_command_that_needs_no_study(received: Path) -> None:
    assert catalogue.planned_name("lovely", received) == "lovely"
    line = refused("lovely", "--runs", str(received), "--tracking", "http://127.0.0.1:1", main=ui.main)
    assert "MLflow has no run of lovely yet" in line and "`python -m studies.sync lovely`" in line


def test_the_list_names_studies_that_only_plans_know(received: Path) -> None:
    shown = answer("--list", "--runs", str(received))
    line = "lovely runs here: cpu 0/12; a study of its own, declared in runs/plans/lovely/study.py: give"
    assert (shown.code, shown.err, line in shown.flat, Path("PWNED").exists()) == (0, "", True, False)
    (mine,) = json.loads(answer("--list", "--json", "--runs", str(received)).out)["only_planned"]
    assert (mine["name"], mine["declared_in"]) == ("lovely", "runs/plans/lovely/study.py")
    assert mine["runs"] == [{"setting": "cpu", "planned": 12, "finished": 0, "diverged": 0, "failed": 0}]


def test_what_the_list_cannot_read_is_a_line_each(received: Path) -> None:
    written(received, {"study": "x"}, "broken")
    written(received, plan_of("lovely").model_dump(mode="json") | {"setting": "\x1b[2J\x1b]0;LIST\x07"}, "lovely", "x")
    shown = answer("--list", "--runs", str(received))
    assert (shown.code, shown.err.count("\n")) == (0, 2)
    assert "broken/cpu.json is damaged" in shown.err and "lovely/x.json is" in shown.err
    assert "\x1b" not in shown.err + shown.out


# --- names ------------------------------------------------------------------------------------------------------------

BAD = [
    "../../home",
    "/tmp/x",
    "a/b",
    ".hidden",
    "",
    "-rf",
    "x\ny",
    "x y",
    "=1+1",
    "a" * 5000,
    "ä",
    'x"><img>',
    "..",
    "x\n",
]


@pytest.mark.parametrize("name", BAD)
def test_a_name_in_a_plan_that_could_be_more_than_a_name_is_refused(name: str, tmp_path: Path) -> None:
    plain = plan_of().model_dump(mode="json")
    first, *rest = plain["variants"]
    search = {"search": name, "variant": "best", "trials": 1, "trial": 0, "values": {}}
    look = {"seeds": [0], "designs": [], "seen": [name]}
    for content in (
        {"study": name},
        {"setting": name},
        {"profile": name},
        {"variants": [{**first, "name": name}, *rest]},
        {"variants": [{**first, "aliases": [name]}, *rest]},
        {"variants": [{**first, "changes": [name]}, *rest]},
        {"variants": [{**first, "designs": {name: 0}}, *rest]},
        {"searched": [search]},
        {"searched": [{**search, "search": "one", "variant": name}]},
        {"looks": [look]},
    ):
        file = written(tmp_path, plain | content, "changes_overview")
        with pytest.raises(InputError, match=r"cpu.json is damaged"):
            read_plan(file)


def test_a_plan_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    plain = plan_of().model_dump(mode="json")
    for study, setting in (("changes_overview", "other"), ("lovely", "cpu")):
        with pytest.raises(InputError, match="lies in another one's place"):
            read_plan(written(tmp_path, plain, study, setting))


@pytest.mark.parametrize("name", ["baseline", "all", "all-x_1", "baseline..x", "baseline+x+y", "all-x-y", "all-x@12"])
def test_every_variant_of_today_has_a_name(name: str) -> None:
    plan_of().variants[0].replace(name=name)


def test_a_searchs_record_is_of_its_own_place(tmp_path: Path) -> None:
    file = sweep_file(tmp_path, "learning_rates", "cpu", "one")
    file.parent.mkdir(parents=True)
    search = {"name": "two", "title": "t", "parameters": [{"path": "a", "title": "a", "low": 1, "high": 2, "why": "w"}]}
    content = {
        "study": "learning_rates", "setting": "cpu", "key": "0", "search": search, "metric": "fd_rooms",
        "iterations": 1, "ranges": {}, "base": {}, "trials": [],
    }  # fmt: skip
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="the record of another search"):
        read_sweep(tmp_path, "learning_rates", "cpu", "one")
    trial = {"number": 0, "state": "complete", "proposal": "start", "values": {}, "digest": "../../x"}
    file.write_text(json.dumps(content | {"search": {**search, "name": "one"}, "trials": [trial]}))
    with pytest.raises(InputError, match=r"trials.0.digest"):
        read_sweep(tmp_path, "learning_rates", "cpu", "one")


# --- links ------------------------------------------------------------------------------------------------------------


def job(runs: Path) -> Path:
    return runs / "jobs" / plan_of().variants[0].job(0).digest


@pytest.mark.parametrize(
    "place",
    [
        lambda runs: runs / "jobs",
        job,
        lambda runs: job(runs) / "events.jsonl",
        lambda runs: job(runs) / "samples",
        lambda runs: job(runs) / "samples" / "real.png",
        lambda runs: runs / "plans" / "changes_overview" / "other.json",
        lambda runs: runs / "plans" / "more",
        lambda runs: runs / "sweeps",
        lambda runs: runs / "queue",
        lambda runs: runs / "queue" / "changes_overview.journal",
        lambda runs: runs / "queue" / "logs",
        lambda runs: runs / "queue" / "orders",
        lambda runs: runs / "queue" / "changes_overview.workers" / "x.lock",
        lambda runs: runs / "queue" / "id",
        lambda runs: runs / "mlflow-synced.json",
        lambda runs: report_folder(runs, "changes_overview", "cpu"),
        lambda runs: report_folder(runs, "changes_overview", "cpu") / "figures",
        lambda runs: report_folder(runs, "changes_overview", "cpu") / "report.md",
    ],
)
def test_what_leads_out_of_the_runs_is_one_line(
    place: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs, outside = tmp_path / "runs", tmp_path / "outside"
    outside.mkdir()
    record_plan(runs, plan_of())
    link = place(runs)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    arguments = ("changes_overview", "--runs", str(runs))
    lines = [refused(*arguments, "--design", "ladder", "--seeds", "1", how) for how in ("--dry-run", "--no-report")]
    lines.append(refused(*arguments, main=sync.main))
    assert all(f"{link} leads out of {runs}" in line for line in lines)
    assert not [*outside.iterdir()]


def test_the_runs_themselves_may_be_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").symlink_to("elsewhere")
    record_plan(Path("runs"), plan_of())
    shown = answer("changes_overview", "--dry-run")
    assert (shown.code, shown.err) == (0, "")


def test_json_says_words_that_do_nothing_to_a_terminal(received: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "\x1b[2J\x9b2J\u202ex.py"
    content = json.loads(plan_file(received, "lovely", "cpu").read_text()) | {"declared_in": name}
    monkeypatch.setattr(catalogue, "NAMES", catalogue.NAMES[:1])
    written(received, content, "lovely")
    said = answer("--list", "--json", "--runs", str(received)).out
    assert not set(name) & set(said) - set("[2Jx.py")
    (mine,) = json.loads(said)["only_planned"]
    assert mine["declared_in"] == name


def test_only_python_files_are_run_as_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.md").write_text(TRAP.format(where="PWNED"))
    with pytest.raises(InputError, match=r"report.md is no Python file, and is not run"):
        catalogue.find("./report.md")
    assert not (tmp_path / "PWNED").exists()


# --- the queue --------------------------------------------------------------------------------------------------------


def one_trial(runs: Path, **attributes: object) -> None:
    """A queue with one job, which somebody trains, and whose words are these."""
    queue = Queue(runs, "changes_overview", "cpu")
    queue.enqueue(tasks_of(plan_of())[:1])
    claim = queue.claim([tasks_of(plan_of())[0].digest], "nobody")
    assert claim is not None
    for key, value in attributes.items():
        queue._storage.set_trial_user_attr(queue._id(claim.number), key, value)


@pytest.mark.parametrize("key", ["job", "worker"])
@pytest.mark.parametrize("word", ["../../../victim/evil", "/tmp/evil", "", "a/b", "..", "x\n", 7, ["x"], {"x": 1}])
def test_no_word_of_a_journal_becomes_a_path(key: str, word: object, tmp_path: Path) -> None:
    runs = tmp_path / "a" / "runs"
    (tmp_path / "victim" / "evil").mkdir(parents=True)
    heartbeat = tmp_path / "victim" / "evil.heartbeat"
    heartbeat.write_text("another host")
    one_trial(runs, **{key: word})
    before = sorted(tmp_path.rglob("*"))
    queue = Queue(runs, "changes_overview", "cpu")
    digests = [task.digest for task in tasks_of(plan_of())]
    for asked in (queue.release_orphans, lambda: queue.running(digests), lambda: queue.enqueue(tasks_of(plan_of()))):
        if (key, word) == ("worker", ""):
            continue  # Nobody's.
        with pytest.raises(InputError, match=rf"(?s)^trial 0 has the {key} '.*journal: move it away") as refused:
            asked()
        assert "\n" not in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before and heartbeat.read_text() == "another host"


@pytest.mark.parametrize("digest", ["../../x", "", ".", "/tmp/x", "0" * 15, "0" * 16 + "\n", "A" * 16])
def test_a_folder_of_a_run_is_named_by_a_digest(digest: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no digest of a job"):
        RunFolder(tmp_path, digest)


@pytest.mark.parametrize("name", ["../../x", "", ".hidden", "/tmp/x", "x\n"])
def test_a_lock_is_of_a_workers_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no name of a worker"):
        Queue(tmp_path, "changes_overview", "cpu").worker_lock(name)


@pytest.mark.parametrize("there", [True, False])
def test_a_journal_that_is_a_link_is_neither_mended_nor_made(there: bool, tmp_path: Path) -> None:
    token = tmp_path / "token"
    if there:
        token.write_text("a line\nand no end")
    for name in ("inside", "outside"):
        runs = tmp_path / name / "runs"
        (runs / "queue").mkdir(parents=True)
        (runs / "queue" / "changes_overview.journal").symlink_to(runs / "jobs" if name == "inside" else token)
        with pytest.raises(InputError, match=r"changes_overview.journal (is a link|leads out)"):
            Queue(runs, "changes_overview", "cpu").enqueue(tasks_of(plan_of()))
        assert not (runs / "jobs").exists()
    assert token.exists() == there and (not there or token.read_text() == "a line\nand no end")


def test_a_journal_that_becomes_a_link_is_not_written_through(tmp_path: Path) -> None:
    queue = Queue(tmp_path, "changes_overview", "cpu")
    (journal,) = (tmp_path / "queue").glob("*.journal")
    (tmp_path / "token").write_bytes(journal.read_bytes() + b"and no end")
    journal.unlink()
    journal.symlink_to(tmp_path / "token")
    with pytest.raises(InputError, match="is a link"):
        queue.enqueue(tasks_of(plan_of()))
    assert (tmp_path / "token").read_bytes().endswith(b"and no end")


def test_what_workers_write_goes_through_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    lock = tmp_path / "w.lock"
    for name in ("w.heartbeat", "log.txt"):
        (tmp_path / name).symlink_to(outside)
    with Heart(lock):
        assert not heartbeat_file(lock).is_symlink()
    with pytest.raises(InputError, match="is a link"):
        emptied(tmp_path / "log.txt")
    assert outside.read_text() == "kept"
