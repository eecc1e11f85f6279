"""The rules of all launchers, on workers without a process: how many there are, and what becomes of their jobs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from filelock import FileLock

from core.command_line import BAD_INPUT
from core.errors import InputError
from core.folder import Status
from studies.plan import Plan, jobs_root
from studies.run_state import mark_failed
from studies.runner import deaths
from studies.runner.deaths import ALIKE, FILE, HANGS_ALIKE, WITHOUT_CHECKPOINT
from studies.runner.heartbeat import Silence, heartbeat_file
from studies.runner.launchers import crew as rules
from studies.runner.launchers.crew import EXITS_OF_A_PLACE, KILLS_OF_A_PLACE, End, OwnCrew, Slot, Streak
from studies.runner.order import NO_ROOM, Order, WorkersLost
from studies.runner.outages import Unreachable
from studies.runner.queue import Queue
from studies.runner.worker import work
from tests.support import fake_job

LOST = End("was lost with its node", killed=True, lost=True)


class FakeCrew(OwnCrew[Slot]):
    """What becomes of its workers is the test's to say."""

    def __init__(self, order: Order) -> None:
        self.lines: list[str] = []
        self.ended: list[tuple[Slot, int | End]] = []
        self.started: list[str] = []
        self.killed: list[str] = []
        self.times_asked = 0
        super().__init__(order, self.lines.append, [Slot(index) for index in range(order.workers)])
        assert isinstance(self.queue, Queue)
        self.jobs = self.queue
        self.jobs.enqueue(order.tasks)

    def start(self, slot: Slot) -> None:
        slot.log.touch()
        slot.state = "works"
        self.started.append(slot.name)

    def ends(self) -> Iterator[tuple[Slot, int | End]]:
        while self.ended:
            yield self.ended.pop(0)

    def kill(self, slot: Slot) -> None:
        self.killed.append(slot.name)
        self.ended.append((slot, -9))

    def ask_to_stop(self) -> None:
        self.times_asked += 1
        self.ended += [(slot, 0) for slot in self.alive]

    def kill_all(self) -> list[Slot]:
        return self.alive

    # --- what happens to them -----------------------------------------------------------------------------------------

    def begins(self, slot: Slot, digest: str) -> bool:
        """Whether the worker gets this job; then it records an event after iteration 4, with seconds of its own."""
        if self.jobs.claim([digest], slot.name) is None:
            return False
        folder = self.folder_of(digest)
        folder.path.mkdir(parents=True, exist_ok=True)
        seconds = len(self.started) / 8
        event = {"kind": "sampled", "iteration": 4, "images": 4, "seconds": seconds}
        folder.write("events.jsonl", json.dumps(event) + "\n")
        return True

    def dies(self, slot: Slot, end: int | End, words: str = "its last words\n") -> None:
        slot.log.write_text(words)
        self.ended.append((slot, end))
        self.take_in()

    def reason(self, digest: str) -> str | None:
        outcome = self.folder_of(digest).outcome()
        return outcome.reason if outcome and outcome.status == "failed" else None


@pytest.fixture
def crew(small_plan: Callable[..., Plan], order: Callable[..., Order]) -> Callable[..., FakeCrew]:
    """Makes a crew for fake jobs of one variant."""

    def make(*seeds: int, workers: int = 2) -> FakeCrew:
        return FakeCrew(order(small_plan(seeds=seeds or (0,), variants=1), workers=workers))

    return make


# --- how many there are -----------------------------------------------------------------------------------------------


def test_there_are_as_many_as_jobs_wait_for_beyond_those_that_are_idle(crew: Callable[..., FakeCrew]) -> None:
    its = crew(0, 1, 2, workers=4)
    assert its.look() and len(its.started) == 3
    assert its.look() and len(its.started) == 3, "idle ones will claim the jobs"
    assert its.jobs.claim(its.order.digests, "another")
    assert its.begins(its.slots[0], its.order.digests[1])
    assert its.look() and len(its.started) == 3


