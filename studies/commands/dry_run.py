"""`--dry-run`: what a command would train and for how long, and what would be in its way."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console

from core.command_line import BAD_INPUT, DONE, say_error
from core.words import visible
from studies.commands.request import Request, Timed, estimated, requested
from studies.options import Asked
from studies.plan import joined
from studies.runner.preview import Outlook, plan_document, print_plan, print_submission, submission
from studies.runner.retune import retuned_plan, tuning_plan
from studies.runner.searches import check_recorded, print_searches, search_documents
from studies.screen import print_json, screen


def console_of(asked: Asked) -> Console:
    """Where people read; with --json that is stderr, which leaves stdout to the document."""
    return screen(sys.stderr if asked.as_json else sys.stdout)


def run(asked: Asked, timed: Timed = estimated) -> int:
    """Shows it and returns the exit code. Writes nothing, unless `timed` does. Raises InputError."""
    request, console = requested(asked, timed), console_of(asked)
    document: dict[str, Any] = {"budget": request.budget} if request.budget else {}
    if not asked.as_json:
        request.print_budget(console)
    code = _plan(request, timed, document, console)
    if request.searches:
        _searches(request, document, console)
    elif asked.retune is not None:
        _retuning(request, asked.retune, document, console)
    if asked.as_json:
        print_json(document)
    return code


def _plan(request: Request, timed: Timed, document: dict[str, Any], console: Console) -> int:
    """The plan that is trained first, its submission, and the refusal where there is one; returns the exit code."""
    asked, study, plan, resources = request.asked, request.study, request.plan, request.resources
    if request.searches:
        check_recorded(study, plan, resources.runs, asked.trials)
    elif asked.retune is not None:
        plan = tuning_plan(study, plan, asked.retune)
    elif request.wish is not None:
        from studies.commands import decide  # Reads what has been found, and loads pandas where runs are there.

        coming = decide.coming(request)
        document["decide"], plan = coming.document(), coming.plan
        if not asked.as_json:
            for line in coming.lines:
                console.print(visible(line), soft_wrap=True)
    outlook = Outlook.of(study, plan, timed(plan, resources), resources=resources, retry_failed=asked.retry_failed)
    asks = submission(outlook, resources) if resources.cluster is not None else None
    if asked.as_json:
        document |= {**plan_document(outlook), "submission": asks}
    else:
        print_plan(outlook, console)
        if asks is not None:
            print_submission(asks, resources, console)
    if outlook.refusal is None:
        return DONE
    say_error(outlook.refusal)
    return BAD_INPUT


def _searches(request: Request, document: dict[str, Any], console: Console) -> None:
    study, plan, resources, trials = request.study, request.plan, request.resources, request.asked.trials
    seconds = estimated(plan, resources)[0].expected_seconds
    if request.asked.as_json:
        document["searches"] = search_documents(study, plan, seconds, resources=resources, trials=trials)
    else:
        print_searches(study, plan, seconds, resources=resources, trials=trials, console=console)


def _retuning(request: Request, trials: int, document: dict[str, Any], console: Console) -> None:
    """How many runs come after the rates are chosen. Raises as `joined`, like the command that trains them."""
    later = len(request.plan.jobs())
    joined(request.resources.runs, retuned_plan(request.study, request.plan, trials, request.resources.runs))
    if request.asked.as_json:
        document["retune"] = {"trials": trials, "runs_later": later}
    else:
        console.print(f"then, at the rates that are chosen: {later} runs, less those that exist")
