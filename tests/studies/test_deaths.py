"""Deaths that are alike give a job up, deaths that differ do not; a place is given up where nothing can start."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.events import Event
from core.folder import RunFolder, Status
from studies.plan import Plan, jobs_root
from studies.run_state import mark_failed
from studies.runner import deaths
from studies.runner.deaths import Death, note_claim, note_death
from studies.runner.launchers import crew
from studies.runner.launchers.crew import DeathsOfPlace, End, settle_death
from studies.runner.worker import Order
from tests.studies import fake_job

KILLED = "was killed by SIGKILL"


class Job:
    """A folder in which attempts record events, one after the other."""

    def __init__(self, root: Path) -> None:
        self.folder = RunFolder(root, "0" * 16)
        self.folder.path.mkdir()
        self.attempts = self.checkpoints = self.deaths = 0

    def attempt(self, until: int) -> None:
        self.attempts += 1
        lines = [
            {"kind": "checkpointed", "iteration": i, "images": i, "seconds": i + self.attempts / 100}
            for i in range(1, until + 1)
        ]
        self.folder.events_file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def checkpoint(self) -> None:
        self.checkpoints += 1
        self.folder.checkpoint_file.write_bytes(b"")
        os.utime(self.folder.checkpoint_file, ns=(self.checkpoints, self.checkpoints))

    def dies(self, how: str = KILLED, *, hung: bool = False, lost: bool = False) -> Death:
        """Of a worker of its own, and told as by a command of its own: nothing but the folder is left of the last."""
        self.deaths += 1
        return note_death(
            RunFolder(self.folder.path.parent, self.folder.digest), f"w{self.deaths}", how, hung=hung, lost=lost
        )


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_alike_deaths_in_a_row_give_a_job_up(job: Job) -> None:
    found = []
    for until in (4, 4, 3, 4, 4, 4):
        job.attempt(until)
        found.append(job.dies().given_up)
    assert found[:-1] == [None] * 5
    assert found[-1] == f"its worker {KILLED}, {deaths.ALIKE} times in a row after iteration 4"


def test_two_ways_of_dying_are_not_alike_and_hanging_twice_is_enough(job: Job) -> None:
    ways = [(KILLED, False), ("hung", True), (KILLED, False), ("hung", True), ("hung", True)]
    found = []
    for how, hung in ways:
        job.attempt(4)
        found.append(job.dies(how, hung=hung).given_up)
    assert found[:-1] == [None] * 4
    assert found[-1] == "its worker hung, 2 times in a row after iteration 4"


def test_hanging_before_the_first_event_counts(job: Job) -> None:
    assert job.dies("hung", hung=True).given_up is None
    assert job.dies("hung", hung=True).given_up is not None


def test_a_worker_killed_before_it_recorded_anything_says_nothing_of_the_point(job: Job) -> None:
    job.attempt(4)
    assert job.dies() == Death(recorded=True, given_up=None)
    for _ in range(deaths.WITHOUT_CHECKPOINT - 2):
        assert job.dies() == Death(recorded=False, given_up=None)
    last = job.dies().given_up
    assert last is not None and f"the last of {deaths.WITHOUT_CHECKPOINT} deaths" in last


def test_a_job_that_gets_further_is_resumed_without_end(job: Job) -> None:
    for until in range(1, 5 * deaths.WITHOUT_CHECKPOINT):
        job.attempt(until)
        job.checkpoint()
        assert job.dies().given_up is None


def test_a_death_that_two_notice_counts_once(job: Job) -> None:
    job.attempt(4)
    for worker in ("a", "b"):
        for _ in range(deaths.ALIKE):
            assert note_death(job.folder, worker, KILLED).given_up is None
        job.attempt(4)
    verdicts = [note_death(job.folder, "c", KILLED).given_up for _ in range(2)]
    assert verdicts[0] == verdicts[1] and verdicts[0] is not None


def test_lost_workers_say_nothing_of_the_point_but_do_not_go_on_without_end(job: Job) -> None:
    for _ in range(deaths.WITHOUT_CHECKPOINT - 1):
        job.attempt(4)
        assert job.dies(deaths.LOST, lost=True) == Death(recorded=True, given_up=None)
    job.checkpoint()
    for _ in range(deaths.WITHOUT_CHECKPOINT - 1):
        job.attempt(4)
        assert job.dies(deaths.LOST, lost=True).given_up is None
    job.attempt(4)
    assert job.dies(deaths.LOST, lost=True).given_up == (
        f"its worker was lost, the last of {deaths.WITHOUT_CHECKPOINT} deaths in a row without a checkpoint"
    )


def test_a_job_that_is_tried_once_more_has_all_its_chances_again(job: Job) -> None:
    for _ in range(2):
        for death in range(1, deaths.ALIKE + 1):
            job.attempt(4)
            assert (job.dies().given_up is None) == (death < deaths.ALIKE)
        mark_failed(job.folder, "given up")
        os.utime(job.folder.path / "outcome.json", ns=(job.deaths, job.deaths))


def test_what_an_earlier_command_recorded_is_not_the_doing_of_who_dies_first(job: Job) -> None:
    job.attempt(4)
    note_claim(job.folder)
    assert job.dies() == Death(recorded=False, given_up=None)
    note_claim(job.folder)
    assert job.dies() == Death(recorded=False, given_up=None)
    job.attempt(4)
    assert job.dies() == Death(recorded=True, given_up=None)


def test_a_claim_forgets_no_death(job: Job) -> None:
    for death in range(1, deaths.ALIKE + 1):
        note_claim(job.folder)
        job.attempt(4)
        assert (job.dies().given_up is None) == (death < deaths.ALIKE)


class Killed(BaseException):
    """The process is gone at this point."""


def test_a_worker_that_dies_before_it_records_anything_at_a_job_of_an_earlier_command(
    small_plan: Callable[..., Plan], order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = order(small_plan(variants=1))
    queue, place = made.queue(), DeathsOfPlace()
    queue.enqueue(made.tasks)
    stops = iter([False, False])
    made.work("before", stop=lambda: next(stops, True), each=lambda: None)
    assert RunFolder(jobs_root(made.runs), made.digests[0]).events()

    def dies(*_: object, **__: object) -> Iterator[Event]:
        raise Killed

    monkeypatch.setattr(fake_job, "run_job", dies)
    with pytest.raises(Killed):
        made.work("w", stop=lambda: False, each=lambda: None)
    told = settle_death(made, queue, "w", End.of(-9, []), place)
    assert told is not None and "the job will be resumed" in told and place.kills == 1
    assert queue.waiting(made.digests) == made.digests


def test_a_worker_lost_with_its_node_says_nothing_of_the_point_nor_of_the_place(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(variants=1))
    queue, place = made.queue(), DeathsOfPlace(exits=1, kills=1)
    queue.enqueue(made.tasks)
    folder = RunFolder(jobs_root(made.runs), made.digests[0])
    folder.path.mkdir(parents=True)
    for attempt in range(deaths.WITHOUT_CHECKPOINT):
        worker = f"w{attempt}"
        assert queue.claim(made.digests, worker)
        folder.write(
            "events.jsonl", json.dumps({"kind": "sampled", "iteration": 4, "images": 4, "seconds": attempt / 8}) + "\n"
        )
        told = settle_death(made, queue, worker, End("was lost with its node", killed=True, lost=True), place)
        assert place == DeathsOfPlace(exits=1, kills=1)
        assert (told is None) == (attempt + 1 == deaths.WITHOUT_CHECKPOINT)
    outcome = folder.outcome()
    assert outcome and outcome.reason == (
        "its worker was lost with its node, "
        f"the last of {deaths.WITHOUT_CHECKPOINT} deaths in a row without a checkpoint"
    )
    settle_death(made, queue, "idle", End("was lost with its node", killed=True, lost=True), place)
    assert place == DeathsOfPlace(exits=1, kills=1)


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_worker_that_dies_after_its_job_has_ended_takes_nothing_of_the_result(
    status: Status, small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    """Killed between the job's outcome and its word to the queue, as where that is out of reach."""
    made = order(small_plan(variants=1, seeds=(fake_job.DIVERGES if status == "diverged" else 0,)))
    queue, place = made.queue(), DeathsOfPlace()
    queue.enqueue(made.tasks)
    claim = queue.claim(made.digests, "w")
    assert claim is not None
    list(fake_job.run_job(made.tasks[0].job, runs=jobs_root(made.runs), cache=made.cache))
    folder = RunFolder(jobs_root(made.runs), claim.digest)
    result = (folder.path / "outcome.json").read_bytes()
    told = settle_death(made, queue, "w", End.of(3, ["the queue is out of reach"]), place)
    assert told is not None and told.endswith("had ended") and place.exits == 0
    assert not (folder.path / deaths.FILE).exists() and not folder.log_file.exists()
    mark_failed(folder, "given up")
    assert (folder.path / "outcome.json").read_bytes() == result
    outcome = folder.outcome()
    assert outcome is not None and outcome.status == status
    assert not queue.waiting(made.digests) and not queue.running(made.digests)
    assert [trial.state.name for trial in queue._study.trials] == ["COMPLETE"]


def test_a_count_that_cannot_be_read_begins_anew(job: Job) -> None:
    for text in ("", "{", '{"alike": "many"}'):
        job.attempt(4)
        (job.folder.path / deaths.FILE).write_text(text)
        assert job.dies() == Death(recorded=True, given_up=None)


@pytest.mark.parametrize(
    ("killed", "limit"), [(False, crew.EXITS_OF_A_PLACE), (True, crew.KILLS_OF_A_PLACE)], ids=["exits", "kills"]
)
def test_a_place_is_given_up_after_deaths_in_a_row_that_recorded_nothing(killed: bool, limit: int) -> None:
    place = DeathsOfPlace()
    for _ in range(limit - 1):
        place.note(killed=killed, recorded=False)
    place.note(killed=killed, recorded=True)
    for _ in range(limit - 1):
        place.note(killed=killed, recorded=False)
    assert not place.given_up
    place.note(killed=killed, recorded=False)
    assert place.given_up
