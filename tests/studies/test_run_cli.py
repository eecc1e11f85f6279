"""The command that trains: what it says before and behind, one line for bad input, and going on after a death."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.folder import RunFolder
from studies.mlflow_view.sync import MlflowView
from studies.runner.worker import TRAINER_VARIABLE
from studies.times import calibration
from studies.times.costs import read_invocations
from tests.support import fake_job
from tests.support.commands import ROOT, answer, refused

HEAVY = ("torch", "mlflow", "optuna", "numpy", "scipy", "statsmodels", "pandas", "matplotlib")

PROGRAM = f"""
import os, sys
import studies.commands.request
import studies.run
import studies.runner.execute
import studies.times.calibration
os.environ["INR_GAN_TRAINER"] = "tests.support.fake_job"
studies.times.calibration.MEASURER = "tests.support.fake_measure"
if "WITHOUT_VIEW" in os.environ:
    studies.runner.execute.MlflowView.sync = lambda *_: 0
try:
    studies.run.main(sys.argv[1:])
finally:
    print("LOADED", *sorted({{name.partition(".")[0] for name in sys.modules}} & set({HEAVY!r})), file=sys.stderr)
"""


def command(*arguments: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    inherited = {key: value for key, value in os.environ.items() if key not in ("MLFLOW_TRACKING_URI", "COLUMNS")}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, list[str], list[str]]:
    """Exit code, stdout, lines of stderr, heavy modules that were loaded."""
    output, errors = process.communicate(timeout=90)
    *lines, loaded = errors.splitlines()
    assert loaded.startswith("LOADED"), errors
    return process.returncode, output, lines, loaded.split()[1:]


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this process train fake jobs and show them nowhere."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv(TRAINER_VARIABLE, "tests.support.fake_job")
    monkeypatch.setattr(calibration, "MEASURER", "tests.support.fake_measure")
    monkeypatch.setattr(MlflowView, "sync", lambda *_: 0)


@pytest.fixture
def here(tmp_path: Path, fakes: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with the fakes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def goes_on(arguments: tuple[str, ...]) -> str:
    """What the same command prints, in this process."""
    trained = answer(*arguments)
    assert (trained.code, trained.err) == (0, "")
    return trained.out


FEW = ("data.train=64", "data.held_out=64", "evaluation.quality=null")
SMALL = ("changes_overview", "iterations=10", "evaluation.every=5", *FEW, "--only", "baseline", "--no-report")
INLINE = (*SMALL, "--launcher", "inline")


# --- what it says -----------------------------------------------------------------------------------------------------


def test_a_dry_run_sums_up_the_variants_that_seeds_draw(here: Path) -> None:
    arguments = ("changes_overview", "--dry-run", "--design", "screening", "--seeds", "2")
    shown = answer(*arguments)
    assert (shown.code, shown.err, list(here.iterdir())) == (0, "", [])
    assert "screening, 48 variants" in shown.out and "new: 48 runs" in shown.out and "new: 0, 1" in shown.out
    assert "52 runs: 52 new, 0 cached, 0 blocked" in shown.out
    document = json.loads(answer(*arguments, "--json").out)
    seeds = {variant["name"]: [run["seed"] for run in variant["runs"]] for variant in document["variants"]}
    assert document["totals"]["runs"] == sum(map(len, seeds.values())) == 52
    assert seeds.pop("baseline") == seeds.pop("all-ns_loss") == [0, 1]
    assert sorted(seeds.values()) == [[0]] * 24 + [[1]] * 24


def test_a_dry_run_says_what_changes_in_the_decks_numbers_and_here(here: Path) -> None:
    shown = answer("changes_overview", "--dry-run", "--seeds", "2", "--jobs", "2").out
    assert "inr.width 64→256 (here 8→32)" in shown
    assert "24 runs: 24 new, 0 cached, 0 blocked; about" in shown
    assert "with --jobs 2" in shown and "penalty.weight" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("changes_overvew", "did you mean 'changes_overview'"),
        ("", "--list shows them"),
        ("changes_overview --profile cpus", "changes_overview has cpu, lsun64"),
        ("changes_overview --design laddr", "did you mean 'ladder'"),
        ("changes_overview --design all,ladder", "'all' stands alone"),
        ("changes_overview --hang-minutes 1e-300", "no number above 0.01"),
        ("changes_overview --launcher inlin", "did you mean 'inline'"),
        ("changes_overview --only al", "did you mean 'all'"),
        ("changes_overview --design ladder --only all-r1", "add --design leave_one_out"),
        ("changes_overview --seeds -1", "--seeds"),
        (f"changes_overview --seeds {10**22},", "is too large"),
        ("changes_overview --seeds 1000000000", "is too large"),
        ("changes_overview --seeds 0", "at least one seed"),
        ("changes_overview iteratons=3", "did you mean 'iterations'"),
        ("changes_overview iterations=3 iterations=4", "overridden twice"),
        ("changes_overview --data nowhere.zip", "nowhere.zip"),
        ("changes_overview --device cuda", "no NVIDIA device"),
        ("changes_overview --sedes 3", "--seeds"),
        ("changes_overview --jobs 0", "--jobs"),
        ("changes_overview --queue postgresql://ann:pw@db/inr", "--queue has a password, and process arguments"),
        ("changes_overview --budget 2weeks", "give a time"),
        ("changes_overview --budget 2h --only all", "leave out --only"),
        ("changes_overview --budget 1s", "the claims with one seed would take"),
        ("changes_overview --budget 1s iterations=7", "measure with --calibrate"),
        ("changes_overview --trials 3", "changes_overview searches nothing"),
        ("changes_overview --json", "add one of them"),
        ("learning_rates --trials 0", "--trials"),
        ("learning_rates --retune 4", "searches rates itself"),
        ("learning_rates --budget 2h", "not those of the searches of learning_rates"),
        ("learning_rates --only best_separate", "run learning_rates without --only"),
        ("learning_rates --seeds 2000,", "2000 is the seed that searches choose by"),
        ("learning_rates optimizers.multipliers.shared=2.0", "what the search 'separate' seeks"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: str, message: str, here: Path) -> None:
    assert message in refused(*arguments.split())
    assert list(here.iterdir()) == []


def test_a_dry_run_says_what_is_cached_what_is_blocked_and_what_it_can_show(here: Path) -> None:
    arguments = (*INLINE, "--seeds", f"0,1,{fake_job.FAILS}")
    wider = (*arguments, "--only", "baseline,all", "--dry-run")
    shown = answer(*wider).out
    assert "6 runs: 6 new, 0 cached, 0 blocked; time unknown, measure with --calibrate" in shown
    assert "seeds needed to detect 5, 10 or 20%: unknown until the study has run" in shown
    assert answer(*arguments, "--only", "all").code == 1
    again = answer(*wider)
    assert (again.code, again.err) == (0, "")
    assert "6 runs: 0 new, 4 cached, 2 blocked; nothing that can be trained" in again.out
    failures = f"BLOCKED baseline {fake_job.FAILS}; all {fake_job.FAILS}: failed before (RuntimeError: this job"
    assert f"{failures} always fails): --retry-failed tries it once more" in again.out
    assert "6 runs: 2 new (2 failed), 4 cached, 0 blocked; " in answer(*wider, "--retry-failed").out


def test_a_calibration_gives_the_times_that_a_budget_needs(here: Path) -> None:
    arguments = ("changes_overview", "iterations=100", "evaluation.every=50", *FEW, "--jobs", "2")
    measured = answer(*arguments, "--design", "all", "--calibrate")
    assert (measured.code, measured.err) == (0, "")
    assert "measured  baseline (" in measured.out and "as calibrated on this machine" in measured.out
    assert "0 cached, 0 blocked; about" in measured.out
    assert not (here / "runs" / "jobs").exists()
    # By the fake's times three seeds of both claimed variants take 2:14 on two workers, four 2:41.
    limited = answer(*arguments, "--budget", "150m", "--dry-run")
    assert (limited.code, limited.err) == (0, "")
    assert "budget 2 h 30 min: the claims' variants with 3 seeds, about 2 h 1" in limited.out
    assert "left out: ladder, with which 3 seeds would take" in limited.out
    assert "6 runs: 6 new" in limited.out


def test_a_command_writes_down_what_it_took_beside_what_was_predicted(here: Path) -> None:
    for seeds in ("0,", "3", "3"):
        assert answer(*INLINE, "--seeds", seeds).code == 0
    (setting,) = (file.stem for file in (here / "runs" / "plans" / "changes_overview").glob("*.json"))
    first, second = read_invocations(here / "runs", "changes_overview", setting)
    assert (first.planned, first.ended, first.workers, first.predicted_seconds) == (1, 1, 1, None)
    assert (second.planned, second.ended, second.continued, second.interrupted) == (2, 2, 0, False)


def test_a_failure_is_shown_at_once_and_retried_when_asked(here: Path) -> None:
    arguments = (*INLINE, "--seeds", f"0,{fake_job.FAILS}")
    first, second, third = (answer(*arguments, *options) for options in ((), (), ("--retry-failed",)))
    assert [first.code, second.code, third.code] == [1, 1, 1]
    assert "FAILED    baseline · seed 13: RuntimeError: this job always fails" in first.out
    assert "1 of 2 runs failed; --retry-failed tries them once more" in first.out
    assert "nothing to train" in second.out
    assert "FAILED    baseline · seed 13" in third.out


def test_an_environment_that_cannot_do_it_ends_in_one_line(here: Path) -> None:
    unusable = answer(*SMALL, "--seeds", f"{fake_job.UNUSABLE},")
    assert (unusable.code, unusable.err) == (2, "error: no Inception weights here: say where they are\n")


def test_a_missing_report_is_said_and_fails_the_command(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reports.render", None)
    trained = answer(*(argument for argument in INLINE if argument != "--no-report"), "--seeds", "1")
    assert (trained.code, trained.err.count("\n")) == (1, 1)
    assert trained.err.startswith("report not rendered: ModuleNotFoundError")


# --- how it lives -----------------------------------------------------------------------------------------------------


def folders(runs: Path) -> list[RunFolder]:
    return [RunFolder(runs / "jobs", folder.name) for folder in sorted((runs / "jobs").iterdir())]


def statuses(runs: Path) -> list[str]:
    return [outcome.status if (outcome := folder.outcome()) else "none" for folder in folders(runs)]


def losses_of(folder: RunFolder) -> list[int]:
    events: list[dict[str, Any]] = [json.loads(line) for line in folder.events_file.read_text().splitlines()]
    return [event["iteration"] for event in events if event["kind"] == "losses"]


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def has_events(runs: Path, more_than: int) -> bool:
    """Whether some job has recorded so much."""
    return any(file.read_bytes().count(b"\n") > more_than for file in (runs / "jobs").glob("*/events.jsonl"))


def in_view(folder: Path, query: str) -> list[str]:
    connection = sqlite3.connect(folder / "mlflow.db")
    try:
        return [value for (value,) in connection.execute(query)]
    finally:
        connection.close()


def test_a_study_runs_once_and_the_second_time_loads_nothing(mlflow_folder: Path) -> None:
    arguments = (*SMALL, "--seeds", f"0,{fake_job.DIVERGES}")
    code, output, errors, _ = ended(command(*arguments, cwd=mlflow_folder))
    assert (code, errors) == (0, [])
    assert sorted(statuses(mlflow_folder / "runs")) == ["diverged", "finished"]
    assert "mlflow ui" in output
    assert "runs?viewStateShareKey=variants&compareRunsMode=CHART&workflowType=machine_learning" in output
    for looks in ((), ("--dry-run",)):
        code, output, errors, loaded = ended(command(*arguments, *looks, cwd=mlflow_folder))
        assert (code, errors, loaded) == (0, [], [])
        assert ("0 new, 2 cached, 0 blocked" if looks else "nothing to train") in output


@pytest.mark.parametrize(
    ("number", "environment"), [(signal.SIGINT, {}), (signal.SIGTERM, {"WITHOUT_VIEW": "1"})], ids=["SIGINT", "SIGTERM"]
)
def test_an_interrupted_study_says_how_to_go_on_and_does(
    number: signal.Signals, environment: dict[str, str], mlflow_folder: Path, fakes: None
) -> None:
    runs = mlflow_folder / "runs"
    arguments = (*SMALL, "--seeds", f"{fake_job.SLOW},{fake_job.SLOW + 1}")
    process = command(*arguments, cwd=mlflow_folder, **environment)
    wait_for(lambda: has_events(runs, 2))
    process.send_signal(number)
    code, output, errors, _ = ended(process)
    assert (code, errors) == (130, [])
    assert output.count("interrupted: the same command goes on from there") == 1
    assert "none" in statuses(runs)
    assert "WITHOUT_VIEW" in environment or set(in_view(mlflow_folder, "select status from runs")) == {"KILLED"}
    goes_on(arguments)
    assert set(statuses(runs)) == {"finished"}
    assert [losses_of(folder) for folder in folders(runs)] == [list(range(1, 11))] * 2


def test_a_killed_commands_study_is_taken_over_at_once(here: Path) -> None:
    """Its workers are still ending their iterations when the next command asks what there is to train."""
    runs, arguments = here / "runs", (*SMALL, "--seeds", f"{fake_job.SLOW},{fake_job.SLOW + 1}")
    process = command(*arguments, cwd=here, WITHOUT_VIEW="1")
    wait_for(lambda: has_events(runs, 2))
    process.kill()
    process.communicate()
    goes_on(arguments)
    assert statuses(runs) == ["finished", "finished"]
    assert [losses_of(folder) for folder in folders(runs)] == [list(range(1, 11))] * 2


def test_two_commands_at_once_train_every_job_once_and_show_it_once(mlflow_folder: Path) -> None:
    arguments = (*SMALL, "--seeds", "3", "--jobs", "2")
    both = [command(*arguments, cwd=mlflow_folder) for _ in range(2)]
    assert [ended(process)[::2] for process in both] == [(0, []), (0, [])]
    runs = mlflow_folder / "runs"
    assert statuses(runs) == ["finished"] * 3
    assert [len((folder.path / "trained_by.txt").read_text().splitlines()) for folder in folders(runs)] == [1] * 3
    shown = sorted(in_view(mlflow_folder, "select value from tags where key = 'job'"))
    assert shown == sorted(folder.digest for folder in folders(runs))
    assert set(in_view(mlflow_folder, "select status from runs")) == {"FINISHED"}


def test_an_interrupted_search_goes_on_and_a_finished_one_loads_nothing(here: Path) -> None:
    runs = here / "runs"
    arguments = ("learning_rates", "iterations=200", "evaluation.every=100", *FEW)
    arguments += ("--trials", "2", "--seeds", "1", "--launcher", "inline", "--no-report")
    process = command(*arguments, cwd=here, WITHOUT_VIEW="1")
    wait_for(lambda: has_events(runs, 0))
    process.send_signal(signal.SIGINT)
    code, output, errors, _ = ended(process)
    assert (code, errors) == (130, [])
    assert output.count("interrupted: the same command goes on from there") == 1
    assert not (runs / "plans").exists()
    goes_on(arguments)
    (setting,) = (runs / "sweeps" / "learning_rates").iterdir()
    for name in ("one_rate", "separate"):
        trials = json.loads((setting / f"{name}.json").read_text())["trials"]
        assert [trial["number"] for trial in trials] == [0, 1]
        assert {trial["state"] for trial in trials} <= {"complete", "pruned", "diverged"}
    plan = json.loads((runs / "plans" / "learning_rates" / f"{setting.name}.json").read_text())
    assert {choice["variant"] for choice in plan["searched"]} == {"best_one_rate", "best_separate"}
    code, output, errors, loaded = ended(command(*arguments, cwd=here, WITHOUT_VIEW="1"))
    assert (code, errors, loaded) == (0, [], [])
    assert "nothing to train" in output
