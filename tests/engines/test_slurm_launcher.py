"""TrainingOrderers on a SLURM cluster: a played one here, and a real one of two nodes behind the marker `slurm`.

What is decided about jobs whose workers die is in `test_crew`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from core.errors import InputError
from core.folder import RunFolder
from studies.plan import Plan, jobs_root
from studies.run import main
from studies.runner import deaths
from studies.runner.clusters import SlurmCluster
from studies.runner.heartbeat import heartbeat_file
from studies.runner.launchers import crew, launch
from studies.runner.launchers.slurm import Fleet
from studies.runner.launchers.slurm_script import BEFORE_LISTENING, Submission, script
from studies.runner.order import TOLD_TO_STOP, Order, TrainingOrder, WorkersLost
from studies.runner.queue import Queue
from studies.runner.sweep import SearchOrder
from studies.runner.worker import work
from tests.studies.test_clusters import NAMED, SMALL, write_launchers
from tests.studies.test_local_launcher import status, wait_for
from tests.studies.test_sweep import a_study, an_order
from tests.support import fake_job
from tests.support.commands import ROOT, begun

QUICK = SlurmCluster(workers=2, poll_seconds=0.01)


def never() -> bool:
    return False


def executable(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/bash\n{text}")
    file.chmod(0o755)


class Played:
    """A cluster whose elements are rows of a file; what becomes of them is the test's to say."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        self.rows_file, self.cancelled_file = folder / "rows", folder / "cancelled"
        self.rows_file.touch()
        self.cancelled_file.touch()
        executable(
            folder / "sbatch",
            f"""n=$(($(ls {folder} | grep -c submitted) + 7))
            touch {folder}/submitted-$n
            last=$(sed -n 's/^#SBATCH --array=0-//p' "$2")
            for i in $(seq 0 "$last"); do echo "${{n}}_$i PENDING 0 Resources" >>{self.rows_file}; done
            echo "$n;cluster"
            """,
        )
        executable(
            folder / "squeue",
            f"""if [ ! -e {self.rows_file} ]; then
              echo "slurm_load_jobs error: Unable to contact slurm controller" >&2
              exit 1
            fi
            # Of the whole array, where it is asked for that.
            case "$*" in *--job=*_*|*--me*) ;; *--job=*) echo RUNNING ;; esac
            cat {self.rows_file}""",
        )
        executable(folder / "scancel", f'echo "$@" >>{self.cancelled_file}')
        executable(folder / "scontrol", f'echo "$@" >>{folder}/scontrol.log')
        executable(folder / "srun", 'while [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"')
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def rows(self) -> dict[str, list[str]]:
        return {line.split()[0]: line.split(maxsplit=3) for line in self.rows_file.read_text().splitlines()}

    def become(self, element: str, state: str, *, restarts: int = 0, reason: str = "None") -> None:
        changed = self.rows() | {element: [element, state, str(restarts), reason]}
        self.rows_file.write_text("".join(" ".join(row) + "\n" for row in changed.values()))

    def forget(self, element: str) -> None:
        """It ended so long ago that the controller does not remember it."""
        self.rows_file.write_text("".join(" ".join(row) + "\n" for row in self.rows().values() if row[0] != element))

    def end(self, order: TrainingOrder, element: str, code: int, state: str = "FAILED", words: str = "") -> None:
        """The element's script wrote its exit code, and its worker these words."""
        folder = folder_of(order)
        (folder / f"slurm-{element}.{self.rows()[element][2]}.ended").write_text(f"{code}\n")
        (folder / f"{element}.txt").write_text(f"{words}\nsrun: error: n1: task 0: Exited with exit code {code}\n")
        self.become(element, state)

    def end_pending(self, order: TrainingOrder, code: int, state: str = "FAILED", words: str = "") -> None:
        """The same of every element that has not begun."""
        for element, (_, now, *_rest) in self.rows().items():
            if now == "PENDING":
                self.end(order, element, code, state, words)


def folder_of(order: TrainingOrder) -> Path:
    return Submission(order).folder


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    monkeypatch.setattr(crew, "TICK_SECONDS", 0.01)
    return Played(tmp_path / "bin", monkeypatch)


