"""Orders for trials of a search, whose workers ask Optuna for one, train it, and tell how it went.

`python -m studies.runner.sweep ORDER NAME` is a worker, which the launchers start as they do those of a queue.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import click
from pydantic import Field

from ablations.search import Search
from core.config import AnyConfig, Job
from core.reading import model_of
from studies.click_life import Command
from studies.runner.claim import Claim
from studies.runner.order import AGAIN, TrainingOrder
from studies.runner.trials import Trials
from studies.runner.worker import serve

FAILURES = 3
"""So many failed trials in one command end a search: the next ones would fail as well."""


class SearchOrder(TrainingOrder):
    """Trials of a search, which are proposed as workers claim them."""

    module: ClassVar[str] = "studies.runner.sweep"
    taken_seconds: ClassVar[float] = 0.0

    search: Search
    base: AnyConfig
    start: dict[str, float] = Field(default_factory=dict)
    trials: int
    failures: int = FAILURES

    @property
    def digests(self) -> list[str]:
        """See `TrainingOrder`."""
        return []

    def queue(self) -> Trials:
        """See `TrainingOrder`."""
        return Trials(
            self.runs,
            self.study,
            self.setting,
            self.search,
            self.base,
            start=self.start,
            budget=self.trials,
            failures=self.failures,
            hang_seconds=self.hang_seconds,
        )

    def claim(self, queue: Trials, worker: str) -> tuple[Claim, Job] | None:
        """See `TrainingOrder`."""
        claim = queue.claim(worker)
        return None if claim is None else (claim, queue.job(claim))

    def called(self, claim: Claim) -> str:
        """See `TrainingOrder`."""
        return f"{self.search.name} trial {claim.number}"


@click.command(cls=Command)
@click.argument("order_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("name")
@click.option("--follow-parent", is_flag=True, help="Stop when stdin ends.")
def main(order_file: Path, name: str, follow_parent: bool) -> None:
    """Works off the search in ORDER_FILE as worker NAME."""
    serve(model_of(order_file, SearchOrder, AGAIN), name, follow_parent)


if __name__ == "__main__":
    main()