def test_it_lasts_until_every_job_has_ended_whoever_trains_it(crew: Callable[..., FakeCrew]) -> None:
    its = crew(0)
    with FileLock(its.jobs.worker_lock("other")):
        claim = its.jobs.claim(its.order.digests, "other")
        assert claim is not None
        assert its.look() and not its.started, "another runner trains it"
        its.jobs.release(claim, again=False)
    assert not its.look()


def test_a_worker_that_ended_well_is_gone_without_a_word(crew: Callable[..., FakeCrew]) -> None:
    its = crew(0)
    its.look()
    slot = its.slots[0]
    work(its.order, slot.name, stop=lambda: False)
    its.dies(slot, 0, words="")
    assert not its.look() and its.lines == [] and not slot.log.exists()


# --- those that die ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "how", "perhaps"),
    [
        (1, "ended with code 1", ""),
        (-9, "was killed by SIGKILL", "; perhaps for want of memory"),
        (NO_ROOM, "found no memory left on its part of a GPU", ""),
        (End("ended as OUT_OF_MEMORY", killed=True), "ended as OUT_OF_MEMORY", ""),
    ],
)
def test_a_job_whose_workers_die_alike_is_given_up_and_others_go_on(
    end: int | End, how: str, perhaps: str, crew: Callable[..., FakeCrew]
) -> None:
    its = crew(0, 1, workers=1)
    bad, other = its.order.digests
    for attempt in range(1, ALIKE + 1):
        assert its.look() and len(its.started) == attempt
        assert its.begins(its.slots[0], bad)
        its.dies(its.slots[0], End(**{**vars(end), "words": ["its last words"]}) if isinstance(end, End) else end)
        assert (its.reason(bad) is None) == (attempt < ALIKE)
    assert its.reason(bad) == f"its worker {how}, {ALIKE} times in a row after iteration 4{perhaps}"
    assert "its last words\n" in its.folder_of(bad).log_file.read_text()
    assert its.lines == (ALIKE - 1) * [f"worker 1 {how} at baseline seed 0: the job will be resumed"]
    its.look()
    work(its.order, its.slots[0].name, stop=lambda: False)
    its.dies(its.slots[0], 0)
    assert not its.look()
    outcome = its.folder_of(other).outcome()
    assert outcome and outcome.status == "finished"


def test_a_job_that_gets_further_is_resumed(crew: Callable[..., FakeCrew]) -> None:
    its = crew(0)
    (digest,) = its.order.digests
    its.look()
    assert its.begins(its.slots[0], digest)
    its.dies(its.slots[0], -9)
    its.look()
    work(its.order, its.slots[0].name, stop=lambda: False)
    outcome = its.folder_of(digest).outcome()
    assert outcome and outcome.status == "finished"


def test_a_worker_whose_loop_hangs_is_ended_and_its_job_given_up_the_second_time(
    crew: Callable[..., FakeCrew],
) -> None:
    its, now = crew(0), [0.0]
    its.silence = Silence(100.0, lambda: now[0])
    for attempt in range(1, HANGS_ALIKE + 1):
        its.look()
        slot = its.slots[0]
        assert its.begins(slot, its.order.digests[0])
        heartbeat_file(its.queue.worker_lock(slot.name)).touch()
        its.take_in()
        now[0] += 101
        assert len(its.killed) == attempt - 1
        its.take_in()
        assert len(its.killed) == attempt
        its.take_in()
    assert its.reason(its.order.digests[0]) == f"its worker hung, {HANGS_ALIKE} times in a row after iteration 4"
    assert its.lines == [
        "worker 1 was silent for 101 s: it was ended",
        "worker 1 hung at baseline seed 0: the job will be resumed",
        "worker 1 was silent for 101 s: it was ended",
    ]


