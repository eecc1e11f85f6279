"""What the launcher's benchmark counts."""

from __future__ import annotations

import pytest

from tests.benchmarks.launcher import together


def test_only_the_time_in_which_all_workers_train_counts() -> None:
    """The first worker trains from 0 to 10 and from 14 to 20, the second one from 4 to 16; 2, 3 and 1 a second."""
    first = [[(0.0, 0), (10.0, 20)], [(14.0, 0), (20.0, 18)]]
    second = [[(4.0, 100), (16.0, 112)]]
    iterations, seconds = together([first, second])
    assert seconds == pytest.approx(6 + 2)
    assert iterations == pytest.approx(6 * 2 + 2 * 3 + 8 * 1)


def test_one_worker_is_counted_while_it_trains() -> None:
    assert together([[[(1.0, 5), (2.0, 10), (4.0, 40)], [(6.0, 5), (7.0, 10)]]]) == pytest.approx((40, 4))


def test_workers_that_never_train_together_have_no_time() -> None:
    assert together([[[(0.0, 0), (1.0, 5)]], [[(2.0, 0), (3.0, 5)]]]) == (0.0, 0.0)
