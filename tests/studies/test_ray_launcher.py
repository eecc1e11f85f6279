"""Workers on a Ray: a played one here, and a real one of two nodes behind the marker `ray`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from optuna.trial import TrialState

from core.errors import InputError
from core.folder import RunFolder
from studies.plan import Plan, jobs_root
from studies.run import main
from studies.runner import deaths
from studies.runner.deaths import ALIKE, HANGS_ALIKE
from studies.runner.heartbeat import heartbeat_file
from studies.runner.launchers import find_launcher, launcher, on_cluster
from studies.runner.launchers import ray as launched_by_ray
from studies.runner.launchers.crew import EXITS_OF_A_PLACE
from studies.runner.launchers.declared import RayCluster, SlurmCluster
from studies.runner.order import NO_ROOM, WorkersLost
from studies.runner.place import place_of
from studies.runner.queue import Queue
from studies.runner.stores import Unreachable
from studies.runner.tasks import tasks_of
from studies.runner.worker import Order
from tests.studies import fake_job
from tests.studies.commands import ROOT, begun
from tests.studies.test_slurm_launcher import IMAGES, assert_same, wait_for

SMALL = ("changes_overview", "iterations=10", "evaluation.every=5", "--only", "baseline", "--seeds", "2")
SLOW = fake_job.SLOW


def never() -> bool:
    return False


# --- what is declared, and what would be asked ------------------------------------------------------------------------


def write_launchers(folder: Path, *lines: str) -> Path:
    file = folder / "launchers.toml"
    file.write_text("\n".join(["[mine]", *lines]) + "\n")
    return file


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['kind = "rey"'], "did you mean 'ray'"),
        (['kind = "ray"', 'adress = "auto"'], "did you mean 'address'"),
        (['kind = "ray"', 'address = "somewhere"'], "none of auto, host:port and ray://host:port"),
        (['kind = "ray"', 'address = "http://host:8265"'], "none of auto"),
        (['kind = "ray"', "gpus = 1.5"], "gpus: Input should be less than or equal to 1"),
        (['kind = "ray"', "gpus = -0.5"], "gpus: Input should be greater than or equal to 0"),
        (['kind = "ray"', "cpus = 0"], "cpus"),
        (['kind = "ray"', 'memory = "16"'], "memory"),
        (['kind = "ray"', "workers = 0"], "workers"),
        (['kind = "ray"', 'partition = "gpu"'], "partition"),
        (['kind = "ray"', 'python = ""'], "one line that is not empty"),
        (['kind = "ray"', "resources = { a100 = 1 }"], "give its address"),
        (['kind = "ray"', 'address = "auto"', "resources = { a100 = 0 }"], "greater than 0"),
        (['kind = "ray"', 'address = "auto"', "resources = { GPU = 1 }"], "the key gpus asks for"),
    ],
)
def test_a_bad_entry_is_one_line(lines: list[str], message: str, tmp_path: Path) -> None:
    file = write_launchers(tmp_path, *lines)
    with pytest.raises(InputError) as error:
        find_launcher("mine", file)
    assert message in str(error.value)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_an_entry_is_what_ray_reserves(tmp_path: Path) -> None:
    lines = ['kind = "ray"', 'address = "10.0.0.1:6379"', "gpus = 0.25", "cpus = 4", 'memory = "3G"']
    found = find_launcher("mine", write_launchers(tmp_path, *lines, "resources = { a100 = 1 }"))
    assert isinstance(found, RayCluster)
    assert launched_by_ray.reserved(found) == {
        "num_cpus": 4,
        "num_gpus": 0.25,
        "memory": 3 * 1024**3,
        "resources": {"a100": 1.0},
    }
    assert launched_by_ray.reserved(RayCluster()) == {"num_cpus": 1}


def test_each_kind_has_its_launcher_and_only_slurms_workers_outlive_the_command() -> None:
    clusters = (SlurmCluster(), RayCluster())
    assert [type(on_cluster(cluster)).__name__ for cluster in clusters] == ["Slurm", "Ray"]
    assert [cluster.detached for cluster in clusters] == [True, False]


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing ray fails."""
    monkeypatch.setitem(sys.modules, "ray", None)


