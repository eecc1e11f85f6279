"""The command: quick where it must be, one line for bad input, exit codes, and going on after an interruption."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core.folder import RunFolder
from studies.catalogue import NAMES
from studies.costs import read_invocations
from tests.studies import fake_job

HEAVY = ("torch", "mlflow", "optuna", "numpy", "scipy", "statsmodels", "pandas", "matplotlib")
OF_SCREENING = ["numpy", "scipy"]
"""What the library of designs loads."""
ROOT = Path(__file__).parents[2]

PROGRAM = f"""
import os, sys
import studies.run
import studies.runner.execute
import studies.runner.calibrate
os.environ["INR_GAN_TRAINER"] = "tests.studies.fake_job"
studies.runner.calibrate.MEASURER = "tests.studies.fake_measure"
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


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--list"],
        ["changes_overview", "--dry-run"],
        ["changes_overview", "--dry-run", "--only", "all-r1", "--seeds", "5", "iterations=200"],
        ["changes_overview", "--dry-run", "--design", "all"],
        *([name, "--dry-run", "--design", "all"] for name in NAMES if name != "changes_overview"),
    ],
)
def test_looking_loads_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code, output, errors, loaded = ended(command(*arguments, cwd=tmp_path))
    screened = arguments[0] == "changes_overview" and "--design" in arguments
    assert (code, errors, loaded) == (0, [], OF_SCREENING if screened else [])
    assert (arguments[0] if arguments[0] in NAMES else "changes_overview") in output
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_sums_up_the_variants_that_seeds_draw(tmp_path: Path) -> None:
    arguments = ("changes_overview", "--dry-run", "--design", "screening", "--seeds", "2")
    code, output, errors, _ = ended(command(*arguments, cwd=tmp_path))
    assert (code, errors) == (0, [])
    assert "screening, 48 variants" in output and "new: 48 runs" in output and "new: 0, 1" in output
    assert "52 runs: 52 new, 0 cached, 0 blocked" in output
    document = json.loads(ended(command(*arguments, "--json", cwd=tmp_path))[1])
    seeds = {variant["name"]: [run["seed"] for run in variant["runs"]] for variant in document["variants"]}
    assert document["totals"]["runs"] == sum(map(len, seeds.values())) == 52
    assert seeds.pop("baseline") == seeds.pop("all-ns_loss") == [0, 1]
    assert sorted(seeds.values()) == [[0]] * 24 + [[1]] * 24


