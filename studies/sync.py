"""Rebuilds the MLflow view of a study from its run folders and its report: `python -m studies.sync STUDY`."""

from __future__ import annotations

from pathlib import Path

import click

from core.command_line import DONE, FAILED, say_error
from core.errors import InputError
from core.reading import Damaged
from core.words import one_line
from studies import catalogue
from studies.click_life import Command
from studies.mlflow_view.sync import MlflowView
from studies.plan import check_received, of_found, plan_file, read_plan, report_folder, settings_of
from studies.runner.outages import error_line
from studies.stores import DEFAULT_TRACKING, TRACKING_VARIABLE, address, use_stores


@click.command(cls=Command)
@click.argument("study")
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@click.option("--setting", help="One setting of the study's plans; all of them when left out.")
@click.option(
    "--tracking", metavar="URL", help=f"Where MLflow is; default: {TRACKING_VARIABLE}, or {DEFAULT_TRACKING}."
)
def main(study: str, runs: Path, setting: str | None, tracking: str | None) -> int:
    """Writes what run folders and report of STUDY, a name or its file, have, and MLflow has not, to it."""
    use_stores(tracking=tracking)
    check_received(runs)
    entry = catalogue.find(study, runs)
    study = entry.study.name
    settings = settings_of(runs, study)
    if setting is not None and setting not in settings:
        there = f": there are {', '.join(settings)}" if settings else ""
        raise InputError(f"{runs} has no plan of {study} in the setting '{setting}'{there}")
    if not settings:
        raise InputError(f"{runs} has no plan of {study}: run it there first, or name its folder with --runs")
    for name in [setting] if setting else settings:
        plan = of_found(read_plan(plan_file(runs, study, name)), entry.study, entry.file)
        check_received(runs, plan)
        view = MlflowView(entry.study, plan, runs)
        report = report_folder(runs, study, name)
        try:
            # An SQLite file is looked into anyway; what became of a server's runs only it can say.
            count = view.sync(distrustful=view.database is None)
            reported = False
            try:
                reported = report.exists() and view.show_report(report, distrustful=view.database is None)
            except Damaged as error:
                view.damaged.append(str(error))
        except Exception as error:
            say_error(f"{address(view.uri)}: MLflow view not written: {error_line(error)}")
            return FAILED
        for damaged in view.damaged:
            say_error(f"not shown: {damaged}", bare=True)
        wrote = " and ".join([f"{count} runs"] * bool(count) + ["the report"] * reported)
        line = f"{view.name}: {f'wrote {wrote}' if wrote else 'was in sync'}; {view.link or 'no run yet'}"
        print(one_line(line))
    return DONE


if __name__ == "__main__":
    main()