@pytest.fixture
def detached(small_plan: Callable[..., Plan], order: Callable[..., Order]) -> Callable[..., Order]:
    """Makes an order of fake jobs for workers on a cluster, its jobs in the queue."""

    def make(*, seeds: Sequence[int] = (0,), variants: int = 1, iterations: int = 10) -> Order:
        made = order(small_plan(seeds=tuple(seeds), variants=variants, iterations=iterations))
        whole = made.replace(detached=True)
        whole.queue().enqueue(whole.tasks)
        return whole

    return make


def launched(order: TrainingOrder, tick: Callable[[], None], stop: Callable[[], bool] = never) -> list[str]:
    said: list[str] = []
    launch(order.replace(cluster=QUICK), stop=stop, tick=tick, say=said.append)
    return said


def attached(order: TrainingOrder, say: Callable[[str], None] = lambda _: None) -> Fleet:
    fleet = Fleet(QUICK, order, say)
    fleet.attach()
    return fleet


def statuses(order: Order) -> list[str]:
    return [status(order, digest) for digest in order.digests]


# --- what is submitted ------------------------------------------------------------------------------------------------


def test_the_script_asks_for_what_the_entry_says(tmp_path: Path) -> None:
    cluster = SlurmCluster(
        partition="gpu",
        account="vision",
        gpus=1,
        cpus=4,
        memory="16G",
        time="04:00:00",
        warn_seconds=90,
        setup=("module load cuda",),
        sbatch=("--constraint=a100", "--exclusive"),
        python="/opt/python",
    )
    order = Order(study="study", setting="setting", runs=tmp_path, cache=tmp_path, threads=4, device="cuda", tasks=())
    whose = Submission(order)
    text = script(cluster, whose, 3)
    options = {line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")}
    assert options == {
        f"job-name={whose.name}",
        "array=0-2",
        f"output={tmp_path}/queue/slurm/{whose.name}/%A_%a.txt",
        "open-mode=append",
        "export=ALL",
        "requeue",
        "signal=USR1@90",
        "ntasks=1",
        "cpus-per-task=4",
        "mem=16G",
        "gres=gpu:1",
        "time=04:00:00",
        "partition=gpu",
        "account=vision",
        "constraint=a100",
        "exclusive",
    }
    assert text.index("module load cuda") < text.index("srun")
    assert f"/opt/python -P -m studies.runner.worker {whose.order_file}" in text
    assert "OMP_NUM_THREADS=4" in text
    assert "CUDA_VISIBLE_DEVICES" not in text
    on_cpu = script(cluster, Submission(order.replace(device="cpu")), 1)
    assert "CUDA_VISIBLE_DEVICES=''" in on_cpu
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0


def test_names_follow_who_and_what_is_run(detached: Callable[..., Order], tmp_path: Path) -> None:
    made = detached(seeds=(0, 1))
    one = Submission(made)
    less = Submission(made.replace(tasks=made.tasks[:1], threads=2))
    assert one.name == less.name and one.order_file != less.order_file
    others = (made.replace(setting="other"), made.replace(runs=tmp_path / "other"))
    assert len({one.name, *(Submission(other).name for other in others)}) == 3


def test_a_dry_run_prints_what_would_be_submitted_and_a_run_submits_that(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    played: Played,
    detached: Callable[..., Order],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_launchers(tmp_path, 'kind = "slurm"', "workers = 5", 'partition = "long"')
    with pytest.raises(SystemExit) as exit:
        main([*SMALL, "--launcher", "mine", *NAMED, "--dry-run", "--runs", "dry"])
    assert exit.value.code == 0
    printed = capsys.readouterr().out
    text = printed[printed.index("#!/bin/bash") :]
    assert "#SBATCH --array=0-1\n" in text
    assert "#SBATCH --partition=long\n" in text
    assert not (tmp_path / "dry").exists()
    made = detached(seeds=(0, 1))
    launched(made, lambda: None, stop=lambda: (folder_of(made) / "submitted.sh").exists())
    assert (folder_of(made) / "submitted.sh").read_text() == script(QUICK, Submission(made), 2)
    assert Submission(made).order_file.exists()


def test_without_a_cluster_here_it_says_so(detached: Callable[..., Order], monkeypatch: pytest.MonkeyPatch) -> None:
    made = detached()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="sbatch is not here"):
        launched(made, lambda: None)


# --- how workers stand ------------------------------------------------------------------------------------------------


def test_works_off_every_job_and_takes_back_who_waits_for_nothing(
    played: Played, detached: Callable[..., Order]
) -> None:
    made = detached(seeds=(0, fake_job.DIVERGES, fake_job.FAILS))

    def tick() -> None:
        if "7_0" in (rows := played.rows()) and rows["7_0"][1] == "PENDING":
            played.become("7_0", "RUNNING")
            work(made, "slurm-7_0.0", stop=never)
            played.end(made, "7_0", 0, "COMPLETED")

    said = launched(made, tick)
    assert statuses(made) == ["finished", "diverged", "failed"]
    assert said == ["submitted 2 workers as array job 7"]
    assert played.cancelled_file.read_text() == "7_1\n"
    assert not Submission(made).order_file.exists()
    assert not list(folder_of(made).glob("*.ended"))
    assert not list(folder_of(made).glob("*.attached"))


def test_stopping_leaves_the_workers_and_the_next_command_finds_them(
    played: Played, detached: Callable[..., Order]
) -> None:
    made = detached(seeds=(0, 1))
    left = launched(made, lambda: None, stop=lambda: bool(played.rows()))
    assert left[-1] == "2 workers go on without this command; `scancel 7` ends them"
    assert not played.cancelled_file.read_text()
    found = launched(made, lambda: None, stop=lambda: (folder_of(made) / "submit.lock").exists())
    assert found[0] == "2 workers are on the cluster already, array job 7"
    assert list(played.rows()) == ["7_0", "7_1"]


def begins(order: Order, fleet: Fleet, played: Played) -> None:
    """A worker on a node claims the order's only job and records an event; the fleet has seen it run."""
    assert order.queue().claim(order.digests, "slurm-7_0.0")
    event = {"kind": "sampled", "iteration": 4, "images": 4, "seconds": 1.0}
    RunFolder(jobs_root(order.runs), order.digests[0]).write("events.jsonl", json.dumps(event) + "\n")
    played.become("7_0", "RUNNING")
    fleet.look()


def deaths_of(order: Order) -> list[tuple[str, int]]:
    """How workers died at the order's jobs, and how often alike."""
    counts = [json.loads(file.read_text()) for file in jobs_root(order.runs).glob(f"*/{deaths.FILE}")]
    return [(count["how"], count["alike"]) for count in counts]


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "found later"])
@pytest.mark.parametrize(("code", "how"), [(1, "ended with code 1"), (137, "was killed by SIGKILL")])
def test_a_crash_counts_whether_or_not_a_command_watched(
    code: int, how: str, watched: bool, played: Played, detached: Callable[..., Order]
) -> None:
    made, said = detached(), list[str]()
    fleet = attached(made, said.append)
    fleet.look()
    begins(made, fleet, played)
    played.end(made, "7_0", code, words="bus error")
    if not watched:
        fleet = attached(made, said.append)
    fleet.look()
    assert f"worker slurm-7_0.0 {how} at baseline seed 0: the job will be resumed" in said
    assert deaths_of(made) == [(how, 1)]


