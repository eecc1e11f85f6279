"""Deaths that are alike give a job up, deaths that differ do not; a place is given up where nothing can start."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from core.folder import RunFolder
from studies.run_state import mark_failed
from studies.runner import deaths
from studies.runner.deaths import Death, note_claim, note_death

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


def test_a_count_that_cannot_be_read_begins_anew(job: Job) -> None:
    for text in ("", "{", '{"alike": "many"}'):
        job.attempt(4)
        (job.folder.path / deaths.FILE).write_text(text)
        assert job.dies() == Death(recorded=True, given_up=None)
