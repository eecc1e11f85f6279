"""The command that runs a study: `python -m studies.run STUDY`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.arguments import MOST_WORKERS, whole_number
from core.command_line import BAD_INPUT, DONE, FAILED, INTERRUPTED, say_error
from core.errors import InputError
from core.metrics.identity import INCEPTION_VARIABLE
from core.words import takes, typed, visible
from studies import catalogue, completion
from studies.options import EPILOG, FIRST_VARIANT, Asked, SectionedCommand, with_options
from studies.runner.environment import forbid_telemetry

if TYPE_CHECKING:
    # What only some of its branches need is loaded there: help, completion and refusals come at once.
    from rich.console import Console

    from studies.catalogue import Found
    from studies.plan import Plan
    from studies.runner.execute import Ended
    from studies.runner.resources import PerGpu, Resources
    from studies.runner.tasks import Task

JSON_VERSION = 1
"""Of the documents that --json prints: raised when a key goes or changes its meaning, not when one is added."""

MODULE = "studies.run"


@click.command(cls=SectionedCommand, epilog=EPILOG, context_settings={"max_content_width": 110})
@with_options
def command(**given: Any) -> int:
    """Trains what STUDY asks and has not been trained, then renders its report.

    Overrides apply to every variant, as in iterations=200 or data.resolution=32. An interrupted study goes on with the
    same command, and so does one that is running elsewhere: both share the work.
    """
    asked = Asked(**given).named
    if asked.completion_of is not None:
        print(completion.script(asked.completion_of))
        return DONE
    forbid_telemetry()
    console = _console(asked)
    if asked.list_studies:
        from studies.listing import Here, listed, only_planned, print_studies

        studies, refused = catalogue.everything()
        here = Here.of(asked.runs, {study.name for study in studies})
        if asked.as_json:
            _print_json({"studies": [listed(study, here) for study in studies], "only_planned": only_planned(here)})
        else:
            print_studies(studies, here, console)
        for line in (*refused, *here.refused):
            say_error(line, bare=True)
        return DONE
    if asked.study is None:
        raise InputError("name a study: --list shows them, and --study FILE runs one of yours")
    return _StudyCommand(catalogue.find(asked.study, asked.runs), asked, console).run()


class _StudyCommand:
    """One command on one study, after its options are known to be readable."""

    def __init__(self, found: Found, asked: Asked, console: Console) -> None:
        self.study, self.declared_in = found.study, found.file
        self.asked, self.console = asked, console
        self.shown: dict[str, Any] = {}
        """What `--json` prints."""

    def run(self) -> int:
        """Does what was asked and returns the exit code. Raises InputError."""
        code = self._show_config() if self.asked.shown_config is not None else self._show_or_train()
        if self.asked.as_json:
            _print_json(self.shown)
        return code

    def _show_config(self) -> int:
        from studies.config_view import config_document, print_config
        from studies.runner.resources import accelerators
        from studies.selection import plan_of

        name = self.asked.shown_config
        assert name is not None
        if self.asked.only:
            raise InputError(f"--show-config shows one variant, {name}: leave out --only")
        # The studies that train one variant alone have no baseline by that name.
        wanted = () if name == FIRST_VARIANT else (name,)
        plan = plan_of(self.study, replace(self.asked, only=wanted), accelerators(), declared_in=self.declared_in)
        variant = plan.variant(name) or plan.variants[0]
        if self.asked.as_json:
            self.shown = config_document(self.study, plan, variant)
        else:
            print_config(self.study, plan, variant, self.console)
        return DONE

    def _show_or_train(self) -> int:
        from studies.plan import check_received
        from studies.runner.clusters import find_launcher
        from studies.runner.resources import accelerators, resources_of
        from studies.selection import plan_of
        from studies.stores import use_stores

        asked = self.asked
        if asked.as_json and not asked.only_looks:
            raise InputError("--json goes with --list, --dry-run, --calibrate or --show-config: add one of them")
        use_stores(queue=asked.queue, tracking=asked.tracking)
        cluster = find_launcher(asked.launcher_name, asked.launcher_file)
        if asked.inception is not None:
            # Workers inherit it.
            os.environ[INCEPTION_VARIABLE] = str(asked.inception.absolute())
        gpus = accelerators() if cluster is None else ("0",) if cluster.accelerated else ()
        if cluster is not None and asked.calibrated:
            raise InputError(f"--calibrate measures this machine, not {asked.launcher_name}: leave out one of them")
        if asked.retune is not None and self.study.searches:
            raise InputError(f"--retune: {self.study.name} searches rates itself, and with --trials for longer")
        budget = None
        if asked.budget is not None:
            budget = self._budget_seconds(asked.budget)
            asked = self._within_budget()
        check_received(asked.runs)
        plan = plan_of(self.study, asked, gpus, declared_in=self.declared_in)
        check_received(asked.runs, plan)
        resources = resources_of(
            asked.device,
            plan.profile,
            asked.jobs,
            gpus=gpus,
            runs=asked.runs,
            data_path=asked.data_path,
            launcher=asked.launcher_name,
            evaluation=asked.evaluation,
            hang_seconds=60 * asked.hang_minutes,
            cluster=cluster,
            per_gpu=_per_gpu(asked.per_gpu),
        )
        searches = bool(self.study.searches) and not asked.only
        if searches or asked.trials is not None:
            from studies.runner.searches import check_searches

            check_searches(self.study, plan, asked.launcher_name, asked.trials, cluster)
        if budget is not None:
            plan = self._fitting(plan, resources, budget, designs_of_budget=asked.designs)
        if searches:
            return self._searching(plan, resources)
        if asked.retune is not None:
            return self._retuning(plan, resources, asked.retune)
        return self._one(plan, resources, report=not asked.no_report)

    def _one(self, plan: Plan, resources: Resources, *, report: bool) -> int:
        """Trains, or only shows, one plan."""
        asked, console = self.asked, self.console
        tasks = self._timed(plan, resources)
        if not asked.only_looks:
            from studies.runner.execute import run_plan

            ended = run_plan(self.study, plan, tasks, resources, console, retry_failed=asked.retry_failed)
            if not report or ended.code == INTERRUPTED:
                return ended.code
            return ended.code if _report(ended, console) else FAILED
        from studies.runner.preview import Outlook, plan_document, print_plan, print_submission, submission

        outlook = Outlook.of(self.study, plan, tasks, resources=resources, retry_failed=asked.retry_failed)
        asks = submission(outlook, resources) if resources.cluster is not None else None
        if asked.as_json:
            self.shown |= {**plan_document(outlook), "submission": asks}
        else:
            print_plan(outlook, console)
            if asks is not None:
                print_submission(asks, resources, console)
        if outlook.refusal is None:
            return DONE
        say_error(outlook.refusal)
        return BAD_INPUT

    def _searching(self, plan: Plan, resources: Resources) -> int:
        """The study's searches, then what they chose with the study's seeds."""
        asked = self.asked
        if not asked.only_looks:
            from studies.runner.execute import with_choices

            found = with_choices(self.study, plan, resources, self.console, asked.trials)
            return found if isinstance(found, int) else self._one(found, resources, report=not asked.no_report)
        from studies.runner.searches import check_recorded, print_searches, search_documents

        check_recorded(self.study, plan, resources.runs, asked.trials)
        code = self._one(plan, resources, report=False)
        seconds = self._estimated(plan, resources)[0].expected_seconds
        if asked.as_json:
            self.shown["searches"] = search_documents(
                self.study, plan, seconds, resources=resources, trials=asked.trials
            )
        else:
            print_searches(self.study, plan, seconds, resources=resources, trials=asked.trials, console=self.console)
        return code

    def _retuning(self, plan: Plan, resources: Resources, trials: int) -> int:
        """Tries learning rates with every variant, then trains each at its best."""
        from studies.plan import joined
        from studies.runner.retune import retuned_plan, tuning_plan

        code = self._one(tuning_plan(self.study, plan, trials), resources, report=False)
        if self.asked.only_looks:
            later = len(plan.jobs())
            joined(resources.runs, retuned_plan(self.study, plan, trials, resources.runs))
            if self.asked.as_json:
                self.shown["retune"] = {"trials": trials, "runs_later": later}
            else:
                self.console.print(f"then, at the rates that are chosen: {later} runs, less those that exist")
        if self.asked.only_looks or code != DONE:
            return code
        return self._one(
            retuned_plan(self.study, plan, trials, resources.runs), resources, report=not self.asked.no_report
        )

    def _budget_seconds(self, text: str) -> float:
        from studies.runner.budget import parse_budget

        seconds = parse_budget(text)
        if self.study.searches or self.asked.retune is not None:
            what = "--retune" if self.asked.retune is not None else f"the searches of {self.study.name}"
            raise InputError(f"--budget counts runs of designs, not those of {what}: leave it out")
        if self.asked.only:
            raise InputError("--budget chooses what is trained: leave out --only, or --budget")
        return seconds

    def _within_budget(self) -> Asked:
        """All that a budget may choose from."""
        from studies.runner.budget import MOST_SEEDS

        return replace(self.asked, designs=self.asked.designs or "all", seeds=self.asked.seeds or str(MOST_SEEDS))

    def _fitting(self, plan: Plan, resources: Resources, seconds: float, *, designs_of_budget: str | None) -> Plan:
        """The part of the plan that fits so much wall time."""
        from studies.runner.budget import costing, fitting
        from studies.selection import designs_of

        tasks = self._timed(plan, resources)
        cost = costing(
            tasks,
            resources.runs,
            machine=resources.machine,
            workers=resources.workers,
            retry_failed=self.asked.retry_failed,
        )
        choice = fitting(self.study, plan, designs_of(designs_of_budget, self.study), seconds, cost)
        if self.asked.as_json:
            self.shown["budget"] = {"seconds": seconds, "expected_seconds": choice.seconds, "said": list(choice.lines)}
        else:
            for line in choice.lines:
                self.console.print(visible(line), soft_wrap=True)
        return choice.plan

    def _timed(self, plan: Plan, resources: Resources) -> list[Task]:
        """The plan's tasks with their times, measured first where that was asked for."""
        if self.asked.calibrated:
            from studies.runner.execute import calibrate_plan

            tasks = self._estimated(plan, resources)
            calibrate_plan(plan, tasks, resources, self.console, retry_failed=self.asked.retry_failed)
        return self._estimated(plan, resources)

    def _estimated(self, plan: Plan, resources: Resources) -> list[Task]:
        from studies.runner.estimate import with_estimates
        from studies.runner.tasks import tasks_of

        return with_estimates(
            tasks_of(plan), plan, resources.runs, machine=resources.machine, workers=resources.workers
        )


