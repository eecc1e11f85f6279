"""One order of events, whoever evaluates: what a loop does next waits behind an evaluation that is not back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from core.evaluate import Answer, Evaluator, Moment
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
    for event in _merged(steps, evaluator, checkpoint_due):
        yield event
        if isinstance(event, Diverged):
            return


def _merged(
    steps: Iterator[Event | Pause], evaluator: Evaluator, checkpoint_due: Callable[[], bool]
) -> Iterator[Event]:
    under_way: Answer | None = None
    behind: list[Event] = []
    failure: Exception | None = None

    def until_it_fails() -> Iterator[Event | Pause]:
        nonlocal failure
        try:
            yield from steps
        except Exception as error:
            failure = error

    def caught_up() -> Iterator[Event]:
        """The evaluation that is under way, waited for, and what stands behind it."""
        nonlocal under_way
        if under_way is not None:
            answer, under_way = under_way, None
            yield from answer
        yield from behind
        behind.clear()

    for step in until_it_fails():
        if isinstance(step, Pause):
            if step.evaluates or (under_way is not None and under_way.ready):
                yield from caught_up()
            # Asked also where the answer cannot be acted on: who is asked learns that the loop goes on.
            due = checkpoint_due()
            if under_way is None and due:
                yield Checkpointed(state=step.state(), **step.moment)
            if step.evaluates:
                under_way = evaluator.ask(step.generator, step.moment)
        else:
            behind.append(step)
        if under_way is None or under_way.ready:
            yield from caught_up()
    yield from caught_up()
    if failure is not None:
        raise failure
