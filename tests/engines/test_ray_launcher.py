"""Workers on a Ray: a played one here, and a real one of two nodes behind the marker `ray`.

What the crew decides about workers that hang, die or are to stop is in `test_crew`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock
from optuna.trial import TrialState

from core.errors import InputError
from core.folder import RunFolder
from studies.plan import Plan, jobs_root
from studies.run import main
from studies.runner.clusters import RayCluster
from studies.runner.heartbeat import Silence, heartbeat_file
from studies.runner.launchers import crew as rules
from studies.runner.launchers import launch
from studies.runner.launchers import ray as launched_by_ray
from studies.runner.launchers.crew import EXITS_OF_A_PLACE
from studies.runner.launchers.ray import RayCrew
from studies.runner.order import Order, WorkersLost
from studies.runner.queue import Queue
from tests.engines.test_slurm_launcher import IMAGES, assert_same
from tests.studies.test_clusters import NAMED, SMALL, write_launchers
from tests.studies.test_local_launcher import attempts, status, wait_for
from tests.support import fake_job
from tests.support.commands import ROOT, begun

SLOW = fake_job.SLOW


def never() -> bool:
    return False


# --- what would be asked ----------------------------------------------------------------------------------------------


def test_an_entry_is_what_ray_reserves() -> None:
    cluster = RayCluster(address="10.0.0.1:6379", gpus=0.25, cpus=4, memory="3G", resources={"a100": 1})
    assert launched_by_ray.reserved(cluster) == {
        "num_cpus": 4,
        "num_gpus": 0.25,
        "memory": 3 * 1024**3,
        "resources": {"a100": 1.0},
    }
    assert launched_by_ray.reserved(RayCluster()) == {"num_cpus": 1}


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing ray fails."""
    monkeypatch.setitem(sys.modules, "ray", None)


@pytest.mark.usefixtures("no_ray")
def test_a_dry_run_needs_no_ray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_launchers(tmp_path, 'kind = "ray"', 'address = "auto"', "gpus = 0.5", 'python = "/opt/python"')
    with pytest.raises(SystemExit) as exit:
        main([*SMALL, "--launcher", "mine", *NAMED, "--dry-run"])
    assert exit.value.code == 0
    printed = capsys.readouterr().out
    text = printed[printed.index("mine would be given this") :]
    assert "Ray auto\nactors: 2, each with num_cpus=1, num_gpus=0.5\n" in text
    # The profile trains on CPUs.
    worker = f"/opt/python -P -m studies.runner.worker {tmp_path}/runs/queue/orders/"
    assert f"CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1 {worker}" in text
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("no_ray")
def test_without_the_extra_one_line_says_how_to_get_it(order: Callable[..., Order], small_plan: Any) -> None:
    with pytest.raises(InputError, match=r"install the extra, pip install 'ray>=2.60,<3'"):
        launch(order(small_plan()).replace(cluster=RayCluster()), stop=never, tick=lambda: None, say=print)


def test_what_a_worker_elsewhere_needs_is_carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    carried = {"INR_GAN_QUEUE": "postgresql://somewhere/queue", "INR_GAN_TRAINER": "mine", "PGPASSFILE": "/secret"}
    for name, value in {**carried, "INR_GAN_INCEPTION": "weights.pt", "AWS_SECRET_ACCESS_KEY": "not this"}.items():
        monkeypatch.setenv(name, value)
    assert launched_by_ray.carried() == {**carried, "INR_GAN_INCEPTION": str(tmp_path / "weights.pt")}