def test_two_commands_count_a_death_once(played: Played, detached: Callable[..., Order]) -> None:
    made = detached(seeds=range(4))
    said: list[str] = []
    fleets = [attached(made, said.append) for _ in range(2)]
    for fleet in fleets:
        fleet.look()
    played.end(made, "7_0", 127, words="module: command not found")
    for fleet in fleets:
        fleet.look()
    assert [fleet.place.exits for fleet in fleets] == [1, 0]
    assert sum("module: command not found" in line for line in said) == 1


@pytest.mark.parametrize(
    ("state", "line", "counted"),
    [
        (
            "OUT_OF_MEMORY",
            "worker slurm-7_0.0 ended as OUT_OF_MEMORY at baseline seed 0: the job will be resumed",
            True,
        ),
        ("FAILED", "worker slurm-7_0.0 ended as FAILED at baseline seed 0: the job will be resumed", True),
        ("NODE_FAIL", "worker 7_0 ended as NODE_FAIL: its job will be resumed", False),
    ],
)
def test_an_end_that_left_no_exit_code_is_the_jobs_where_the_next_attempt_would_meet_it_again(
    state: str, line: str, counted: bool, played: Played, detached: Callable[..., Order]
) -> None:
    made, said = detached(), list[str]()
    fleet = attached(made, said.append)
    fleet.look()
    begins(made, fleet, played)
    played.become("7_0", state)
    fleet.look()
    assert line in said
    assert deaths_of(made) == ([(f"ended as {state}", 1)] if counted else [])


