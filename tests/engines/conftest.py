"""The plans, orders and databases that tests of studies have."""

from tests.studies.conftest import *  # noqa: F403
