"""Writes a study's report: report.md, report.pdf, figures/, results.csv and protocols.json, from run folders and the
plan alone.

The same input gives the same bytes: nothing here asks for the time, and nothing that was trained is trained again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from core.errors import InputError
from reports import compare, markdown, pdf, side_by_side
from reports.layouts import sections_of
from reports.page import Document, Figure
from reports.results import Results, load
from reports.sections import FIGURES, Report, subtitle
from studies.plan import plan_file, read_plan, report_folder
from studies.runner.experiment import Experiment


def render(study: str, *, runs: Path, setting: str | None = None, out: Path | None = None) -> Path:
    """Writes the report of `study` in `setting` (default: cpu where planned, else the only one) and returns its folder.

    That is <runs>/reports/<study>/<setting> unless `out` names another. Raises InputError where nothing was trained.
    """
    results = load(study, runs, setting)
    folder = out or report_folder(runs, study, results.plan.setting)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    document = compose(results, folder)
    drawn = {folder / block.path for block in document.blocks if isinstance(block, Figure)}
    for name in FIGURES:
        # A figure of an earlier, fuller state must not lie beside a page that no longer speaks of it.
        if (figure := folder / "figures" / name) not in drawn:
            figure.unlink(missing_ok=True)
    (folder / compare.RECORD).write_text(compare.record(results), encoding="utf-8")
    results.tidy.to_csv(folder / "results.csv", index=False, lineterminator="\n")
    (folder / "report.md").write_text(markdown.render(document), encoding="utf-8")
    pdf.write(document, folder / "report.pdf")
    return folder


def compose(results: Results, folder: Path) -> Document:
    """The page, its figures drawn into `folder`/figures."""
    report = Report.of(results, folder)
    return Document(
        title=results.study.title,
        subtitle=subtitle(results),
        footer=f"{results.plan.study} · {results.plan.setting}",
        blocks=tuple(sections_of(results.study.name)(report)),
    )


def render_comparison(a: str, b: str, *, runs: Path, out: Path | None = None) -> Path:
    """Writes the page that puts two reports side by side, and returns its folder.

    `compare.read_side` says how they are named. The folder is <runs>/reports/compare/<a>_vs_<b> unless `out`
    names another. Raises InputError.
    """
    comparison = compare.read(a, b, runs)
    folder = out or runs / "reports" / "compare" / compare.slug(comparison)
    folder.mkdir(parents=True, exist_ok=True)
    document = side_by_side.compose(comparison, folder)
    if not any(isinstance(block, Figure) for block in document.blocks):
        (folder / side_by_side.FIGURE).unlink(missing_ok=True)
    (folder / "report.md").write_text(markdown.render(document), encoding="utf-8")
    pdf.write(document, folder / "report.pdf")
    return folder


def _in_mlflow(study: str, runs: Path, folder: Path) -> str | None:
    """Where the runs are to be browsed, and what brings this report there; None where they are not."""
    experiment = Experiment(read_plan(plan_file(runs, study, folder.name)), runs)
    if experiment.how is None:
        return None
    sync = f"; `python -m studies.sync {study}` shows this report there"
    return f"MLflow: {experiment.how}{'' if experiment.shows_report(folder) else sync}"


@click.command()
@click.argument("study", required=False)
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where the runs are."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where to write.  [default: RUNS/reports/STUDY/SETTING, or RUNS/reports/compare/A_vs_B]",
)
@click.option("--setting", help="Which setting of the study.  [default: cpu, or the only one]")
@click.option(
    "--compare",
    "sides",
    nargs=2,
    metavar="A B",
    help="Put two side by side instead: each a STUDY, a STUDY:SETTING, or a report's folder with its results.csv.",
)
def main(study: str | None, runs: Path, out: Path | None, setting: str | None, sides: tuple[str, str] | None) -> None:
    """Write the report of STUDY from its run folders: report.md, report.pdf, figures/ and results.csv."""
    try:
        if sides and (study or setting):
            raise InputError("--compare takes its two sides, and no STUDY or --setting beside: write STUDY:SETTING")
        if sides:
            folder = render_comparison(*sides, runs=runs, out=out)
        elif study:
            folder = render(study, runs=runs, setting=setting, out=out)
        else:
            raise InputError("name a STUDY, or two reports with --compare A B")
        click.echo(folder / "report.pdf")
        if study and out is None and (said := _in_mlflow(study, runs, folder)):
            click.echo(said)
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