def test_who_finds_the_input_unusable_ends_everything_with_its_line(crew: Callable[..., FakeCrew]) -> None:
    its = crew(0, 1)
    its.look()
    assert its.begins(its.slots[0], its.order.digests[0])
    with pytest.raises(InputError, match=r"^no Inception weights here$"):
        its.dies(its.slots[1], BAD_INPUT, "Traceback\nno Inception weights here\n")
    its.close()
    assert not its.jobs.running(its.order.digests)
    assert sorted(its.jobs.waiting(its.order.digests)) == sorted(its.order.digests)
    assert not list(jobs_root(its.order.runs).glob(f"*/{FILE}")), "whom the command ends counts for nothing"
    assert not its.file.exists()


@pytest.mark.parametrize(("code", "limit"), [(1, EXITS_OF_A_PLACE), (-15, KILLS_OF_A_PLACE)])
def test_places_in_which_no_worker_starts_are_given_up(code: int, limit: int, crew: Callable[..., FakeCrew]) -> None:
    its = crew(*range(3), workers=2)
    for _ in range(limit):
        its.look()
        for slot in its.alive:
            its.dies(slot, code, "No module named 'studies'\n")
    with pytest.raises(WorkersLost, match=r"^workers keep dying, the log is .*: No module named 'studies'$"):
        its.look()
    assert len(its.started) == 2 * limit


def test_a_streak_ends_with_a_worker_that_recorded_something() -> None:
    for killed, limit in ((False, EXITS_OF_A_PLACE), (True, KILLS_OF_A_PLACE)):
        streak = Streak()
        for recorded in (*(limit - 1) * (False,), True, *(limit - 1) * (False,)):
            streak.note(killed=killed, recorded=recorded)
        assert not streak.given_up
        streak.note(killed=killed, recorded=False)
        assert streak.given_up


def test_a_worker_lost_with_its_node_says_nothing_of_the_point_nor_of_its_place(
    crew: Callable[..., FakeCrew],
) -> None:
    its, streak = crew(0), Streak(exits=1, kills=1)
    (digest,) = its.order.digests
    for attempt in range(1, WITHOUT_CHECKPOINT + 1):
        its.look()
        assert its.begins(its.slots[0], digest)
        its.slots[0].streak = streak
        its.dies(its.slots[0], LOST)
        assert streak == Streak(exits=1, kills=1)
        assert (its.reason(digest) is None) == (attempt < WITHOUT_CHECKPOINT)
    assert its.reason(digest) == (
        f"its worker was lost with its node, the last of {WITHOUT_CHECKPOINT} deaths in a row without a checkpoint"
    )
    assert its.release_lost("idle", LOST, streak) and streak == Streak(exits=1, kills=1)


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_worker_that_dies_after_its_job_has_ended_takes_nothing_of_the_result(
    status: Status, crew: Callable[..., FakeCrew]
) -> None:
    """Killed between the job's outcome and its word to the queue, as where that is out of reach."""
    its, streak = crew(fake_job.DIVERGES if status == "diverged" else 0), Streak()
    claim = its.jobs.claim(its.order.digests, "w")
    assert claim is not None and isinstance(its.order, Order)
    list(fake_job.run_job(its.order.tasks[0].job, runs=jobs_root(its.order.runs), cache=its.order.cache))
    folder = its.folder_of(claim.digest)
    result = (folder.path / "outcome.json").read_bytes()
    line = its.release_lost("w", End.of(3, ["the queue is out of reach"]), streak)
    assert line is not None and line.endswith("had ended") and streak.exits == 0
    assert not (folder.path / FILE).exists() and not folder.log_file.exists()
    mark_failed(folder, "given up")
    assert (folder.path / "outcome.json").read_bytes() == result
    outcome = folder.outcome()
    assert outcome is not None and outcome.status == status
    assert not its.jobs.waiting(its.order.digests) and not its.jobs.running(its.order.digests)
    assert [trial.state.name for trial in its.jobs._study.trials] == ["COMPLETE"]


class Killed(BaseException):
    """The process is gone at this point."""


