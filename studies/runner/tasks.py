"""A task is one job of a plan with what people call it; how it stands, its `core.folder.RunFolder` says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from ablations.schema import DesignName
from core.config import Job, Node
from core.numbers import Seed
from studies.plan import Plan

TimesFrom = Literal["runs", "calibration", "record"]
"""Finished runs on this machine, a calibration of it, or times recorded with the code, perhaps of another machine."""


class Task(Node):
    """One variant with one seed. `expected_seconds` is None where nobody has measured such a job; of an interrupted
    one it is what is left."""

    digest: str
    variant: str
    title: str
    designs: dict[DesignName, int] = Field(default_factory=dict)
    changes: tuple[str, ...] = ()
    seed: Seed
    job: Job
    expected_seconds: float | None = None
    times_from: TimesFrom | None = None

    @property
    def sentence(self) -> str:
        """As people read it: "all but NS loss · seed 1"."""
        return self.title + self.seed_words

    @property
    def seed_words(self) -> str:
        """The end of its sentence."""
        return f" · seed {self.seed}"


def tasks_of(plan: Plan) -> list[Task]:
    """Every variant with each of its seeds, seeds innermost, in plan order."""
    return [
        Task(
            digest=(job := variant.job(seed)).digest,
            variant=variant.name,
            title=variant.title,
            designs=variant.designs,
            changes=variant.changes,
            seed=seed,
            job=job,
        )
        for variant, seed in plan.jobs()
    ]


def longest_first(tasks: Iterable[Task]) -> list[Task]:
    """Tasks by expected seconds, so that the last ones to end are short; unknown ones first, for they may be long."""
    return sorted(tasks, key=lambda task: -(task.expected_seconds if task.expected_seconds is not None else 1e12))
