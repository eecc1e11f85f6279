"""In this process, one job after the other: for debugging, and where starting processes is not allowed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from studies.runner.order import TrainingOrder
from studies.runner.worker import work

WAIT_SECONDS = 1.0


def work_here(order: TrainingOrder, *, stop: Callable[[], bool], tick: Callable[[], None]) -> None:
    """Trains in the calling thread, whatever number of workers the order asks for."""
    queue = order.queue()
    name = f"inline-{uuid.uuid4().hex[:8]}"
    while not stop():
        work(order, name, stop=stop, each=tick)
        queue.release_orphans()
        tick()
        if queue.waiting(order.digests):
            continue
        if not queue.running(order.digests):
            return
        time.sleep(WAIT_SECONDS)