def test_a_worker_that_dies_before_it_records_anything_at_a_job_of_an_earlier_command(
    crew: Callable[..., FakeCrew], monkeypatch: pytest.MonkeyPatch
) -> None:
    its, streak = crew(0), Streak()
    stops = iter([False, False])
    work(its.order, "before", stop=lambda: next(stops, True))
    assert its.folder_of(its.order.digests[0]).events()

    def dies(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(fake_job, "run_job", dies)
    with pytest.raises(Killed):
        work(its.order, "w", stop=lambda: False)
    line = its.release_lost("w", End.of(-9, []), streak)
    assert line is not None and "the job will be resumed" in line and streak.kills == 1
    assert its.jobs.waiting(its.order.digests) == its.order.digests


def test_jobs_of_other_runners_are_not_looked_for_before_every_end_of_ones_own_is_known(
    crew: Callable[..., FakeCrew],
) -> None:
    its = crew(0, 1, workers=1)
    mine, theirs = its.order.digests
    its.look()
    assert its.begins(its.slots[0], mine) and its.jobs.claim([theirs], "gone-runner")
    its.queue.worker_lock(its.slots[0].name).touch()  # It was killed.
    its._orphans = float("-inf")
    its.look()
    assert its.jobs.running([theirs]), "the own worker's lock is free: its end says more than that it was lost"
    its.dies(its.slots[0], -9)
    its.look()
    assert not its.jobs.running([theirs])
    folder = its.folder_of(mine)
    assert json.loads((folder.path / deaths.FILE).read_text())["how"] == "was killed by SIGKILL"


# --- stopping ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "TICK_SECONDS", 0.0)


@pytest.mark.usefixtures("quick")
def test_stopping_asks_the_workers_once_and_waits_for_them(crew: Callable[..., FakeCrew]) -> None:
    its = crew(0, 1, 2)
    looks = iter(range(10))
    its.run(stop=lambda: len(its.started) == 2 and next(looks) >= 0, tick=lambda: None)
    assert its.times_asked == 1 and its.alive == [] and its.lines == []
    assert sorted(its.jobs.waiting(its.order.digests)) == sorted(its.order.digests)
    assert not its.file.exists() and not list((its.order.runs / "queue" / "logs").iterdir())


@pytest.mark.usefixtures("quick")
def test_stopping_while_the_queue_is_gone_tells_the_workers_all_the_same(
    crew: Callable[..., FakeCrew], monkeypatch: pytest.MonkeyPatch
) -> None:
    its, stopping = crew(0, 1), list[bool]()

    def gone(*_: object) -> None:
        stopping.append(True)
        raise Unreachable("gone")

    def tick() -> None:
        if len(its.started) == 2 and not stopping:
            its.ended.append((its.slots[0], 1))  # Its end is looked for in the queue.
            monkeypatch.setattr(Queue, "held_by", gone)

    its.run(stop=lambda: bool(stopping), tick=tick)
    assert its.times_asked == 1 and its.alive == []


@pytest.mark.usefixtures("quick")
def test_a_queue_that_stays_out_of_reach_ends_the_command(
    crew: Callable[..., FakeCrew], monkeypatch: pytest.MonkeyPatch
) -> None:
    its = crew(0)

    def gone(*_: object) -> None:
        raise Unreachable("gone")

    monkeypatch.setattr(Queue, "waiting", gone)
    with pytest.raises(Unreachable):
        its.run(stop=lambda: False, tick=lambda: None)


@pytest.mark.usefixtures("quick")
def test_workers_that_the_command_itself_kills_count_for_nothing(crew: Callable[..., FakeCrew]) -> None:
    its = crew(0)

    def second_interrupt() -> None:
        if its.started and its.begins(its.slots[0], its.order.digests[0]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        its.run(stop=lambda: False, tick=second_interrupt)
    assert its.jobs.waiting(its.order.digests) == its.order.digests and not its.jobs.running(its.order.digests)
    assert not (its.folder_of(its.order.digests[0]).path / FILE).exists()
