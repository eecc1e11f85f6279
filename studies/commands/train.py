"""Trains what a study asks and has not been trained, after its searches where it has some, then renders the report."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from core.command_line import DONE, FAILED, INTERRUPTED, say_error
from core.reading import record_of
from core.words import typed, visible
from studies.commands.request import Request, estimated, requested
from studies.options import Asked
from studies.plan import VERDICTS, Plan
from studies.runner.execute import Ended, run_plan, with_choices
from studies.runner.outages import error_line
from studies.runner.retune import retuned_plan, tuning_plan
from studies.screen import screen


def run(asked: Asked) -> int:
    """Trains and reports; returns the exit code. Raises InputError."""
    request, console = requested(asked), screen()
    request.print_budget(console)
    study, plan, resources = request.study, request.plan, request.resources
    if request.searches:
        chosen = with_choices(study, plan, resources, console, asked.trials)
        if isinstance(chosen, int):
            return chosen
        plan = chosen
    elif asked.retune is not None:
        code = trained(request, tuning_plan(study, plan, asked.retune), console).code
        if code != DONE:
            return code
        plan = retuned_plan(study, plan, asked.retune, resources.runs)
    ended = trained(request, plan, console)
    if asked.no_report or ended.code == INTERRUPTED:
        return ended.code
    return ended.code if reported(ended, console) else FAILED


def trained(request: Request, plan: Plan, console: Console) -> Ended:
    """Trains what this plan has not. Raises as `run_plan`."""
    resources, retry_failed = request.resources, request.asked.retry_failed
    return run_plan(request.study, plan, estimated(plan, resources), resources, console, retry_failed=retry_failed)


def found_in(folder: Path) -> list[str]:
    """What a report found, in a few lines."""
    return [str(line) for line in record_of(folder / VERDICTS, "render the report again").get("finding", ())]


def reported(ended: Ended, console: Console) -> bool:
    """Renders the report and shows it in MLflow; False, and a line that says why, where the first did not work."""
    plan, view = ended.plan, ended.view
    try:
        from reports.render import render  # Loads pandas and matplotlib, which training does without.

        folder = render(plan.asked_as, runs=view.runs, setting=plan.setting)
    except Exception as error:
        say_error(f"report not rendered: {error_line(error)}", bare=True)
        return False
    for line in found_in(folder):
        console.print(visible(line), highlight=False, soft_wrap=True)
    for name in ("report.md", "report.pdf", "report.html"):
        if (folder / name).exists():
            console.print(visible(f"report: {folder / name}"), soft_wrap=True)
    try:
        view.show_report(folder)
    except Exception as error:
        again = typed("python", "-m", "studies.sync", plan.asked_as)
        say_error(f"report not shown in MLflow ({error_line(error)}): {again} does it again", bare=True)
    return True