def beats_elsewhere(order: TrainingOrder, worker: str) -> Path:
    """The heartbeat of a worker on a node, as far as another host can tell alive until it is silent for too long."""
    file = heartbeat_file(order.queue().worker_lock(worker))
    file.write_text("another host")
    return file


LOST: dict[str, Callable[[Played], None]] = {
    "its node failed": lambda played: played.become("7_0", "NODE_FAIL"),
    "its time was up": lambda played: played.become("7_0", "TIMEOUT"),
    "requeued": lambda played: played.become("7_0", "PENDING", restarts=1, reason="BeginTime"),
    "forgotten by the cluster": lambda played: played.forget("7_0"),
}


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("watched", [True, False], ids=["watched", "found later"])
@pytest.mark.parametrize("what", ["queue", "search"])
def test_the_job_of_a_worker_that_the_cluster_lost_on_another_host_is_put_back_at_once(
    how: str, watched: bool, what: str, played: Played, detached: Callable[..., Order], search: SearchOrder
) -> None:
    made: TrainingOrder = detached(seeds=(0, 1)) if what == "queue" else search
    fleet = attached(made)
    fleet.look()
    shared = made.queue()
    claims, beats = [], []
    for element in ("7_0", "7_1"):
        worker = f"slurm-{element}.0"
        claimed = made.claim(shared, worker)
        assert claimed is not None
        claims.append(claimed[0])
        beats.append(beats_elsewhere(made, worker))
        played.become(element, "RUNNING")
        (fleet.folder / f"{element}.txt").write_text("SLURM opens this for every element\n")
    fleet.look()
    assert all(beat.exists() for beat in beats) and not shared.release_orphans()
    LOST[how](played)
    if not watched:
        fleet = attached(made)
    fleet.look()
    assert [beat.exists() for beat in beats] == [False, True], "the other one goes on"
    if isinstance(shared, Queue):
        assert shared.waiting(made.digests) == [claims[0].digest] and shared.running(made.digests) == [claims[1].digest]
    else:
        assert f"trial {claims[0].number}" in shared.waiting(made.digests)
        assert shared.running(made.digests) == [claims[1].digest]


def test_a_worker_that_no_signal_ends_is_replaced(played: Played, detached: Callable[..., Order]) -> None:
    """Its node waits for a file system: the loop hangs, and so does the process."""
    made = detached().replace(workers=1, hang_seconds=0.2)
    queue = made.queue()

    def tick() -> None:
        rows = played.rows()
        if rows.get("7_0", ["", ""])[1] == "PENDING" and queue.claim(made.digests, "slurm-7_0.0"):
            beats_elsewhere(made, "slurm-7_0.0")
            played.become("7_0", "RUNNING")
        elif rows.get("8_0", ["", ""])[1] == "PENDING":
            work(made, "slurm-8_0.0", stop=never)
            played.end(made, "8_0", 0, "COMPLETED")

    until = time.monotonic() + 20
    said = launched(made, tick, stop=lambda: time.monotonic() > until)
    assert statuses(made) == ["finished"]
    assert sum("it was ended" in line for line in said) == 1
    assert played.rows()["7_0"][1] == "RUNNING" and played.cancelled_file.read_text() == "--signal=KILL 7_0\n"
    assert (
        json.loads((RunFolder(jobs_root(made.runs), made.digests[0]).path / deaths.FILE).read_text())["how"] == "hung"
    )


@pytest.mark.parametrize(
    ("code", "words", "line", "most"),
    [
        (127, "module: command not found", "module: command not found", 4),
        # They look into another queue, as where the cluster does not hand the environment on.
        (0, "", "they find no job though some wait: do they see the same INR_GAN_QUEUE", 4),
        (128 + signal.SIGUSR1, "", "they are told to stop before they have begun", crew.KILLS_OF_A_PLACE + 1),
    ],
)
def test_workers_that_never_begin_are_not_submitted_without_end(
    code: int, words: str, line: str, most: int, played: Played, detached: Callable[..., Order]
) -> None:
    made = detached(seeds=range(4))
    until = time.monotonic() + 20
    with pytest.raises(WorkersLost, match=line):
        launched(made, lambda: played.end_pending(made, code, words=words), stop=lambda: time.monotonic() > until)
    assert most <= len(played.rows()) <= most + 1


