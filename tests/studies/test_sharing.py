"""Workers share a GPU as far as its memory goes; running out of it there costs workers, never a job or a number."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import studies.run
from core.errors import InputError
from core.folder import DeviceMemory, RunFolder
from studies.plan import Plan, jobs_root
from studies.runner import resources as resources_module
from studies.runner.claim import Claim
from studies.runner.clusters import RayCluster
from studies.runner.launchers.local import LocalCrew, LocalSlot
from studies.runner.order import NO_ROOM, Order
from studies.runner.resources import Resources, accelerators, resources_of
from studies.runner.sharing import Sharing
from studies.runner.tasks import tasks_of
from studies.runner.worker import TRAINER_VARIABLE, serve
from tests.studies.test_local_launcher import launched, lines, status
from tests.support import fake_gpu, fake_job
from tests.support.fake_gpu import GIB

# --- how many fit -----------------------------------------------------------------------------------------------------


def memory(
    peak: float, *, total: float = 80, used_at_start: float = 0.5, used: float | None = None, reserved: float = 0
) -> DeviceMemory:
    """In GiB; `used` is by default what is in the allocator and was there before."""
    reserved = reserved or peak
    now = used_at_start + reserved if used is None else used
    sizes = {
        "total": total,
        "free_at_start": total - used_at_start,
        "free": total - now,
        "reserved": reserved,
        "peak": peak,
    }
    return DeviceMemory(process=1, iteration=16, **{name: int(size * GIB) for name, size in sizes.items()})


def fitting(*seen: DeviceMemory, most: int = 100) -> int:
    sharing = Sharing(1, most, measures=True)
    for one in seen:
        sharing.saw(0, one, alone=one is seen[0])
    return sharing.allowed(0)


@pytest.mark.parametrize(
    ("seen", "workers"),
    [
        (memory(4), 16),  # 0.9 * 80 / 4.5
        (memory(4, used_at_start=20.5, used=24.5), 10),  # Another program has 19.5: (72 - 19.5) / 5
        (memory(4, used=6.5), 11),  # 2 beside the allocator: 72 / 6.5
        (memory(10, reserved=3), 6),  # What it once held counts, not what it holds: 72 / 10.5
        (memory(100), 1),  # One, whatever it takes.
        (memory(4, used_at_start=75, used=79), 1),
    ],
)
def test_as_many_fit_as_the_budget_holds(seen: DeviceMemory, workers: int) -> None:
    assert fitting(seen) == workers


def test_the_largest_of_all_jobs_decides_and_no_more_than_asked_for() -> None:
    assert fitting(memory(4), memory(11.5)) == 6
    assert fitting(memory(11.5), memory(4)) == 6
    assert fitting(memory(4), most=3) == 3


def test_what_is_in_use_beside_others_is_not_taken_for_a_workers_own() -> None:
    assert fitting(memory(4), memory(4, used_at_start=30, used=70)) == 16


def test_each_gpu_has_one_worker_until_its_own_is_measured() -> None:
    sharing = Sharing(2, 5, measures=True)
    assert [sharing.allowed(gpu) for gpu in (0, 1)] == [1, 1]
    sharing.saw(0, memory(10), alone=True)
    assert [sharing.allowed(gpu) for gpu in (0, 1)] == [3, 1]
    sharing.saw(1, memory(10, total=24), alone=False)
    assert sharing.allowed(1) == 1 and sharing.fit(1) is None
    sharing.saw(1, memory(10, total=24), alone=True)
    assert [sharing.allowed(gpu) for gpu in (0, 1)] == [3, 2]


@pytest.mark.parametrize("measures", [False, True])
def test_a_gpu_that_ran_out_gets_fewer_workers_for_good_and_one_at_least(measures: bool) -> None:
    sharing = Sharing(2, 8, measures=measures)
    for gpu in (0, 1):
        sharing.saw(gpu, memory(4), alone=True)
    assert [sharing.ran_out(1, workers) for workers in (4, 3, 2, 1, 1)] == [3, 2, 1, 1, 1]
    sharing.saw(1, memory(1), alone=True)
    assert [sharing.allowed(gpu) for gpu in (0, 1)] == [4, 1]


# --- the launcher -----------------------------------------------------------------------------------------------------


@pytest.fixture
def gpu_order(
    small_plan: Callable[..., Plan], order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Order]:
    """Makes an order of fake jobs on fake GPUs, one by default, the jobs of low seeds first."""

    def make(
        seeds: tuple[int, ...] = (0,), *, variants: int, iterations: int = 10, workers: int, **fields: Any
    ) -> Order:
        plan = small_plan(seeds=seeds, variants=variants, iterations=iterations)
        tasks = sorted(tasks_of(plan), key=lambda task: task.seed)
        made = order(plan, workers=workers, tasks=tasks)
        monkeypatch.setenv(TRAINER_VARIABLE, "tests.support.fake_gpu")
        return made.replace(**{"gpus": ("0",), **fields})

    return make


def census(order: Order) -> dict[str, list[tuple[str, int]]]:
    """For each GPU the steps in order: the job, and how many processes were there."""
    found = defaultdict(list)
    for line in (jobs_root(order.runs) / "census.txt").read_text().splitlines():
        gpu, digest, count = line.split()
        found[gpu].append((digest, int(count)))
    return found


def check_numbers(order: Order, iterations: int = 10) -> None:
    """Every job has ended with all that an undisturbed one records, once."""
    for task in order.tasks:
        folder = RunFolder(jobs_root(order.runs), task.digest)
        assert status(order, task.digest) == "finished"
        assert [event["iteration"] for event in lines(folder) if event["kind"] == "losses"] == list(
            range(1, iterations + 1)
        )
        values = [(event["iteration"], event["value"]) for event in lines(folder) if event["kind"] == "evaluated"]
        assert values == [(at, fake_job.score(task.job, at)) for at in range(5, iterations + 1, 5)]


class Crew(LocalCrew):
    """The local launcher's crew without a process: who holds which job is the test's to say."""

    def __init__(self, order: Order) -> None:
        self.lines: list[str] = []
        super().__init__(order, self.lines.append)
        self.jobs = order.queue()
        self.jobs.enqueue(order.tasks)

    def begins(self, slot: LocalSlot, digest: str) -> Claim:
        slot.name, slot.log = f"worker-{slot.index}", self.order.runs / f"{slot.index}.txt"
        slot.log.touch()
        slot.company = bool(self.beside(slot))
        slot.process, slot.state = SimpleNamespace(pid=1), "works"  # type: ignore[assignment]
        self.folder_of(digest).path.mkdir(parents=True, exist_ok=True)
        claim = self.jobs.claim([digest], slot.name)
        assert claim is not None
        return claim

    def runs_out(self, slot: LocalSlot) -> None:
        slot.log.write_text("out of GPU memory: 11.0 GiB")
        slot.state = "empty"
        self.on_death(slot, NO_ROOM)


def test_what_a_worker_measured_makes_room_for_others(gpu_order: Callable[..., Order]) -> None:
    its = Crew(gpu_order(variants=2, workers=1, most_workers=6))
    one, other = its.order.digests
    first, second, third = its.slots[:3]
    claim = its.begins(first, one)
    assert not its.has_room(second)
    used = memory(3, total=10).model_dump_json()
    its.folder_of(one).write("memory.json", used.replace('"process":1', '"process":2'))
    its.measure(first, claim)
    assert not its.has_room(second), "measured by a process that is not this worker's"
    its.folder_of(one).write("memory.json", used)
    its.measure(first, None)  # The job has ended meanwhile.
    assert its.lines == ["GPU 0: a worker takes up to 3.5 of 10.0 GiB, so 2 may share it"]
    assert its.has_room(second)
    its.begins(second, other)
    assert not its.has_room(third)


def test_gpus_take_workers_in_turn(gpu_order: Callable[..., Order]) -> None:
    its = Crew(gpu_order(variants=5, workers=4, gpus=("0", "1")))
    for slot, digest in zip(its.slots, its.order.digests, strict=False):
        assert its.has_room(slot)
        its.begins(slot, digest)
    assert [slot.gpu for slot in its.slots] == [0, 1, 0, 1]
    assert not any(its.has_room(LocalSlot(4, gpu=gpu)) for gpu in (0, 1))


def test_who_runs_out_beside_others_gives_its_job_back_and_who_does_alone_fails_it(
    gpu_order: Callable[..., Order],
) -> None:
    its = Crew(gpu_order(variants=2, workers=2))
    one, other = its.order.digests
    first, second = its.slots
    its.begins(first, one)
    claim = its.begins(second, other)
    its.runs_out(second)
    assert its.lines == [
        f"out of memory of GPU 0, shared by 2, at {its.order.called(claim)}: at most 1 worker there now, "
        "the job will be resumed"
    ]
    assert its.jobs.waiting([other]) == [other] and its.folder_of(other).outcome() is None
    first.state = "empty"
    its.begins(second, other)
    its.runs_out(second)
    outcome = its.folder_of(other).outcome()
    assert outcome and (outcome.status, outcome.reason) == ("failed", "out of GPU memory: 11.0 GiB")
    assert not its.jobs.waiting([other])


def test_a_worker_without_room_holds_its_job_and_says_so_by_its_exit_code(
    gpu_order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    made = gpu_order((22,), variants=1, workers=2)
    queue = made.queue()
    queue.enqueue(made.tasks)
    with pytest.raises(SystemExit) as ended:
        serve(made, "worker", follow_parent=False)
    assert ended.value.code == NO_ROOM
    assert capsys.readouterr().err == "out of GPU memory: 11.0 GiB\n"
    assert queue.held_by("worker") is not None
    assert status(made, made.digests[0]) == "none"


@pytest.mark.slow
def test_one_worker_measures_and_then_as_many_share_as_fit(gpu_order: Callable[..., Order]) -> None:
    made = gpu_order((fake_job.SLOW + 6,), variants=7, workers=1, most_workers=6)
    said = launched(made)
    (steps,) = census(made).values()
    first = steps[0][0]
    before = [count for digest, count in steps if digest == first][: fake_gpu.FIRST_EVALUATION]
    assert before == [1] * fake_gpu.FIRST_EVALUATION
    assert max(count for _, count in steps) == 2  # 0.9 * 10 / 3.5
    assert said == ["GPU 0: a worker takes up to 3.5 of 10.0 GiB, so 2 may share it"]
    check_numbers(made)


@pytest.mark.slow
def test_out_of_memory_beside_others_costs_a_worker_and_no_job(gpu_order: Callable[..., Order]) -> None:
    made = gpu_order((fake_job.SLOW + 8,), variants=5, workers=4)
    said = launched(made)
    assert said[0].startswith("out of memory of GPU 0, shared by ")
    assert all("the job will be resumed" in line for line in said)
    assert "at most 2 workers there now" in said[-1]
    check_numbers(made)
    queue = made.queue()
    assert not queue.running(made.digests) and not queue.waiting(made.digests)


@pytest.mark.gpu
def test_real_jobs_share_a_real_gpu(gpu_order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    fields = {"device": "cuda", "gpus": accelerators()[:1], "most_workers": 3}
    made = gpu_order(variants=6, iterations=300, workers=1, **fields)
    monkeypatch.delenv(TRAINER_VARIABLE)
    said = launched(made)
    assert [line for line in said if "so 3 may share it" in line]
    assert {status(made, digest) for digest in made.digests} == {"finished"}
    for digest in made.digests:
        used = RunFolder(jobs_root(made.runs), digest).memory()
        assert used is not None and 0 < used.peak < used.total


# --- the command ------------------------------------------------------------------------------------------------------


def resources(runs: Path, **options: Any) -> Resources:
    given: dict[str, Any] = {"jobs": None, "gpus": ("0", "1"), "launcher": "local", **options}
    return resources_of("cuda" if given["gpus"] else "cpu", "lsun64", runs=runs, data_path=None, **given)


@pytest.mark.parametrize(
    ("options", "workers", "most", "threads"),
    [
        ({}, 2, None, 8),
        ({"jobs": 6}, 6, None, 2),
        ({"per_gpu": 3}, 6, None, 2),
        ({"per_gpu": 3, "jobs": 5}, 5, None, 3),
        ({"per_gpu": "auto"}, 2, 16, 1),
        ({"per_gpu": "auto", "jobs": 4}, 2, 4, 4),
        ({"per_gpu": "auto", "jobs": 1}, 1, 1, 16),
    ],
)
def test_workers_and_their_threads(
    options: dict[str, Any],
    workers: int,
    most: int | None,
    threads: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources_module, "cores", lambda: 16)
    found = resources(tmp_path, **options)
    assert (found.workers, found.most_workers, found.threads) == (workers, most, threads)


@pytest.mark.parametrize(("gpus", "parts"), [(0.5, True), (1.0, False), (0.0, False)])
def test_a_job_knows_whether_a_cluster_gives_its_gpu_to_others_too(gpus: float, parts: bool, tmp_path: Path) -> None:
    where: dict[str, Any] = {"gpus": ("0",) if gpus else (), "runs": tmp_path, "data_path": None, "launcher": "mine"}
    where |= {"cluster": RayCluster(gpus=gpus)}
    given = resources_of("auto", "lsun64", None, **where)
    assert (given.device, given.shares_gpus) == ("cuda" if gpus else "cpu", parts)
    with pytest.raises(InputError, match=r"--per-gpu 2: .* the entry \[mine\]"):
        resources_of("auto", "lsun64", None, per_gpu=2, **where)


def test_an_order_has_no_more_workers_than_tasks(
    small_plan: Callable[..., Plan], order: Callable[..., Order], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources_module, "cores", lambda: 16)
    plan = small_plan(variants=3)
    tasks = order(plan).tasks
    auto = resources(tmp_path, per_gpu="auto", gpus=("0",), jobs=8)
    assert Order.of_tasks(plan, auto, tasks, 1).shares_gpus
    assert Order.of_tasks(plan, auto, tasks, 1).most_workers == 3
    assert not Order.of_tasks(plan, auto, tasks[:1], 1).shares_gpus
    assert not Order.of_tasks(plan, resources(tmp_path), tasks, 2).shares_gpus


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"gpus": ()}, "jobs are trained on the CPU here, --jobs says how many"),
        ({"launcher": "inline"}, "--launcher inline trains one job at a time"),
    ],
)
def test_where_nothing_can_be_shared_it_is_one_line(options: dict[str, Any], line: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=line):
        resources(tmp_path, per_gpu=2, **options)


@pytest.mark.parametrize("text", ["0", "some", "-1", "1.5"])
def test_other_words_than_numbers_and_auto_are_one_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        studies.run.main(["changes_overview", "--runs", str(tmp_path), f"--per-gpu={text}", "--dry-run"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: --per-gpu {text}: give a number of workers, or auto\n"