def what_is_wrong(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit:
        main([*SMALL, *arguments])
    assert exit.value.code == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


@pytest.mark.usefixtures("no_ray")
def test_a_dry_run_needs_no_ray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_launchers(tmp_path, 'kind = "ray"', 'address = "auto"', "gpus = 0.5", 'python = "/opt/python"')
    said = what_is_wrong(capsys, 0, "--launcher", "mine", "--launcher-file", "launchers.toml", "--dry-run")
    text = said[said.index("mine would be given this") :]
    assert "Ray auto\nactors: 2, each with num_cpus=1, num_gpus=0.5\n" in text
    # The profile trains on CPUs.
    worker = f"/opt/python -P -m studies.runner.worker {tmp_path}/runs/queue/orders/"
    assert f"CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1 {worker}" in text
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("no_ray")
def test_without_the_extra_one_line_says_how_to_get_it(order: Callable[..., Order], small_plan: Any) -> None:
    with pytest.raises(InputError, match=r"install the extra, pip install 'ray>=2.60,<3'"):
        launcher("mine", RayCluster()).run(order(small_plan()), stop=never, tick=lambda: None, say=print)


def test_ray_without_an_entry_says_what_to_declare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert 'no entry [ray] with kind = "ray"' in what_is_wrong(capsys, 2, "--launcher", "ray")
    (tmp_path / "launchers.toml").write_text('[ray]\nkind = "ray"\n')
    assert "not read unasked" in what_is_wrong(capsys, 2, "--launcher", "ray")
    assert find_launcher("ray", Path("launchers.toml")) == RayCluster()


def test_what_a_worker_elsewhere_needs_is_carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("INR_GAN_QUEUE", "postgresql://somewhere/queue")
    monkeypatch.setenv("PGPASSFILE", "/secret")
    monkeypatch.setenv("INR_GAN_INCEPTION", "weights.pt")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not this one")
    assert launched_by_ray.carried() == {
        "INR_GAN_QUEUE": "postgresql://somewhere/queue",
        "PGPASSFILE": "/secret",
        "INR_GAN_INCEPTION": str(tmp_path / "weights.pt"),
    }


# --- how workers stand ------------------------------------------------------------------------------------------------


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
    monkeypatch.setattr(launched_by_ray, "ORPHANS_SECONDS", 0.0)
    monkeypatch.setattr(launched_by_ray, "TICK_SECONDS", 0.01)
    yield ray
    for actor in ray.actors:
        if actor.made.process is not None:
            actor.made.process.kill()
            actor.made.process.wait()
            actor.made.process.stdin.close()


class Told:
    """Stands for an actor's process where none is needed: what its worker does is the test's to say."""

    def __init__(self) -> None:
        self.name, self.log = "", Path()
        self.ended: int | None = None
        self.process = SimpleNamespace(
            kill=self.kill, wait=lambda: None, stdin=SimpleNamespace(close=lambda: None), poll=self.code
        )

    def start(self, python: str | None, arguments: list[str], log: str, *_: Any) -> str:
        self.name, self.log = arguments[-2], Path(log)
        self.log.touch()
        return str(sys.modules["ray"].get_runtime_context().get_node_id())

    def code(self) -> int | None:
        return self.ended

    def terminate(self) -> None:
        if self.ended is None:
            self.ended = 0

    def kill(self) -> None:
        if self.ended is None:
            self.ended = -signal.SIGKILL


@pytest.fixture
def told(played: PlayedRay, monkeypatch: pytest.MonkeyPatch) -> PlayedRay:
    """The same Ray, whose actors start nothing."""
    monkeypatch.setattr(launched_by_ray, "_Process", Told)
    return played


@pytest.fixture
def jobs(small_plan: Callable[..., Plan], order: Callable[..., Order]) -> Callable[..., Order]:
    """Makes an order of fake jobs, which are in the queue."""

    def make(*seeds: int, iterations: int = 10, workers: int = 2) -> Order:
        made = order(small_plan(seeds=seeds, variants=1, iterations=iterations), workers=workers)
        queue_of(made).enqueue(made.tasks)
        return made

    return make


def queue_of(order: Order) -> Queue:
    return Queue(order.runs, order.study, order.setting)


def launched(
    order: Order, tick: Callable[[], None] = lambda: None, stop: Callable[[], bool] = never, **entry: Any
) -> list[str]:
    said: list[str] = []
    cluster = RayCluster(**{"address": "auto", "poll_seconds": 0.05, **entry})
    on_cluster(cluster).run(order, stop=stop, tick=tick, say=said.append)
    return said


def folders(order: Order) -> list[RunFolder]:
    return [RunFolder(jobs_root(order.runs), digest) for digest in order.digests]


def statuses(order: Order) -> list[str]:
    return [outcome.status if (outcome := folder.outcome()) else "none" for folder in folders(order)]


def attempts(folder: RunFolder) -> int:
    return len((folder.path / "trained_by.txt").read_text().splitlines())


def iterations(folder: RunFolder) -> list[int]:
    events = [json.loads(line) for line in folder.events_file.read_text().splitlines()]
    return [event["iteration"] for event in events if event["kind"] == "losses"]


def recorded(order: Order, count: int = 4) -> bool:
    """Whether every job is under way."""
    files = [folder.events_file for folder in folders(order)]
    return all(file.exists() and file.read_bytes().count(b"\n") >= count for file in files)


def claims(order: Order, actor: Actor, digest: str, attempt: int) -> bool:
    """Whether the actor's worker gets this job; then it records an event after iteration 4."""
    if not queue_of(order).claim([digest], actor.made.name):
        return False
    folder = RunFolder(jobs_root(order.runs), digest)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write(
        "events.jsonl", json.dumps({"kind": "sampled", "iteration": 4, "images": 4, "seconds": attempt / 8}) + "\n"
    )
    return True


def reason_of(order: Order, digest: str) -> str | None:
    outcome = RunFolder(jobs_root(order.runs), digest).outcome()
    return outcome.reason if outcome and outcome.status == "failed" else None


@pytest.mark.parametrize(
    ("code", "how", "perhaps"),
    [
        (1, "ended with code 1", ""),
        (-9, "was killed by SIGKILL", "; perhaps for want of memory"),
        (NO_ROOM, "found no memory left on its part of a GPU", ""),
    ],
)
def test_a_job_whose_workers_die_alike_is_given_up_as_on_every_launcher_and_others_go_on(
    code: int, how: str, perhaps: str, told: PlayedRay, jobs: Callable[..., Order]
) -> None:
    made = jobs(0, 1)
    bad = made.digests[0]
    tried: list[Actor] = []

    def tick() -> None:
        for actor in told.actors:
            if actor.dead or actor.node is None or actor.made.ended is not None:
                continue
            if claims(made, actor, bad, len(tried) + 1):
                tried.append(actor)
                actor.made.log.write_text("its last words\n")
                actor.made.ended = code
            elif reason_of(made, bad) is not None:
                made.work(actor.made.name, stop=never, each=lambda: None)
                actor.made.ended = 0

    said = launched(made, tick)
    assert reason_of(made, bad) == f"its worker {how}, {ALIKE} times in a row after iteration 4{perhaps}"
    assert len(tried) == ALIKE
    assert "its last words\n" in folders(made)[0].log_file.read_text()
    assert statuses(made) == ["failed", "finished"]
    assert sum(f"{how} at baseline seed 0: the job will be resumed" in line for line in said) == ALIKE - 1


def test_a_worker_whose_loop_hangs_is_ended_and_its_job_given_up_the_second_time(
    told: PlayedRay, jobs: Callable[..., Order]
) -> None:
    made = Order(**{**dict(jobs(0)), "hang_seconds": 0.1})
    tried: list[Actor] = []

    def tick() -> None:
        for actor in told.actors:
            free = not actor.dead and actor.node is not None and actor.made.ended is None
            if free and claims(made, actor, made.digests[0], len(tried) + 1):
                tried.append(actor)
                heartbeat_file(queue_of(made).worker_lock(actor.made.name)).touch()

    said = launched(made, tick)
    assert reason_of(made, made.digests[0]) == f"its worker hung, {HANGS_ALIKE} times in a row after iteration 4"
    assert len(tried) == HANGS_ALIKE
    assert sum("it was ended" in line for line in said) == HANGS_ALIKE


def test_the_loss_of_nodes_says_nothing_of_a_job_nor_of_a_place(told: PlayedRay, jobs: Callable[..., Order]) -> None:
    made = jobs(0)
    (digest,) = made.digests
    tried: list[Actor] = []

    def tick() -> None:
        for actor in told.actors:
            if actor.dead or actor.node is None or actor.made.ended is not None:
                continue
            if len(tried) == ALIKE:
                made.work(actor.made.name, stop=never, each=lambda: None)
                actor.made.ended = 0
            elif claims(made, actor, digest, len(tried) + 1):
                tried.append(actor)
                told.lose(actor.node)
                # The one that was lost before is back.
                told.living |= {"n1", "n2"} - {actor.node}

    said = launched(made, tick)
    assert statuses(made) == ["finished"]
    assert sum("was lost with its node: as the test said" in line for line in said) == ALIKE
    assert sum("was lost with its node at baseline seed 0: the job will be resumed" in line for line in said) == ALIKE


def test_the_line_of_who_finds_the_input_unusable_ends_everything(told: PlayedRay, jobs: Callable[..., Order]) -> None:
    made = jobs(0, 1)

    def tick() -> None:
        if len(told.actors) == 2 and told.actors[1].made.ended is None:
            assert queue_of(made).claim(made.digests, told.actors[0].made.name)
            told.actors[1].made.log.write_text("no Inception weights here\n")
            told.actors[1].made.ended = 2

    with pytest.raises(InputError, match="no Inception weights here"):
        launched(made, tick)
    assert [actor.made.ended for actor in told.actors] == [-signal.SIGKILL, 2]
    assert not queue_of(made).running(made.digests)
    assert sorted(queue_of(made).waiting(made.digests)) == sorted(made.digests)
    assert not list(jobs_root(made.runs).glob(f"*/{deaths.FILE}"))


def test_stopping_tells_the_workers_and_dismisses_who_waits_for_room(
    told: PlayedRay, jobs: Callable[..., Order]
) -> None:
    made = jobs(0, 1, 2, workers=3)
    looks = iter(range(100))
    assert launched(made, stop=lambda: next(looks) > 20) == []
    assert sorted(str(actor.node) for actor in told.actors) == ["None", "n1", "n2"]
    assert [actor.made.ended for actor in told.actors if actor.node is not None] == [0, 0]
    assert all(actor.dead for actor in told.actors)
    assert sorted(queue_of(made).waiting(made.digests)) == sorted(made.digests)


def test_stopping_while_the_queue_is_gone_tells_the_workers_all_the_same(
    told: PlayedRay, jobs: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = jobs(0, 1)
    stopping: list[bool] = []

    def gone(*_: Any) -> Any:
        stopping.append(True)
        raise Unreachable("gone")

    def tick() -> None:
        if len(told.actors) == 2 and not stopping:
            told.actors[0].made.ended = 1  # Its end is looked for in the queue.
            monkeypatch.setattr(Queue, "held_by", gone)

    launched(made, tick, stop=lambda: bool(stopping))
    assert [actor.made.ended for actor in told.actors] == [1, 0]


@pytest.mark.parametrize(("gpus", "parts"), [(0.5, True), (1.0, False), (0.0, False)])
def test_a_job_knows_whether_its_gpu_has_others(
    gpus: float, parts: bool, small_plan: Callable[..., Plan], tmp_path: Path
) -> None:
    plan, cluster = small_plan(variants=2), RayCluster(gpus=gpus)
    where = {"gpus": ("0",) if gpus else (), "runs": tmp_path, "data_path": None, "launcher": "mine"}
    found = place_of("auto", "lsun64", None, trainer="tests.studies.fake_job", cluster=cluster, **where)
    made = found.order(plan, tasks_of(plan), 2)
    assert (found.device, made.shares_gpus) == ("cuda" if gpus else "cpu", parts)
    with pytest.raises(InputError, match=r"--per-gpu 2: .* the entry \[mine\]"):
        place_of("auto", "lsun64", None, trainer="", cluster=cluster, per_gpu=2, **where)


def test_works_off_every_job_once_and_leaves_nothing_behind(
    played: PlayedRay, jobs: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    during: set[Any] = set()
    made = jobs(0, fake_job.DIVERGES, fake_job.FAILS, 1, workers=3)
    said = launched(made, lambda: during.add(signal.getsignal(signal.SIGTERM)), gpus=0.5)
    assert statuses(made) == ["finished", "diverged", "failed", "finished"]
    assert [attempts(folder) for folder in folders(made)] == [1] * 4
    assert said == []
    assert played.asked == {"max_restarts": 0, "num_cpus": 1, "num_gpus": 0.5}
    assert played.options["address"] == "auto"
    assert during == {before}
    for left in ("logs", "orders", f"{made.study}.workers"):
        assert list((made.runs / "queue" / left).iterdir()) == []


@pytest.mark.slow
def test_the_job_of_a_lost_node_is_resumed_elsewhere_and_neither_is_blamed(
    played: PlayedRay, jobs: Callable[..., Order]
) -> None:
    made = jobs(SLOW, SLOW + 1, iterations=20)

    def tick() -> None:
        if len(played.living) == 2 and recorded(made):
            played.lose("n1")

    said = launched(made, tick)
    assert statuses(made) == ["finished", "finished"]
    assert sorted(attempts(folder) for folder in folders(made)) == [1, 2]
    assert [iterations(folder) for folder in folders(made)] == [list(range(1, 21))] * 2
    assert sum("was lost with its node: as the test said" in line for line in said) == 1
    assert sum("the job will be resumed" in line for line in said) == 1


@pytest.mark.slow
def test_a_lost_worker_on_another_host_is_waited_for_until_its_heart_is_silent(
    played: PlayedRay, jobs: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launched_by_ray, "GONE_SECONDS", 1.0)
    made = jobs(SLOW, iterations=20)
    queue = queue_of(made)
    times: dict[str, float] = {}

    def tick() -> None:
        if len(played.living) == 2 and recorded(made):
            (heart,) = (made.runs / "queue" / f"{made.study}.workers").glob("*.heartbeat")
            heart.write_text("another host")
            played.lose(str(played.actors[0].node))
            times["lost"] = time.monotonic()
        elif "lost" in times and "back" not in times and len(played.actors) > 1:
            times["back"] = time.monotonic()
            assert not heartbeat_file(queue.worker_lock("anybody")).exists()

    launched(made, tick)
    assert statuses(made) == ["finished"]
    assert times["back"] - times["lost"] >= 1.0
    assert attempts(folders(made)[0]) == 2


@pytest.mark.slow
def test_a_worker_whose_actor_is_ended_writes_its_checkpoint_and_another_goes_on(
    played: PlayedRay, jobs: Callable[..., Order]
) -> None:
    made = jobs(SLOW, iterations=20)
    folder = folders(made)[0]
    last: list[str] = []

    def tick() -> None:
        if len(played.actors) == 1 and not played.actors[0].dead and recorded(made):
            played.kill(played.actors[0])
            played.actors[0].made.process.wait()
            last.append(json.loads(folder.events_file.read_text().splitlines()[-1])["kind"])

    said = launched(made, tick)
    assert last == ["checkpointed"]
    assert statuses(made) == ["finished"]
    assert iterations(folder) == list(range(1, 21))
    assert said[0] == "worker 1 was ended by Ray: as the test said"


@pytest.mark.slow
def test_a_job_that_kills_its_worker_again_and_again_is_failed_and_others_go_on(
    played: PlayedRay, jobs: Callable[..., Order]
) -> None:
    made = jobs(fake_job.KILLS_ITS_WORKER_ALWAYS, fake_job.KILLS_ITS_WORKER_ONCE)
    launched(made)
    assert statuses(made) == ["failed", "finished"]
    outcome = folders(made)[0].outcome()
    assert outcome and outcome.reason
    assert outcome.reason.startswith(f"its worker was killed by SIGKILL, {ALIKE} times in a row after iteration 4")
    assert [attempts(folder) for folder in folders(made)] == [ALIKE, 2]


@pytest.mark.slow
def test_a_worker_that_hangs_is_ended_and_its_job_resumed(played: PlayedRay, jobs: Callable[..., Order]) -> None:
    made = jobs(fake_job.HANGS_ONCE)
    said = launched(Order(**{**dict(made), "hang_seconds": 2.5}))
    assert statuses(made) == ["finished"]
    assert sum("it was ended" in line for line in said) == 1


@pytest.mark.slow
def test_unusable_input_ends_everything_with_its_line(played: PlayedRay, jobs: Callable[..., Order]) -> None:
    made = jobs(fake_job.UNUSABLE, SLOW, iterations=300)
    with pytest.raises(InputError, match="no Inception weights here"):
        launched(made)
    assert statuses(made) == ["none", "none"]
    assert not queue_of(made).running(made.digests)
    assert all(actor.made.process is None or actor.made.process.poll() is not None for actor in played.actors)


def test_workers_that_cannot_start_are_given_up(played: PlayedRay, jobs: Callable[..., Order]) -> None:
    made = jobs(0)
    with pytest.raises(WorkersLost, match="/no/such/python"):
        launched(made, python="/no/such/python")
    played.no_code = True
    before = len(played.actors)
    with pytest.raises(WorkersLost, match="No module named 'studies'"):
        launched(jobs(1))
    assert len(played.actors) - before == EXITS_OF_A_PLACE * made.workers


@pytest.mark.slow
def test_workers_that_end_before_they_train_are_given_up(played: PlayedRay, jobs: Callable[..., Order]) -> None:
    made = jobs(0)
    with pytest.raises(WorkersLost, match="no_such_module"):
        launched(Order(**{**dict(made), "trainer": "tests.studies.no_such_module"}))


@pytest.mark.slow
def test_stopping_leaves_checkpoints_and_the_next_call_goes_on(played: PlayedRay, jobs: Callable[..., Order]) -> None:
    made = jobs(SLOW, SLOW + 1, SLOW + 2, iterations=15, workers=3)
    begun = Order(**{**dict(made), "tasks": made.tasks[:2]})
    launched(made, stop=lambda: recorded(begun))
    assert statuses(made) == ["none"] * 3
    ends = [json.loads(folder.events_file.read_text().splitlines()[-1])["kind"] for folder in folders(begun)]
    assert ends == ["checkpointed", "checkpointed"]
    assert sorted(queue_of(made).waiting(made.digests)) == sorted(made.digests)
    launched(made)
    assert [iterations(folder) for folder in folders(made)] == [list(range(1, 16))] * 3


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
    return begun(cwd, *arguments, "--launcher-file", "launchers.toml")


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
    on_gpus = Order(**{**dict(made), "device": "cuda"})
    program = (
        "import sys\nfrom pathlib import Path\nfrom studies.runner.worker import Order\n"
        "from studies.runner.launchers import on_cluster\nfrom studies.runner.launchers.declared import RayCluster\n"
        f"cluster = RayCluster(address={cluster.address!r}, gpus=0.5, resources={{'shared': 1}})\n"
        "on_cluster(cluster).run(Order.model_validate_json(Path(sys.argv[1]).read_text()),"
        " stop=lambda: False, tick=lambda: None, say=print)"
    )
    try:
        subprocess.run([sys.executable, "-c", program, str(on_gpus.write("test"))], check=True, timeout=300, cwd=ROOT)
    finally:
        cluster.remove(node)
    assert statuses(made) == ["finished"] * 3
    assert {folder.read("provenance.json")["gpus"] for folder in folders(made)} == {"0"}
    begun, over = (
        sorted((folder.path / name).stat().st_mtime for folder in folders(made))
        for name in ("provenance.json", "outcome.json")
    )
    assert begun[1] < over[0] <= begun[2]


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