def test_a_dry_run_says_what_changes_in_the_decks_numbers_and_here(tmp_path: Path) -> None:
    _, output, _, _ = ended(command("changes_overview", "--dry-run", "--seeds", "2", "--jobs", "2", cwd=tmp_path))
    assert "inr.width 64→256 (here 8→32)" in output
    assert "24 runs: 24 new, 0 cached, 0 blocked; about" in output
    assert "with --jobs 2" in output
    assert "penalty.weight" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["changes_overvew"], "did you mean 'changes_overview'"),
        ([], "--list shows them"),
        (["changes_overview", "--profile", "cpus"], "changes_overview has cpu, lsun64"),
        (["changes_overview", "--design", "laddr"], "did you mean 'ladder'"),
        (["changes_overview", "--design", "all,ladder"], "'all' stands alone"),
        (["changes_overview", "--hang-minutes", "1e-300"], "no number above 0.01"),
        (["changes_overview", "--launcher", "inlin"], "did you mean 'inline'"),
        (["changes_overview", "--only", "al"], "did you mean 'all'"),
        (["changes_overview", "--design", "ladder", "--only", "all-r1"], "add --design leave_one_out"),
        (["changes_overview", "--seeds", "-1"], "--seeds"),
        (["changes_overview", "--seeds", f"{10**22},"], "is too large"),
        (["changes_overview", "--seeds", "1000000000"], "is too large"),
        (["changes_overview", "--seeds", "0"], "at least one seed"),
        (["changes_overview", "iteratons=3"], "did you mean 'iterations'"),
        (["changes_overview", "iterations=3", "iterations=4"], "overridden twice"),
        (["changes_overview", "--data", "nowhere.zip"], "nowhere.zip"),
        (["changes_overview", "--device", "cuda"], "no NVIDIA device"),
        (["changes_overview", "--sedes", "3"], "--seeds"),
        (["changes_overview", "--jobs", "0"], "--jobs"),
        (
            ["changes_overview", "--queue", "postgresql://ann:pw@db/inr"],
            "--queue has a password, and process arguments",
        ),
        (["changes_overview", "--budget", "2 weeks"], "give a time"),
        (["changes_overview", "--budget", "2h", "--only", "all"], "leave out --only"),
        (["changes_overview", "--budget", "1s"], "the claims with one seed would take"),
        (["changes_overview", "--budget", "1s", "iterations=7"], "measure with --calibrate"),
        (["changes_overview", "--trials", "3"], "changes_overview searches nothing"),
        (["learning_rates", "--trials", "0"], "--trials"),
        (["learning_rates", "--only", "best_separate"], "run learning_rates without --only"),
        (["learning_rates", "--seeds", "2000,"], "2000 is the seed that searches choose by"),
        (["learning_rates", "optimizers.multipliers.shared=2.0"], "what the search 'separate' seeks"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from studies.run import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    output = capsys.readouterr()
    assert exit.value.code == 2
    assert message in output.err
    assert output.err.count("\n") == 1
    assert not output.out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_what_is_cached_what_is_blocked_and_what_it_can_show(tmp_path: Path) -> None:
    arguments = (*SMALL, "--launcher", "inline", "--seeds", f"0,1,{fake_job.FAILS}")
    wider = (*arguments, "--only", "baseline,all", "--dry-run")
    _, output, _, _ = ended(command(*wider, cwd=tmp_path))
    assert "6 runs: 6 new, 0 cached, 0 blocked; time unknown, measure with --calibrate" in output
    assert "seeds needed to detect 5, 10 or 20%: unknown until the study has run" in output
    assert ended(command(*arguments, "--only", "all", cwd=tmp_path, WITHOUT_VIEW="1"))[0] == 1
    _, output, errors, loaded = ended(command(*wider, cwd=tmp_path))
    assert (errors, {"torch", "mlflow", "optuna"}.intersection(loaded)) == ([], set())
    assert "6 runs: 0 new, 4 cached, 2 blocked; nothing that can be trained" in output
    failures = f"BLOCKED baseline {fake_job.FAILS}; all {fake_job.FAILS}: failed before (RuntimeError: this job"
    assert f"{failures} always fails): --retry-failed tries it once more" in output
    _, output, _, _ = ended(command(*wider, "--retry-failed", cwd=tmp_path))
    assert "6 runs: 2 new (2 failed), 4 cached, 0 blocked; " in output


def test_a_calibration_gives_the_times_that_a_budget_needs(tmp_path: Path) -> None:
    arguments = ("changes_overview", "iterations=100", "evaluation.every=50", *FEW, "--jobs", "2")
    code, output, errors, _ = ended(command(*arguments, "--design", "all", "--calibrate", cwd=tmp_path))
    assert (code, errors) == (0, [])
    assert "measured  baseline (" in output
    assert "0 cached, 0 blocked; about" in output
    assert "as calibrated on this machine" in output
    assert not (tmp_path / "runs" / "jobs").exists()
    code, output, errors, loaded = ended(command(*arguments, "--budget", "150m", "--dry-run", cwd=tmp_path))
    # By the fake's times three seeds of both claimed variants take 2:14 on two workers, four 2:41.
    assert (code, errors, loaded) == (0, [], OF_SCREENING)
    assert "budget 2 h 30 min: the claims' variants with 3 seeds, about 2 h 1" in output
    assert "left out: ladder, with which 3 seeds would take" in output
    assert "6 runs: 6 new" in output


def test_a_command_writes_down_what_it_took_beside_what_was_predicted(tmp_path: Path) -> None:
    arguments = (*SMALL, "--launcher", "inline")
    assert ended(command(*arguments, "--seeds", "0,", cwd=tmp_path, WITHOUT_VIEW="1"))[0] == 0
    assert ended(command(*arguments, "--seeds", "3", cwd=tmp_path, WITHOUT_VIEW="1"))[0] == 0
    assert ended(command(*arguments, "--seeds", "3", cwd=tmp_path, WITHOUT_VIEW="1"))[0] == 0
    (setting,) = (file.stem for file in (tmp_path / "runs" / "plans" / "changes_overview").glob("*.json"))
    first, second = read_invocations(tmp_path / "runs", "changes_overview", setting)
    assert (first.planned, first.ended, first.workers, first.predicted_seconds) == (1, 1, 1, None)
    assert (second.planned, second.ended, second.continued, second.interrupted) == (2, 2, 0, False)


def folders(runs: Path) -> list[RunFolder]:
    return [RunFolder(runs / "jobs", folder.name) for folder in sorted((runs / "jobs").iterdir())]


def statuses(runs: Path) -> list[str]:
    return [outcome.status if (outcome := folder.outcome()) else "none" for folder in folders(runs)]


FEW = ("data.train=64", "data.held_out=64", "evaluation.quality=null")
SMALL = ("changes_overview", "iterations=10", "evaluation.every=5", *FEW, "--only", "baseline", "--no-report")


def test_a_study_runs_once_and_the_second_time_loads_nothing(mlflow_folder: Path) -> None:
    arguments = (*SMALL, "--seeds", f"0,{fake_job.DIVERGES}")
    code, output, errors, _ = ended(command(*arguments, cwd=mlflow_folder))
    assert (code, errors) == (0, [])
    assert sorted(statuses(mlflow_folder / "runs")) == ["diverged", "finished"]
    assert "mlflow ui" in output
    assert "runs?viewStateShareKey=variants&compareRunsMode=CHART&workflowType=machine_learning" in output
    code, output, errors, loaded = ended(command(*arguments, cwd=mlflow_folder))
    assert (code, errors, loaded) == (0, [], [])
    assert "nothing to train" in output


def test_a_failure_is_shown_at_once_and_retried_when_asked(tmp_path: Path) -> None:
    arguments = (*SMALL, "--seeds", f"0,{fake_job.FAILS}", "--launcher", "inline")
    code, output, _, _ = ended(command(*arguments, cwd=tmp_path, WITHOUT_VIEW="1"))
    assert code == 1
    assert "FAILED    baseline · seed 13: RuntimeError: this job always fails" in output
    assert "1 of 2 runs failed; --retry-failed tries them once more" in output
    code, output, _, _ = ended(command(*arguments, cwd=tmp_path, WITHOUT_VIEW="1"))
    assert code == 1
    assert "nothing to train" in output
    code, output, _, _ = ended(command(*arguments, "--retry-failed", cwd=tmp_path, WITHOUT_VIEW="1"))
    assert code == 1
    assert "FAILED    baseline · seed 13" in output


def test_an_environment_that_cannot_do_it_ends_in_one_line(tmp_path: Path) -> None:
    code, _, errors, _ = ended(command(*SMALL, "--seeds", f"{fake_job.UNUSABLE},", cwd=tmp_path, WITHOUT_VIEW="1"))
    assert code == 2
    assert errors == ["error: no Inception weights here: say where they are"]


@pytest.mark.parametrize(
    ("number", "environment"), [(signal.SIGINT, {}), (signal.SIGTERM, {"WITHOUT_VIEW": "1"})], ids=["SIGINT", "SIGTERM"]
)
def test_an_interrupted_study_says_how_to_go_on_and_does(
    number: signal.Signals, environment: dict[str, str], mlflow_folder: Path
) -> None:
    runs = mlflow_folder / "runs"
    arguments = (*SMALL, "--seeds", f"{fake_job.SLOW},{fake_job.SLOW + 1}")
    process = command(*arguments, cwd=mlflow_folder, **environment)
    deadline = time.monotonic() + 60
    while not (
        (runs / "jobs").exists()
        and any(f.events_file.exists() and f.events_file.read_bytes().count(b"\n") > 2 for f in folders(runs))
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    code, output, errors, _ = ended(process)
    assert (code, errors) == (130, [])
    assert output.count("interrupted: the same command goes on from there") == 1
    assert "none" in statuses(runs)
    assert "WITHOUT_VIEW" in environment or shown_statuses(mlflow_folder) == {"KILLED"}
    code, _, errors, _ = ended(command(*arguments, cwd=mlflow_folder, WITHOUT_VIEW="1"))
    assert (code, errors) == (0, [])
    assert set(statuses(runs)) == {"finished"}
    for folder in folders(runs):
        events: list[dict[str, Any]] = [json.loads(line) for line in folder.events_file.read_text().splitlines()]
        assert [event["iteration"] for event in events if event["kind"] == "losses"] == list(range(1, 11))


def losses_of(folder: RunFolder) -> list[int]:
    events: list[dict[str, Any]] = [json.loads(line) for line in folder.events_file.read_text().splitlines()]
    return [event["iteration"] for event in events if event["kind"] == "losses"]


def test_a_killed_commands_study_is_taken_over_at_once(tmp_path: Path) -> None:
    """Its workers are still ending their iterations when the next command asks what there is to train."""
    arguments = (*SMALL, "--seeds", f"{fake_job.SLOW},{fake_job.SLOW + 1}")
    process = command(*arguments, cwd=tmp_path, WITHOUT_VIEW="1")
    deadline = time.monotonic() + 60
    runs = tmp_path / "runs"
    while not (
        (runs / "jobs").exists()
        and any(f.events_file.exists() and f.events_file.read_bytes().count(b"\n") > 2 for f in folders(runs))
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    code, _, errors, _ = ended(command(*arguments, cwd=tmp_path, WITHOUT_VIEW="1"))
    assert (code, errors) == (0, [])
    assert statuses(runs) == ["finished", "finished"]
    assert [losses_of(folder) for folder in folders(runs)] == [list(range(1, 11))] * 2


def test_two_commands_at_once_train_every_job_once_and_show_it_once(mlflow_folder: Path) -> None:
    arguments = (*SMALL, "--seeds", "3", "--jobs", "2")
    both = [command(*arguments, cwd=mlflow_folder) for _ in range(2)]
    assert [ended(process)[::2] for process in both] == [(0, []), (0, [])]
    runs = mlflow_folder / "runs"
    assert statuses(runs) == ["finished"] * 3
    assert [len((folder.path / "trained_by.txt").read_text().splitlines()) for folder in folders(runs)] == [1] * 3
    assert shown_jobs(mlflow_folder) == sorted(folder.digest for folder in folders(runs))
    assert shown_statuses(mlflow_folder) == {"FINISHED"}


def test_an_interrupted_search_goes_on_and_a_finished_one_loads_nothing(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    arguments = ("learning_rates", "iterations=200", "evaluation.every=100", *FEW)
    arguments += ("--trials", "2", "--seeds", "1", "--launcher", "inline", "--no-report")
    process = command(*arguments, cwd=tmp_path, WITHOUT_VIEW="1")
    deadline = time.monotonic() + 60
    while not ((runs / "jobs").exists() and any(f.events_file.exists() for f in folders(runs))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    code, output, errors, _ = ended(process)
    assert (code, errors) == (130, [])
    assert output.count("interrupted: the same command goes on from there") == 1
    assert not (runs / "plans").exists()
    code, output, errors, _ = ended(command(*arguments, cwd=tmp_path, WITHOUT_VIEW="1"))
    assert (code, errors) == (0, [])
    (setting,) = (runs / "sweeps" / "learning_rates").iterdir()
    for name in ("one_rate", "separate"):
        trials = json.loads((setting / f"{name}.json").read_text())["trials"]
        assert [trial["number"] for trial in trials] == [0, 1]
        assert {trial["state"] for trial in trials} <= {"complete", "pruned", "diverged"}
    plan = json.loads((runs / "plans" / "learning_rates" / f"{setting.name}.json").read_text())
    assert {choice["variant"] for choice in plan["searched"]} == {"best_one_rate", "best_separate"}
    code, output, errors, loaded = ended(command(*arguments, cwd=tmp_path, WITHOUT_VIEW="1"))
    assert (code, errors, loaded) == (0, [], [])
    assert "nothing to train" in output


def shown_statuses(folder: Path) -> set[str]:
    return set(_in_view(folder, "select status from runs"))


def shown_jobs(folder: Path) -> list[str]:
    return sorted(_in_view(folder, "select value from tags where key = 'job'"))


def _in_view(folder: Path, query: str) -> list[str]:
    import sqlite3

    connection = sqlite3.connect(folder / "mlflow.db")
    try:
        return [value for (value,) in connection.execute(query)]
    finally:
        connection.close()


def test_a_missing_report_is_said_and_fails_the_command(tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "reports"
    broken.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "__init__.py", broken / "__init__.py")
    arguments = [*(argument for argument in SMALL if argument != "--no-report"), "--seeds", "1", "--launcher", "inline"]
    path = f"{broken.parent}{os.pathsep}{ROOT}"
    process = command(*arguments, cwd=tmp_path, PYTHONPATH=path, WITHOUT_VIEW="1")
    code, _, errors, _ = ended(process)
    assert code == 1
    assert len(errors) == 1
    assert errors[0].startswith("report not rendered: ModuleNotFoundError")