def _console(asked: Asked) -> Console:
    """Where people are told; with --json that is stderr, which leaves stdout to the document."""
    from studies.screen import screen

    return screen(sys.stderr if asked.as_json else sys.stdout)


def _report(ended: Ended, console: Console) -> bool:
    """Renders the report and shows it in MLflow; False, and a line that says why, where the first did not work."""
    from studies.runner.stores import first_line

    plan, view = ended.plan, ended.view
    try:
        from reports.render import render

        folder = render(plan.asked_as, runs=view.runs, setting=plan.setting)
    except Exception as error:
        say_error(f"report not rendered: {first_line(error)}", bare=True)
        return False
    for name in ("report.md", "report.pdf", "report.html"):
        if (folder / name).exists():
            console.print(visible(f"report: {folder / name}"), soft_wrap=True)
    try:
        view.show_report(folder)
    except Exception as error:
        say_error(
            f"report not shown in MLflow ({first_line(error)}): "
            f"{typed('python', '-m', 'studies.sync', plan.asked_as)} does it again",
            bare=True,
        )
    return True


def _print_json(document: dict[str, Any]) -> None:
    import json

    from core.words import in_json

    whole = {"version": JSON_VERSION, **document}
    text = in_json(json.dumps(whole, indent=1, ensure_ascii=False))
    # What a stream lacks is not replaced within a document: a quotation mark would end its string.
    print(text if takes(sys.stdout, text) else json.dumps(whole, indent=1))


def _per_gpu(text: str | None) -> PerGpu | None:
    if text is None:
        return None
    if text == "auto":
        return "auto"
    try:
        return whole_number(text, 1, MOST_WORKERS)
    except ValueError:
        raise InputError(f"--per-gpu {text}: give a number of workers, or auto") from None


def main(arguments: Sequence[str] | None = None) -> None:
    """The command with its exit codes; whatever goes wrong ends in one line, and with --debug in its trace as well."""
    name = Path(sys.argv[0]).name
    command.main(
        arguments,
        prog_name=name if name == completion.PROGRAM else f"python -m {MODULE}",
        complete_var=completion.VARIABLE,
    )


if __name__ == "__main__":
    main()
