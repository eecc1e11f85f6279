"""Rebuilds the MLflow view of a study from its run folders and its report: `python -m studies.sync STUDY`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from core.errors import InputError
from studies import catalogue
from studies.plan import check_received, plan_file, read_plan, report_folder, titled
from studies.runner.stores import DEFAULT_TRACKING, TRACKING_VARIABLE, address, first_line, use_stores
from studies.runner.tracking import MlflowView


class Unwritten(RuntimeError):
    """The view could not be written; the message is one line."""


@click.command()
@click.argument("study")
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@click.option("--setting", help="One setting of the study's plans; all of them when left out.")
@click.option(
    "--tracking", metavar="URL", help=f"Where MLflow is; default: {TRACKING_VARIABLE}, or {DEFAULT_TRACKING}."
)
def main(study: str, runs: Path, setting: str | None, tracking: str | None) -> None:
    """Writes what run folders and report of STUDY, a name or its file, have, and MLflow has not, to it."""
    try:
        use_stores(tracking=tracking)
        check_received(runs)
        declared = catalogue.study(study, runs)
        study = declared.name
        settings = sorted(file.stem for file in plan_file(runs, study, "any").parent.glob("*.json"))
        if setting is not None and setting not in settings:
            there = f": there are {', '.join(settings)}" if settings else ""
            raise InputError(f"{runs} has no plan of {study} in the setting '{setting}'{there}")
        if not settings:
            raise InputError(f"{runs} has no plan of {study}: run it there first, or name its folder with --runs")
        for name in [setting] if setting else settings:
            plan = titled(read_plan(plan_file(runs, study, name)), declared)
            check_received(runs, plan)
            view = MlflowView(declared, plan, runs)
            report = report_folder(runs, study, name)
            try:
                # An SQLite file is looked into anyway; what became of a server's runs only it can say.
                count = view.sync(distrustful=view.database is None)
                reported = report.exists() and view.show_report(report, distrustful=view.database is None)
            except Exception as error:
                raise Unwritten(f"{address(view.uri)}: MLflow view not written: {first_line(error)}") from None
            wrote = " and ".join([f"{count} runs"] * bool(count) + ["the report"] * reported)
            click.echo(
                f"{view.experiment}: {f'wrote {wrote}' if wrote else 'was in sync'}; {view.link or 'no run yet'}"
            )
    except Unwritten as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
