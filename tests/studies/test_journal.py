"""A journal whose last write was cut off is mended, and keeps all that was written whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from studies.plan import Plan
from studies.runner.queue import Queue
from studies.runner.worker import Order


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_that_was_cut_off_is_dropped(
    cut: int, tmp_path: Path, small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(variants=3))

    def queue() -> Queue:
        return Queue(made.runs, made.study, made.setting)

    queue().enqueue(made.tasks)
    (file,) = (tmp_path / "queue").glob("*.journal")
    whole = file.read_bytes()
    file.write_bytes(whole + whole.splitlines(keepends=True)[-1][:-cut])
    claimed = queue().claim(made.digests, "a worker")
    assert claimed is not None and claimed.digest == made.digests[0]
    assert file.read_bytes().startswith(whole)
    assert queue().waiting(made.digests) == made.digests[1:]
    assert queue().running(made.digests) == made.digests[:1]
