"""`--calibrate`: measures what jobs take here where no finished run says so, then shows what `--dry-run` does."""

from __future__ import annotations

from studies.commands import dry_run
from studies.commands.request import estimated
from studies.options import Asked
from studies.plan import Plan
from studies.runner.execute import calibrate_plan
from studies.runner.resources import Resources
from studies.runner.tasks import Task


def run(asked: Asked) -> int:
    """Measures and shows; returns the exit code. Raises InputError."""
    console = dry_run.console_of(asked)

    def measured(plan: Plan, resources: Resources) -> list[Task]:
        calibrate_plan(plan, estimated(plan, resources), resources, console, retry_failed=asked.retry_failed)
        return estimated(plan, resources)

    return dry_run.run(asked, measured)