@pytest.mark.parametrize("address", [None, "10.0.0.1:6379"])
@pytest.mark.parametrize("others", ["", "/a", "/a:/b", "/a:"])
def test_an_actors_path_has_no_empty_entry_which_would_be_the_working_folder(
    address: str | None, others: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray replaces a variable that the node has not by nothing."""
    monkeypatch.setenv("PYTHONPATH", others)
    path = launched_by_ray.actors_path(RayCluster(kind="ray", address=address))
    entries = path.replace("${PYTHONPATH}", others).split(os.pathsep)
    assert all(entries) and str(launched_by_ray.ROOT) in entries
    assert {os.path.normpath(entry) for entry in entries} >= {entry for entry in others.split(":") if entry}


# --- a played Ray -----------------------------------------------------------------------------------------------------


class RayActorError(Exception):
    actor_init_failed = False


class ActorUnavailableError(RayActorError):
    pass


class RayTaskError(Exception):
    pass


class Actor:
    """One of the played Ray's: its methods are called at once, here, as soon as it has a node."""

    def __init__(self, made: Any, node: str | None) -> None:
        self.made, self.node, self.dead = made, node, False

    def __getattr__(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(remote=lambda *arguments: Answer(self, name, arguments))


class Answer:
    def __init__(self, actor: Actor, method: str, arguments: tuple[Any, ...]) -> None:
        self.actor = actor
        self.value: Any = None
        self.error: Exception | None = None
        if actor.node is None or actor.dead:
            return
        try:
            self.value = getattr(actor.made, method)(*arguments)
        except OSError as error:
            self.error = RayTaskError(f"where it happened\n{error}")


class PlayedRay(ModuleType):
    """A Ray of two nodes with room for one worker each; what becomes of nodes and actors is the test's to say."""

    job_config = SimpleNamespace(JobConfig=object)
    exceptions = SimpleNamespace(
        RayError=Exception,
        RayActorError=RayActorError,
        ActorUnavailableError=ActorUnavailableError,
        RayTaskError=RayTaskError,
    )

    def __init__(self) -> None:
        super().__init__("ray")
        self.living = {"n1", "n2"}
        self.actors: list[Actor] = []
        self.asked: dict[str, Any] = {}
        self.options: dict[str, Any] = {}
        self.no_code = False

    def init(self, **options: Any) -> None:
        self.options = options
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Ray takes it for itself.

    def shutdown(self) -> None:
        for actor in self.actors:
            self.kill(actor)

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": n, "Alive": n in self.living, "Resources": {"CPU": 1.0}} for n in ("n1", "n2")]

    def remote(self, cls: type) -> SimpleNamespace:
        def options(**asked: Any) -> SimpleNamespace:
            self.asked = asked
            return SimpleNamespace(remote=lambda: self.place(cls()))

        return SimpleNamespace(options=options)

    def place(self, made: Any) -> Actor:
        taken = {actor.node for actor in self.actors if not actor.dead}
        self.actors.append(Actor(made, min(self.living - taken, default=None)))
        return self.actors[-1]

    def get_runtime_context(self) -> SimpleNamespace:
        return SimpleNamespace(get_node_id=lambda: self.actors[-1].node)

    def wait(self, answers: list[Answer], **_: Any) -> tuple[list[Answer], list[Answer]]:
        return [answer for answer in answers if answer.actor.node is not None or answer.actor.dead], []

    def get(self, answer: Answer) -> Any:
        if answer.actor.dead:
            raise RayActorError("The actor died.\nas the test said")
        if self.no_code:
            answer.actor.dead = True
            error = RayActorError("The actor died.\nModuleNotFoundError: No module named 'studies'")
            error.actor_init_failed = True
            raise error
        if answer.error is not None:
            raise answer.error
        return answer.value

    def kill(self, actor: Actor) -> None:
        """Ends an actor: its worker's input ends with it."""
        actor.dead = True
        if actor.made.process is not None:
            actor.made.process.stdin.close()

    def lose(self, node: str) -> None:
        """Ends a node with everything on it."""
        self.living.remove(node)
        for actor in self.actors:
            if actor.node == node and not actor.dead:
                actor.made.process.kill()
                actor.made.process.wait()
                self.kill(actor)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedRay]:
    ray = PlayedRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(rules, "TICK_SECONDS", 0.01)
    yield ray
    for actor in ray.actors:
        if actor.made.process is not None:
            actor.made.process.kill()
            actor.made.process.wait()
            actor.made.process.stdin.close()


class StandIn:
    """Stands for an actor's process where none is needed: what its worker does is the test's to say."""

    def __init__(self) -> None:
        self.name, self.ended = "", None
        self.process = SimpleNamespace(kill=self.kill, wait=lambda: None, stdin=SimpleNamespace(close=lambda: None))

    ended: int | None

    def start(self, python: str | None, arguments: list[str], log: str, *_: Any) -> str:
        self.name = arguments[-2]
        Path(log).write_text("")
        return str(sys.modules["ray"].get_runtime_context().get_node_id())

    def code(self) -> int | None:
        return self.ended

    def terminate(self) -> None:
        self.ended = 0 if self.ended is None else self.ended

    def kill(self) -> None:
        self.ended = -signal.SIGKILL if self.ended is None else self.ended


@pytest.fixture
def without_processes(played: PlayedRay, monkeypatch: pytest.MonkeyPatch) -> PlayedRay:
    """The same Ray, whose actors start nothing."""
    monkeypatch.setattr(launched_by_ray, "WorkerProcess", StandIn)
    monkeypatch.setattr(played, "shutdown", lambda: None)
    return played


@pytest.fixture
def jobs(small_plan: Callable[..., Plan], order: Callable[..., Order]) -> Callable[..., Order]:
    """Makes an order of fake jobs, which are in the queue."""

    def make(*seeds: int, iterations: int = 10, workers: int = 2) -> Order:
        made = order(small_plan(seeds=seeds, variants=1, iterations=iterations), workers=workers)
        made.queue().enqueue(made.tasks)
        return made

    return make


QUICK: dict[str, Any] = {"address": "auto", "poll_seconds": 1e-6}


def launched(
    order: Order, tick: Callable[[], None] = lambda: None, stop: Callable[[], bool] = never, **entry: Any
) -> list[str]:
    lines: list[str] = []
    launch(order.replace(cluster=RayCluster(**{**QUICK, **entry})), stop=stop, tick=tick, say=lines.append)
    return lines


def statuses(order: Order) -> list[str]:
    return [status(order, digest) for digest in order.digests]


def test_stopping_tells_the_workers_and_dismisses_who_waits_for_room(
    without_processes: PlayedRay, jobs: Callable[..., Order]
) -> None:
    made, ray = jobs(0, 1, 2, workers=3), without_processes
    looks = iter(range(100))
    assert launched(made, stop=lambda: next(looks) > 20) == []
    assert sorted(str(actor.node) for actor in ray.actors) == ["None", "n1", "n2"]
    assert [actor.made.ended for actor in ray.actors if actor.node is not None] == [0, 0]
    assert all(actor.dead for actor in ray.actors)
    assert sorted(made.queue().waiting(made.digests)) == sorted(made.digests)


@pytest.mark.parametrize("how", ["was lost with its node", "was ended by Ray"])
def test_the_job_of_an_actor_that_is_gone_is_put_back_once_its_worker_trains_no_more(
    how: str, without_processes: PlayedRay, jobs: Callable[..., Order]
) -> None:
    """It may be writing its checkpoint; on another host it seems to, until it is silent for too long."""
    made, ray, lines, now = jobs(0), without_processes, list[str](), [0.0]
    its, queue = RayCrew(ray, RayCluster(**QUICK), made, lines.append), made.queue()
    its.gone = Silence(100.0, lambda: now[0])
    for elsewhere in (False, True):
        assert its.look()
        its.take_in()
        (actor,) = (actor for actor in ray.actors if not actor.dead)
        assert queue.claim(made.digests, actor.made.name)
        lock = queue.worker_lock(actor.made.name)
        with FileLock(lock):
            if elsewhere:
                heartbeat_file(lock).write_text("another host")
            if how == "was lost with its node":
                ray.lose(str(actor.node))
                ray.living = {"n1", "n2"} - {str(actor.node)}
            else:
                ray.kill(actor)
            its.take_in()
            assert lines.pop() == f"worker 1 {how}: as the test said" and its.slots[0].state == "lost"
            its.take_in()
            assert queue.held_by(actor.made.name) and not lines
            now[0] += 101
            if elsewhere:
                its.take_in()
        if not elsewhere:
            its.take_in()
        assert lines.pop() == f"worker 1 {how} at baseline seed 0: the job will be resumed"
        assert queue.waiting(made.digests) == made.digests and not heartbeat_file(lock).exists()
    streak = its.slots[0].streak
    assert (streak.exits, streak.kills) == ((0, 0) if how == "was lost with its node" else (0, 2))


def test_works_off_every_job_once_and_leaves_nothing_behind(played: PlayedRay, jobs: Callable[..., Order]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    during: set[Any] = set()
    made = jobs(0, fake_job.DIVERGES, fake_job.FAILS, 1, workers=3)
    lines = launched(made, lambda: during.add(signal.getsignal(signal.SIGTERM)), gpus=0.5)
    assert statuses(made) == ["finished", "diverged", "failed", "finished"]
    assert [attempts(made, digest) for digest in made.digests] == [1] * 4
    assert lines == []
    assert played.asked == {"max_restarts": 0, "num_cpus": 1, "num_gpus": 0.5}
    assert played.options["address"] == "auto"
    assert during == {before}
    for left in ("logs", "orders", f"{made.study}.workers"):
        assert list((made.runs / "queue" / left).iterdir()) == []


def test_workers_that_cannot_start_are_given_up(played: PlayedRay, jobs: Callable[..., Order]) -> None:
    made = jobs(0)
    with pytest.raises(WorkersLost, match="/no/such/python"):
        launched(made, python="/no/such/python")
    played.no_code = True
    before = len(played.actors)
    with pytest.raises(WorkersLost, match="No module named 'studies'"):
        launched(jobs(1))
    assert len(played.actors) - before == EXITS_OF_A_PLACE * made.workers


def test_want_of_room_is_said_once_and_ends_where_there_is_one_machine_alone(
    played: PlayedRay, jobs: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launched_by_ray, "ROOM_SECONDS", 0.0)
    played.living = set()
    looks = iter(range(100))
    said = launched(jobs(0), stop=lambda: next(looks) > 30, cpus=3)
    assert said == ["no node of Ray auto has CPU 3: 1 workers wait for one"]
    with pytest.raises(InputError, match="this machine has no room for a worker with CPU 3"):
        launched(jobs(1), address=None, cpus=3)
    assert played.options["address"] == "local"
    assert played.options["include_dashboard"] is False


def test_an_address_that_nobody_answers_at_is_one_line(played: PlayedRay, jobs: Callable[..., Order]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        for scheme in ("", "ray://"):
            with pytest.raises(InputError, match=f"Ray {scheme}{address} is not there for us: .*refused"):
                launched(jobs(0), address=f"{scheme}{address}")
    assert played.options == {}


def test_a_ray_that_is_not_there_is_one_line(
    played: PlayedRay, jobs: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**_: Any) -> None:
        raise Exception("first this\nCould not find any running Ray instance")

    monkeypatch.setattr(played, "init", init)
    with pytest.raises(InputError, match="Ray auto is not there for us: Could not find any running Ray instance"):
        launched(jobs(0))


# --- a real Ray -------------------------------------------------------------------------------------------------------

SHORT = ("changes_overview", "iterations=40", "evaluation.every=20", *IMAGES, "--only", "all", "--seeds", "2")
TRAINED = ("changes_overview", "iterations=400", "evaluation.every=200", *IMAGES, "--only", "all", "--seeds", "2")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Ray on this machine whose nodes have room for one worker on a CPU, the first of them; it ends with the tests.

    Each is said to have a GPU.
    """
    token = tmp_path_factory.mktemp("ray") / "token"
    token.write_text("0123456789abcdef" * 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "num_gpus": 1, "object_store_memory": launched_by_ray.OBJECT_STORE_BYTES}
        made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})

        yield SimpleNamespace(
            address=made.address, add=lambda **more: made.add_node(**{**node, **more}), remove=made.remove_node
        )
        made.shutdown()


@pytest.fixture
def second(cluster: Any) -> Iterator[Any]:
    """The second node, for one test."""
    node = cluster.add()
    yield node
    cluster.remove(node)


def started(cwd: Path, address: str | None, *arguments: str) -> subprocess.Popen[str]:
    """A study's command below `cwd`, its lines in `cwd`/said.txt."""
    cwd.mkdir(exist_ok=True)
    where = [] if address is None else [f'address = "{address}"']
    write_launchers(cwd, 'kind = "ray"', "workers = 2", *where)
    return begun(cwd, *arguments, *NAMED)


def ended(cwd: Path, address: str | None, *arguments: str) -> str:
    """What the command said, which has to end well."""
    code = started(cwd, address, *arguments).wait(600)
    said = (cwd / "said.txt").read_text()
    assert code == 0, said
    return said


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The jobs of a run on this machine alone."""
    folder = tmp_path_factory.mktemp("undisturbed")
    ended(folder, None, *TRAINED, "--no-report")
    return jobs_root(folder / "runs")


def below(parent: int) -> list[int]:
    """All processes that descend from this one."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found = children.get(parent, [])
    return [*found, *(pid for child in found for pid in below(child))]


def lose(node: Any) -> int:
    """Ends a node with everything that runs on it; returns how many of these were workers of ours."""
    raylet = node.all_processes["raylet"][0].process.pid
    processes = below(raylet)
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes]
    for pid in (raylet, *processes):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return sum(b"studies.runner.worker" in command for command in commands)


def results_per_job(runs: Path, study: str = "changes_overview") -> Counter[str]:
    """How many results of each job the queue has."""
    (plan,) = (runs / "plans").glob("*/*.json")
    trials = Queue(runs, study, plan.stem)._trials(TrialState.COMPLETE)
    return Counter(str(trial.user_attrs["job"]) for trial in trials)


@pytest.mark.ray
@pytest.mark.usefixtures("second")
def test_a_study_runs_on_two_nodes_to_its_report(cluster: Any, tmp_path: Path) -> None:
    said = ended(tmp_path / "study", cluster.address, *SHORT, "--launcher", "mine")
    assert "2/2 done, 0 diverged, 0 failed" in said
    assert len(list((tmp_path / "study" / "runs" / "reports").rglob("report.md"))) == 1
    assert list(results_per_job(tmp_path / "study" / "runs").values()) == [1, 1]


@pytest.mark.ray
def test_a_study_whose_node_is_lost_half_way_completes_with_the_same_numbers(
    cluster: Any, second: Any, undisturbed: Path, tmp_path: Path
) -> None:
    cwd = tmp_path / "study"
    jobs = jobs_root(cwd / "runs")
    command = started(cwd, cluster.address, *TRAINED, "--launcher", "mine", "--no-report")
    try:
        wait_for(lambda: len(list(jobs.glob("*/checkpoint.pt"))) == 2, 240)
        assert lose(second) == 1
        assert command.wait(600) == 0, (cwd / "said.txt").read_text()
    finally:
        command.kill()
    said = (cwd / "said.txt").read_text()
    assert said.count("was lost with its node") == 2, said  # That it is, and that its job will be resumed.
    assert_same(jobs, undisturbed)
    assert list(results_per_job(cwd / "runs").values()) == [1, 1]
    outcomes = [RunFolder(jobs, folder.name).outcome() for folder in jobs.iterdir()]
    assert sorted(outcome.resumed for outcome in outcomes if outcome) == [0, 1]


@pytest.mark.ray
def test_a_ray_of_the_commands_own_ends_with_it_and_its_workers_write_checkpoints(
    undisturbed: Path, tmp_path: Path
) -> None:
    cwd = tmp_path / "study"
    jobs = jobs_root(cwd / "runs")
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        before = {file: file.stat().st_size for file in jobs.glob("*/events.jsonl")}
        command = started(cwd, None, *TRAINED, "--launcher", "mine", "--no-report")
        wait_for(
            lambda seen=before: sum(f.stat().st_size > seen.get(f, 0) + 1000 for f in jobs.glob("*/events.jsonl")) == 2,
            240,
        )
        theirs = below(command.pid)
        command.send_signal(number)
        assert command.wait(120) == code
        wait_for(lambda left=theirs: not any(Path(f"/proc/{pid}").exists() for pid in left), 120)
        for folder in jobs.iterdir():
            assert json.loads((folder / "events.jsonl").read_text().splitlines()[-1])["kind"] == "checkpointed"
    ended(cwd, None, *TRAINED, "--launcher", "mine", "--no-report")
    assert_same(jobs, undisturbed)
    assert list(results_per_job(cwd / "runs").values()) == [1, 1]


@pytest.mark.ray
def test_two_workers_at_a_time_share_the_gpu_that_ray_gives_them(cluster: Any, jobs: Callable[..., Order]) -> None:
    node = cluster.add(num_cpus=4, resources={"shared": 4})
    made = jobs(SLOW, SLOW + 1, SLOW + 2, iterations=60, workers=3)
    on_gpus = made.replace(device="cuda")
    program = (
        "import sys\nfrom pathlib import Path\nfrom studies.runner.order import Order\n"
        "from studies.runner.launchers import launch\nfrom studies.runner.clusters import RayCluster\n"
        f"cluster = RayCluster(address={cluster.address!r}, gpus=0.5, resources={{'shared': 1}})\n"
        "order = Order.model_validate_json(Path(sys.argv[1]).read_text())\n"
        "launch(order.replace(cluster=cluster),"
        " stop=lambda: False, tick=lambda: None, say=print)"
    )
    try:
        subprocess.run([sys.executable, "-c", program, str(on_gpus.write("test"))], check=True, timeout=300, cwd=ROOT)
    finally:
        cluster.remove(node)
    assert statuses(made) == ["finished"] * 3
    folders = [RunFolder(jobs_root(made.runs), digest) for digest in made.digests]
    assert {folder.read("provenance.json")["gpus"] for folder in folders} == {"0"}
    begun, over = (
        sorted((folder.path / name).stat().st_mtime for folder in folders)
        for name in ("provenance.json", "outcome.json")
    )
    assert begun[1] < over[0] <= begun[2]
