"""One order of events: however late evaluations come, what is recorded is what an evaluation at once leaves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import product

import pytest
from torch import nn

from core.evaluation import Answer, Moment
from core.events import Checkpointed, Diverged, Evaluated, Event, Losses, Sampled
from core.interleave import Pause, interleaved

ITERATIONS, EVERY = 12, 4
NEVER = 10**9


def at(iteration: int) -> Moment:
    return {"iteration": iteration, "images": iteration, "seconds": 0.0}


class Loop:
    """Steps that say how far they went, and whether they were closed; `fails_at` is an error of that iteration."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.iteration, self.fails_at, self.closed = 0, fails_at, False

    def steps(self, since: int = 0) -> Iterator[Event | Pause]:
        self.iteration = since
        try:
            while True:
                if self.iteration:
                    yield self.pause()
                if self.iteration == ITERATIONS:
                    return
                self.iteration += 1
                if self.iteration == self.fails_at:
                    raise RuntimeError("the loop broke")
                yield Losses(**at(self.iteration), d_loss=0, g_loss=0, penalty=0, real_score=0, fake_score=0)
        finally:
            self.closed = True

    def pause(self) -> Pause:
        now = self.iteration
        return Pause(at(now), nn.Identity(), now % EVERY == 0, lambda: {"iteration": now})  # type: ignore[arg-type]


class Late:
    """An evaluator whose answers are ready when they were looked at so many times, or read."""

    def __init__(self, looks: Callable[[int], int], diverges_at: int | None = None) -> None:
        self.looks, self.diverges_at = looks, diverges_at
        self.asked: list[int] = []
        self.under_way = 0

    def ask(self, generator: nn.Module, moment: Moment) -> Answer:
        self.asked.append(moment["iteration"])
        self.under_way += 1
        assert self.under_way == 1
        return _Late(self, moment)


class _Late:
    def __init__(self, evaluator: Late, moment: Moment) -> None:
        self.evaluator, self.moment = evaluator, moment
        self.left = evaluator.looks(moment["iteration"])

    @property
    def ready(self) -> bool:
        self.left -= 1
        return self.left < 0

    def __iter__(self) -> Iterator[Event]:
        yield Evaluated(metric="metric", value=1.0, evaluation_seconds=0.0, **self.moment)
        yield Sampled(**self.moment)
        if self.moment["iteration"] == self.evaluator.diverges_at:
            yield Diverged(reason="not finite", **self.moment)
        self.evaluator.under_way -= 1


def never() -> bool:
    return False


def recorded(events: Iterator[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Checkpointed)]


AT_ONCE = Late(lambda _: 0)
INLINE = recorded(interleaved(Loop().steps(), AT_ONCE, never))  # type: ignore[arg-type]


def test_inline_the_loop_stands_still_until_its_evaluation_is_recorded() -> None:
    loop = Loop()
    for event in interleaved(loop.steps(), Late(lambda _: 0), never):  # type: ignore[arg-type]
        assert event.iteration == loop.iteration
    assert [e.iteration for e in INLINE if isinstance(e, Evaluated)] == [4, 8, 12] == AT_ONCE.asked
    assert len(INLINE) == ITERATIONS + 3 * 2


@pytest.mark.parametrize("looks", list(product([1, 3, NEVER], repeat=3)))
def test_however_late_the_order_is_that_of_inline(looks: tuple[int, int, int]) -> None:
    loop, late = Loop(), Late(lambda iteration: looks[iteration // EVERY - 1])
    assert list(interleaved(loop.steps(), late, never)) == INLINE  # type: ignore[arg-type]


def test_the_loop_goes_on_until_the_next_evaluation_and_no_further() -> None:
    loop = Loop()
    events = interleaved(loop.steps(), Late(lambda _: NEVER), never)  # type: ignore[arg-type]
    went = {event.iteration: loop.iteration for event in events if isinstance(event, Evaluated)}
    assert went == {4: 8, 8: 12, 12: 12}


@pytest.mark.parametrize("looks", [0, 3, 9, NEVER])
def test_a_checkpoint_stands_behind_all_that_happened_before_it_and_resumes_to_the_same(looks: int) -> None:
    events = list(interleaved(Loop().steps(), Late(lambda _: looks), lambda: True))  # type: ignore[arg-type]
    assert recorded(iter(events)) == INLINE
    checkpoints = [i for i, event in enumerate(events) if isinstance(event, Checkpointed)]
    # Even where the next evaluation is always due before the last one is back.
    assert {4, 8, 12} <= {events[i].iteration for i in checkpoints}
    for i in checkpoints:
        state = events[i].state  # type: ignore[union-attr]
        rest = interleaved(Loop().steps(since=state["iteration"]), Late(lambda _: 2), never)  # type: ignore[arg-type]
        assert recorded(iter(events[:i])) + list(rest) == INLINE


def test_it_is_asked_after_every_iteration_and_takes_no_checkpoint_while_an_evaluation_is_under_way() -> None:
    late = Late(lambda _: 6)
    asked: list[int] = []

    def due() -> bool:
        asked.append(late.under_way)
        return True

    events = list(interleaved(Loop().steps(), late, due))  # type: ignore[arg-type]
    assert len(asked) == ITERATIONS and set(asked) == {0, 1}
    assert sum(isinstance(event, Checkpointed) for event in events) == asked.count(0)


@pytest.mark.parametrize(("looks", "diverges_at"), list(product([0, 3, NEVER], [4, 12])))
def test_what_the_loop_did_after_a_divergence_is_dropped(looks: int, diverges_at: int) -> None:
    loop = Loop()
    found = list(interleaved(loop.steps(), Late(lambda _: looks, diverges_at), never))  # type: ignore[arg-type]
    assert found == list(interleaved(Loop().steps(), Late(lambda _: 0, diverges_at), never))  # type: ignore[arg-type]
    assert isinstance(found[-1], Diverged) and found[-1].iteration == diverges_at and loop.closed


@pytest.mark.parametrize("looks", [0, NEVER])
def test_an_error_of_the_loop_comes_after_the_evaluation_before_it(looks: int) -> None:
    seen: list[Event] = []
    events = interleaved(Loop(fails_at=6).steps(), Late(lambda _: looks), never)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="the loop broke"):
        deque(map(seen.append, events))
    assert seen == INLINE[:7] and isinstance(seen[-1], Losses)
    # Inline, it would have ended before the error.
    *_, last = interleaved(Loop(fails_at=6).steps(), Late(lambda _: looks, diverges_at=4), never)  # type: ignore[arg-type]
    assert isinstance(last, Diverged)
