"""One order of events, whoever evaluates: what a loop does next waits behind an evaluation that is not back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from core.evaluation import Answer, Evaluator, Moment
from core.events import Checkpointed, Diverged, Event
from core.models.generator import Generator


@dataclass(frozen=True)
class Pause:
    """A loop between two iterations: all is as the iteration left it until the loop is asked to go on.

    `evaluates` says whether `generator` is to be measured here. `state()` is that of a `Checkpointed` event; a loop
    that resumes from it pauses here again, so a checkpoint stands before the evaluation of its iteration.
    """

    moment: Moment
    generator: Generator
    evaluates: bool
    state: Callable[[], dict[str, Any]]


def interleaved(
    steps: Iterator[Event | Pause], evaluator: Evaluator, checkpoint_due: Callable[[], bool]
) -> Iterator[Event]:
    """The events of `steps` with each evaluation's where the loop paused for it; nothing follows `Diverged`.

    One evaluation is under way at a time: at the next one the loop waits for it. Checkpoints are taken while none is
    under way, at a pause where `checkpoint_due()`, so that all that happened before them has passed. An error of the
    loop is raised once what happened before it has passed.
    """
    line, failure, ended = _Line(evaluator, checkpoint_due), None, False
    while not ended:
        try:
            step = next(steps, None)
        except Exception as error:
            step, failure = None, error
        ended = step is None
        for event in line.waited_for() if step is None else line.after(step):
            yield event
            if isinstance(event, Diverged):
                return
    if failure is not None:
        raise failure


class _Line:
    """An evaluation that is under way, and the events that stand behind it."""

    def __init__(self, evaluator: Evaluator, checkpoint_due: Callable[[], bool]) -> None:
        self.evaluator, self.checkpoint_due = evaluator, checkpoint_due
        self.under_way: Answer | None = None
        self.behind: list[Event] = []

    def after(self, step: Event | Pause) -> Iterator[Event]:
        """The events that may pass once the loop has made this step."""
        if isinstance(step, Pause):
            yield from self._at(step)
        else:
            self.behind.append(step)
        if self.under_way is None or self.under_way.ready:
            yield from self.waited_for()

    def _at(self, pause: Pause) -> Iterator[Event]:
        if pause.evaluates or (self.under_way is not None and self.under_way.ready):
            yield from self.waited_for()
        # Called at every pause, even if no checkpoint can be written now: the call tells that the loop goes on.
        due = self.checkpoint_due()
        if self.under_way is None and due:
            yield Checkpointed(state=pause.state(), **pause.moment)
        if pause.evaluates:
            self.under_way = self.evaluator.ask(pause.generator, pause.moment)

    def waited_for(self) -> Iterator[Event]:
        """The events of the evaluation, and those behind it."""
        if self.under_way is not None:
            answer, self.under_way = self.under_way, None
            yield from answer
        yield from self.behind
        self.behind.clear()