def test_workers_that_end_since_no_job_is_left_for_them_are_no_deaths(
    played: Played, detached: Callable[..., Order]
) -> None:
    made = detached(seeds=range(4))
    fleet = attached(made)
    fleet.look()
    queue = made.queue()
    while queue.claim(made.digests, "slurm-7_0.0"):
        pass
    played.become("7_0", "RUNNING")
    for _ in range(crew.EXITS_OF_A_PLACE + 1):
        played.end(made, "7_1", 0, "COMPLETED")
        fleet.ends_seen.clear()
        fleet.look()
    assert not fleet.place.given_up and fleet.place.exits == 0


def test_a_requeued_worker_is_said_and_not_replaced(played: Played, detached: Callable[..., Order]) -> None:
    made = detached(seeds=(0, 1))
    states = iter([("RUNNING", 0), ("RUNNING", 0), ("PENDING", 1), ("PENDING", 1), ("RUNNING", 1)])

    def tick() -> None:
        if not played.rows():
            return
        state, restarts = next(states, ("", 1))
        if state:
            played.become("7_0", state, restarts=restarts, reason="BeginTime")
        else:
            work(made, "slurm-7_0.1", stop=never)

    said = launched(made, tick)
    assert statuses(made) == ["finished", "finished"]
    assert said == [
        "submitted 2 workers as array job 7",
        "worker 7_0 was requeued (1. time), now PENDING, BeginTime",
    ]


def test_unusable_input_ends_everything_with_its_line(played: Played, detached: Callable[..., Order]) -> None:
    made = detached(seeds=(fake_job.UNUSABLE, 1))

    def tick() -> None:
        if played.rows().get("7_0", ["", ""])[1] == "PENDING":
            played.end(made, "7_0", 2, words="no Inception weights here: say where they are")

    with pytest.raises(InputError, match="no Inception weights here"):
        launched(made, tick)
    assert "7_1" in played.cancelled_file.read_text()


def test_who_cancels_the_workers_is_obeyed(played: Played, detached: Callable[..., Order]) -> None:
    made = detached(seeds=range(4))

    def tick() -> None:
        for element in played.rows():
            played.become(element, "CANCELLED")

    with pytest.raises(WorkersLost, match="cancelled on the cluster"):
        launched(made, tick)
    assert list(played.rows()) == ["7_0", "7_1"]


def test_a_controller_that_is_away_is_waited_for(played: Played, detached: Callable[..., Order]) -> None:
    made = detached(seeds=(0,))
    aside = played.folder / "aside"
    looks = 0

    def tick() -> None:
        nonlocal looks
        if not played.rows_file.exists():
            looks += 1
            if looks == 3:
                aside.rename(played.rows_file)
        elif looks == 0 and played.rows():
            played.rows_file.rename(aside)
        elif looks == 3:
            work(made, "slurm-7_0.0", stop=never)

    said = launched(made, tick)
    assert statuses(made) == ["finished"]
    assert sum("does not answer" in line for line in said) == 1


@pytest.fixture
def search(tmp_path: Path, fake_trainer: None) -> SearchOrder:
    """A search of six trials for workers on a cluster."""
    made = an_order(tmp_path, a_study(trials=6, startup=6).searches[0])
    return made.replace(workers=2, detached=True)


# --- the script and the worker ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["RUNNING", pytest.param("COMPLETING", marks=pytest.mark.slow)])
def test_a_worker_told_to_stop_puts_its_job_back_and_is_requeued_once(
    state: str, played: Played, detached: Callable[..., Order]
) -> None:
    made = detached(seeds=(fake_job.SLOW,), iterations=300)
    whose = Submission(made)
    made.write(whose.order_name)
    whose.folder.mkdir(parents=True)
    file = whose.folder / "submitted.sh"
    file.write_text(script(QUICK, whose, 1))
    played.rows_file.write_text(f"{state}\n")
    numbers = {"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0", "SLURM_RESTART_COUNT": "2"}
    batch = subprocess.Popen(["bash", str(file)], env={**os.environ, **numbers}, stdout=subprocess.DEVNULL)
    folder = RunFolder(jobs_root(made.runs), made.digests[0])
    wait_for(lambda: folder.events_file.exists() and folder.events_file.read_bytes().count(b"\n") > 2)
    assert made.queue().held_by("slurm-7_0.2")
    batch.send_signal(signal.SIGTERM)
    assert batch.wait(30) == TOLD_TO_STOP
    assert (whose.folder / "slurm-7_0.2.ended").read_text() == f"{TOLD_TO_STOP}\n"
    assert json.loads(folder.events_file.read_text().splitlines()[-1])["kind"] == "checkpointed"
    assert made.queue().waiting(made.digests) == made.digests
    requeued = played.folder / "scontrol.log"
    assert (requeued.read_text() if requeued.exists() else "") == ("requeue 7_0\n" if state == "RUNNING" else "")


@pytest.mark.parametrize(
    ("code", "restarts", "again"),
    [(TOLD_TO_STOP, 100, True), (138, 20, True), (143, 20, True), (138, 21, False), (1, 0, False), (0, 0, False)],
)
def test_a_worker_that_never_gets_to_listen_is_not_requeued_without_end(
    code: int, restarts: int, again: bool, played: Played, detached: Callable[..., Order]
) -> None:
    whose = Submission(detached())
    whose.folder.mkdir(parents=True)
    executable(played.folder / "srun", f"exit {code}\n")
    played.rows_file.write_text("RUNNING\n")
    numbers = {"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0"}
    environment = {**os.environ, **numbers, "SLURM_RESTART_COUNT": str(restarts)}
    batch = subprocess.run(["bash"], input=script(QUICK, whose, 1), text=True, env=environment, check=False)
    assert batch.returncode == code
    assert (played.folder / "scontrol.log").exists() == again


def test_a_worker_that_starts_takes_what_was_left_in_its_place_by_one_that_beat_a_moment_ago(
    played: Played, detached: Callable[..., Order]
) -> None:
    made = detached(seeds=(0,))
    assert made.queue().claim(made.digests, "slurm-7_0.0")
    beats_elsewhere(made, "slurm-7_0.0")
    command = [sys.executable, "-m", made.module, str(made.write("test")), "slurm-7_0.1"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    assert statuses(made) == ["finished"]


# --- a real cluster ---------------------------------------------------------------------------------------------------

# Few images, for every study renders its own.
IMAGES = ("data.train=256", "data.held_out=256", "evaluation.quality=null")
TRAINED = ("changes_overview", "iterations=800", "evaluation.every=200", *IMAGES, "--only", "all", "--seeds", "2")
SEARCHED = ("learning_rates", "iterations=20", "evaluation.every=10", *IMAGES, "--trials", "2", "--seeds", "1")
NODES = Path(__file__).with_name("slurm.sh")


def nodes(*arguments: str) -> None:
    subprocess.run([str(NODES), *arguments], check=True, timeout=120, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a SLURM of two nodes, which ends with the tests."""
    folder = tmp_path_factory.mktemp("slurm")
    # Clients of another user, munge's, have to reach its socket.
    for parent in (folder, *folder.parents):
        if parent.is_relative_to(tmp_path_factory.getbasetemp().parent.parent) and parent.owner() == folder.owner():
            parent.chmod(parent.stat().st_mode | 0o011)
    try:
        nodes("start", str(folder))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            yield folder
    finally:
        nodes("stop", str(folder))


@pytest.fixture
def idle(cluster: Path) -> Iterator[Path]:
    """The cluster's folder; what a test leaves on its nodes ends with it."""
    yield cluster
    subprocess.run(["scancel", "--me"], check=True)
    wait_for(lambda: not on_nodes())


def started(cwd: Path, *arguments: str, minutes: int = 10, warn_seconds: int = 30) -> subprocess.Popen[str]:
    """A study's command below `cwd`, its lines in `cwd`/said.txt."""
    cwd.mkdir(exist_ok=True)
    write_launchers(
        cwd,
        'kind = "slurm"',
        'partition = "preemptible"',
        "gpus = 1",
        "workers = 2",
        "poll_seconds = 1.0",
        f"warn_seconds = {warn_seconds}",
        f'time = "{minutes}:00"',
    )
    return begun(cwd, *arguments, *NAMED)


def ended(cwd: Path, *arguments: str) -> str:
    """What the command said, which has to end well."""
    return what_is_wrong(started(cwd, *arguments), cwd)


def what_is_wrong(command: subprocess.Popen[str], cwd: Path) -> str:
    """The same, of one that was started."""
    code = command.wait(900)
    said = (cwd / "said.txt").read_text()
    assert code == 0, said
    return said


class Undisturbed:
    """The same study on this machine alone, trained while the cluster does other things."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = started(folder, *TRAINED, "--no-report")

    def jobs(self) -> Path:
        what_is_wrong(self.command, self.folder)
        return jobs_root(self.folder / "runs")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    made = Undisturbed(tmp_path_factory.mktemp("undisturbed"))
    yield made
    made.command.kill()
    made.command.wait()


def numbers(folder: RunFolder) -> list[dict[str, object]]:
    """All that the events say, but how long it took."""
    timed = ("seconds", "evaluation_seconds")
    lines = [json.loads(line) for line in folder.events_file.read_text().splitlines()]
    plain = [{key: value for key, value in line.items() if key not in timed} for line in lines]
    # When a checkpoint is written depends on the clock.
    return [line for line in plain if line["kind"] != "checkpointed"]


def assert_same(runs: Path, reference: Path) -> None:
    digests = sorted(folder.name for folder in reference.iterdir())
    assert sorted(folder.name for folder in runs.iterdir()) == digests
    assert len(digests) == 2
    for digest in digests:
        one, other = RunFolder(runs, digest), RunFolder(reference, digest)
        assert numbers(one) == numbers(other)
        assert one.generator_file.read_bytes() == other.generator_file.read_bytes()


def on_nodes() -> dict[str, str]:
    """The node of every running element."""
    shown = subprocess.run(
        ["squeue", "-h", "-r", "-t", "RUNNING", "-o", "%i %N"], capture_output=True, text=True, check=True
    )
    return {line.split()[0]: line.split()[1] for line in shown.stdout.splitlines()}


def signal_workers(cwd: Path, number: signal.Signals) -> int:
    """Sends the study's workers a signal; returns how many there are."""
    workers = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # It has ended meanwhile.
            words = cmdline.read_bytes().split(b"\0")
            # srun has the same words behind its own.
            if b"srun" not in words[0] and b"studies.runner.worker" in words and os.fsencode(cwd) in b" ".join(words):
                workers.append(int(cmdline.parent.name))
    for pid in workers:
        os.kill(pid, number)
    return len(workers)


def freeze(cwd: Path) -> None:
    """Stops the study's two workers where they are, so that none has finished before it is told to stop, however fast
    the machine is: SLURM wakes those that it tells.
    """
    assert signal_workers(cwd, signal.SIGSTOP) == 2


def get_longer(array: str, minutes: int) -> bool:
    """Gives the elements that are not over more time. Whether each has it, or has come to its end meanwhile.

    One by one: SLURM answers for a whole array with an error once any of its elements has finished.
    """
    shown = subprocess.run(["squeue", "-h", "-r", "--me", "-o", "%i"], capture_output=True, text=True, check=True)
    elements = [element for element in shown.stdout.split() if element.startswith(f"{array}_")]
    longer = [["scontrol", "update", f"JobId={element}", f"TimeLimit={minutes}"] for element in elements]
    refused = [subprocess.run(one, capture_output=True, check=False).returncode for one in longer]
    return not any(refused)


def counted_deaths(jobs: Path) -> list[tuple[int, int]]:
    """Of each job: deaths alike, and without a checkpoint."""
    counts = [json.loads(file.read_text()) for file in jobs.glob(f"*/{deaths.FILE}")]
    return sorted((count["alike"], count["without_checkpoint"]) for count in counts)


@pytest.mark.slurm
def test_a_study_with_searches_runs_on_the_cluster(idle: Path, undisturbed: Undisturbed, tmp_path: Path) -> None:
    cwd = tmp_path / "study"
    said = ended(cwd, *SEARCHED, "--launcher", "mine", "--no-report")
    assert "submitted 2 workers as array job" in said
    assert not (cwd / "runs" / "queue" / "logs").exists(), "a worker ran here"
    (setting,) = (cwd / "runs" / "sweeps" / "learning_rates").iterdir()
    trials = [
        trial
        for name in ("one_rate", "separate")
        for trial in json.loads((setting / f"{name}.json").read_text())["trials"]
    ]
    assert [(trial["number"], trial["state"]) for trial in trials] == 2 * [(0, "complete"), (1, "complete")]
    outcomes = [RunFolder(jobs_root(cwd / "runs"), trial["digest"]).outcome() for trial in trials]
    assert all(outcome and outcome.status == "finished" for outcome in outcomes)
    (plan,) = (cwd / "runs" / "plans" / "learning_rates").glob("*.json")
    chosen = json.loads(plan.read_text())["searched"]
    assert {choice["variant"] for choice in chosen} == {"best_one_rate", "best_separate"}


@pytest.mark.slurm
def test_a_preempted_worker_and_one_lost_with_its_node_complete_with_the_same_numbers_to_the_report(
    idle: Path, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    cwd = tmp_path / "study"
    jobs = jobs_root(cwd / "runs")
    command = started(cwd, *TRAINED, "--launcher", "mine")
    try:
        wait_for(lambda: len(list(jobs.glob("*/checkpoint.pt"))) == 2, 180)
        freeze(cwd)
        urgent = ["sbatch", "--partition=urgent", "--nodelist=n1", "--cpus-per-task=2", "--output=/dev/null"]
        subprocess.run([*urgent, "--wrap=sleep 1"], check=True, stdout=subprocess.DEVNULL)
        wait_for(lambda: "was requeued" in (cwd / "said.txt").read_text(), 120)
        nodes("lose", str(idle), "n2")
        wait_for(lambda: (cwd / "said.txt").read_text().count("was requeued") == 2, 180)
        nodes("return", str(idle), "n2")
        said = what_is_wrong(command, cwd)
    finally:
        command.kill()
        command.wait()
    assert "submitted 2 workers" in said
    assert len(list((cwd / "runs" / "reports").rglob("report.md"))) == 1
    assert_same(jobs, undisturbed.jobs())
    outcomes = [RunFolder(jobs, folder.name).outcome() for folder in jobs.iterdir()]
    assert all(outcome and outcome.resumed for outcome in outcomes)
    assert counted_deaths(jobs) == [(0, 0), (0, 1)]  # The lost node's; who was told to stop counts for nothing.


@pytest.mark.slurm
def test_work_goes_on_without_the_command_and_beyond_the_time_limit(
    idle: Path, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    cwd = tmp_path / "study"
    jobs = jobs_root(cwd / "runs")
    # SLURM looks every 30 s, and warns where the time would come before it looks again: 5 to 35 s after the start.
    command = started(cwd, *TRAINED, "--launcher", "mine", "--no-report", minutes=1, warn_seconds=25)
    try:
        wait_for(lambda: sum(f.read_bytes().count(b"\n") > 2 for f in jobs.glob("*/events.jsonl")) == 2, 180)
        freeze(cwd)
        command.send_signal(signal.SIGINT)
        assert command.wait(60) == 130
    finally:
        command.kill()
    assert "2 workers go on without this command" in (cwd / "said.txt").read_text()
    ends = cwd / "runs" / "queue" / "slurm"
    wait_for(lambda: len(list(ends.glob("*/*.0.ended"))) == 2, 120)
    (array,) = {file.name.removeprefix("slurm-").split("_")[0] for file in ends.glob("*/*.ended")}
    # A minute at a time it would end as well, some minutes later.
    wait_for(lambda: get_longer(array, 30))
    # On a slow machine their second start may be frozen, which has time enough now to be told nothing.
    signal_workers(cwd, signal.SIGCONT)
    wait_for(lambda: len(list(jobs.glob("*/outcome.json"))) == 2, 600)
    wait_for(lambda: not on_nodes(), 60)
    codes = Counter(file.read_text().strip() for file in ends.glob("*/*.ended"))
    assert codes["0"] == 2 and codes[str(TOLD_TO_STOP)] >= 2
    assert codes.keys() <= {str(code) for code in (0, TOLD_TO_STOP, *BEFORE_LISTENING)}
    said = ended(cwd, *TRAINED, "--launcher", "mine", "--no-report")
    assert "nothing to train" in said
    assert_same(jobs, undisturbed.jobs())
    outcomes = [RunFolder(jobs, folder.name).outcome() for folder in jobs.iterdir()]
    assert all(outcome and outcome.resumed for outcome in outcomes)
    assert counted_deaths(jobs) == [(0, 0), (0, 0)]
