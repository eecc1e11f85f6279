"""Writes a study's report from run folders and the plan alone: as Markdown, PDF, HTML and LaTeX tables, with figures/,
results.csv, verdicts.json and protocols.json.

The same input gives the same bytes: nothing here asks for the time, and nothing that was trained is trained again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType

import click

from core.command_line import say_error
from core.errors import InputError
from core.files import alone_in, check_inside, make_folder, write_whole
from core.words import one_line, typed, visible
from reports import abstract, compare, figures, fonts, html, kept, latex, markdown, pdf, side_by_side
from reports.layouts import Layout, layout_of
from reports.page import Animation, Document, Figure, Table, Text, without_dead_links
from reports.report import FIGURES, Report, unless_unsound
from reports.results import load
from reports.sections import few_images, subtitle
from reports.sections.answer import answer_figure
from studies.click_life import Command
from studies.mlflow_view.experiment import Experiment
from studies.plan import VERDICTS, plan_file, read_plan, report_folder

TABLES = "tables"

OF_RUNS = ("jobs", "plans", "queue", "cache", "sweeps")
"""Folders of runs that no report may be written into."""


def _markdown(document: Document, folder: Path) -> None:
    write_whole(folder / "report.md", markdown.render(document).encode())


def _pdf(document: Document, folder: Path) -> None:
    pdf.write(document, folder / "report.pdf")


def _html(document: Document, folder: Path) -> None:
    write_whole(folder / "report.html", html.render(document, folder).encode())


def _latex(document: Document, folder: Path) -> None:
    """One file for each table that has a name; those of an earlier report go."""
    _remove_tables(folder)
    make_folder(folder / TABLES)
    for block in document.blocks:
        if isinstance(block, Table) and block.name:
            write_whole(folder / TABLES / f"{block.name}.tex", latex.table(block, f"tab:{block.name}").encode())


FORMATS: Mapping[str, Callable[[Document, Path], None]] = MappingProxyType(
    {"md": _markdown, "pdf": _pdf, "html": _html, "tex": _latex}
)
WRITTEN = {"md": "report.md", "pdf": "report.pdf", "html": "report.html", "tex": TABLES}
PAGES = frozenset(name for kind, name in WRITTEN.items() if kind != "tex")


def formats_of(text: str) -> tuple[str, ...]:
    """The formats of a comma list, in our order. Raises InputError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FORMATS:
            raise InputError(f"--format {name}: there are {', '.join(FORMATS)}")
    if not names:
        raise InputError(f"--format: name some of {', '.join(FORMATS)}")
    return tuple(name for name in FORMATS if name in names)


def _begins(file: Path, content: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(content)) == content


def _remove_tables(folder: Path) -> None:
    """Removes what an earlier report wrote; a folder of that name may have tables of the user's as well."""
    for file in (folder / TABLES).glob("*.tex"):
        if not file.is_symlink() and file.is_file() and _begins(file, latex.FIRST_LINE.encode()):
            file.unlink()
    with suppress(OSError):
        (folder / TABLES).rmdir()


def write(document: Document, folder: Path, formats: Sequence[str], *, ours: bool) -> None:
    """The page in these formats. In a folder that is `ours` files of the others go: they would say what an earlier
    state of the runs said."""
    for name, writer in FORMATS.items():
        if name in formats:
            writer(document, folder)
        elif name == "tex":
            _remove_tables(folder)
        elif ours:
            (folder / WRITTEN[name]).unlink(missing_ok=True)


def render(
    study: str,
    *,
    runs: Path,
    setting: str | None = None,
    out: Path | None = None,
    formats: Sequence[str] = tuple(FORMATS),
    published: bool = False,
) -> Path:
    """Writes the report of `study` in `setting` (default: cpu where planned, else the only one) and returns its folder.

    `study` is a name or a file. The folder is <runs>/reports/<study>/<setting> unless `out` names another. A
    `published` report leads to records beside it in place of run folders, so that its folder is whole wherever it is
    put. Raises InputError where nothing was trained.
    """
    results = load(study, runs, setting)
    folder = out or check_inside(runs, report_folder(runs, results.plan.study, results.plan.setting))
    _prepare(folder, runs)
    words = f"{results.plan.model_dump_json()}{results.study}"
    with alone_in(folder), fonts.expecting(words) as lacking:
        _render(Report.of(results, folder, published=published), formats)
    _tell(lacking)
    return folder


def _tell(lacking: fonts.Lacking) -> None:
    if lacking.line is not None:
        say_error(lacking.line, bare=True)


def _prepare(folder: Path, runs: Path) -> None:
    """Makes a report's folder. Raises InputError where one of its own folders leads elsewhere, and among the runs."""
    there, above = folder.resolve(), runs.resolve()
    if there == above or any(there.is_relative_to(above / name) for name in OF_RUNS):
        raise InputError(f"--out {folder} is a place of the runs themselves: name a folder elsewhere")
    for name in ("figures", TABLES):
        check_inside(folder, folder / name)
    make_folder(folder / "figures")


def _render(report: Report, formats: Sequence[str]) -> None:
    folder = report.folder
    # Last written and first removed: a folder without it was left half-way.
    ours = (folder / VERDICTS).exists()
    (folder / VERDICTS).unlink(missing_ok=True)
    before = {name for name in PAGES if (folder / name).exists()}
    try:
        _write_all(report, formats, ours=ours)
    except BaseException:
        # Some of its figures and pages are of now and some of then, or there are none: it must not look like a report.
        for name in PAGES if ours else PAGES - before:
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        raise


def _write_all(report: Report, formats: Sequence[str], *, ours: bool) -> None:
    results, folder = report.results, report.folder
    layout = layout_of(results.study)
    answers = layout.answers(report)
    told = layout.finding(report)
    document = compose(report, layout, answers, told, with_records="html" in formats)
    _save_figures(report, {block.path for block in document.blocks if isinstance(block, Figure | Animation)})
    kept.write(report)
    write(document, folder, formats, ours=ours)
    write_whole(folder / VERDICTS, (json.dumps(abstract.record(report, answers, told), indent=1) + "\n").encode())


def _save_figures(report: Report, shown: Collection[str]) -> None:
    """Writes the figures that the page shows. Others of our names go: they are of an earlier, fuller state."""
    with figures.style():
        for name, save in report.drawings.items():
            if f"figures/{name}" in shown:
                save(report.folder / "figures" / name)
    for name in FIGURES:
        if f"figures/{name}" not in shown:
            (report.folder / "figures" / name).unlink(missing_ok=True)


def compose(
    report: Report, layout: Layout, answers: Sequence[Text], told: Sequence[str], *, with_records: bool
) -> Document:
    """The page, its figures drawn but not yet saved; `answers` and the finding, which is `told`, are those of the
    `layout`. Records of runs, which read every run folder again, are for a page in one file."""
    results = report.results
    return Document(
        title=results.study.title,
        subtitle=subtitle(results),
        footer=f"{results.plan.study} · {results.plan.setting}",
        blocks=without_dead_links(
            [
                *unless_unsound(partial(answer_figure, told=told), report),
                abstract.abstract(report, answers),
                *few_images(results),
                *layout.body(report),
            ]
        ),
        records=kept.for_page(report) if with_records else (),
    )


def render_comparison(
    a: str, b: str, *, runs: Path, out: Path | None = None, formats: Sequence[str] = tuple(FORMATS)
) -> Path:
    """Writes the page that puts two reports side by side, and returns its folder.

    `compare.read_side` says how they are named. The folder is <runs>/reports/compare/<a>_vs_<b> unless `out`
    names another. Raises InputError.
    """
    comparison = compare.read(a, b, runs)
    folder = out or check_inside(runs, runs / "reports" / "compare" / compare.slug(comparison))
    _prepare(folder, runs)
    words = "".join(
        f"{side.name} {side.data} {side.titles} {set(side.tidy['variant'])}" for side in (comparison.a, comparison.b)
    )
    with fonts.expecting(words) as lacking:
        document = side_by_side.compose(comparison, folder)
        if not any(isinstance(block, Figure) for block in document.blocks):
            (folder / side_by_side.FIGURE).unlink(missing_ok=True)
        write(document, folder, formats, ours=out is None)
    _tell(lacking)
    return folder


def _in_mlflow(study: str, folder: Path, runs: Path) -> str | None:
    """Where the runs of the study that was typed are to be browsed, and what brings this report there; None where they
    are not."""
    plan = read_plan(plan_file(runs, folder.parent.name, folder.name))
    experiment = Experiment(plan, runs)
    if experiment.how is None:
        return None
    sync = f"; `{typed('python', '-m', 'studies.sync', study)}` shows this report there"
    return f"MLflow: {experiment.how}{'' if experiment.shows_report(folder) else sync}"


@click.command(cls=Command)
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
    "--format",
    "formats",
    default=",".join(FORMATS),
    show_default=True,
    metavar="NAMES",
    help="Which of them: report.md, report.pdf, report.html (one self-contained file), tables/*.tex (for papers).",
)
@click.option(
    "--compare",
    "sides",
    nargs=2,
    metavar="A B",
    help="Put two side by side instead: each a STUDY, a STUDY:SETTING, or a report's folder with its results.csv.",
)
def main(
    study: str | None, runs: Path, out: Path | None, setting: str | None, formats: str, sides: tuple[str, str] | None
) -> None:
    """Write the report of STUDY, a name or its file, from its run folders, with figures/, results.csv and
    verdicts.json."""
    names = formats_of(formats)
    if sides and (study or setting):
        raise InputError("--compare takes its two sides, and no STUDY or --setting beside: write STUDY:SETTING")
    if sides:
        folder = render_comparison(*sides, runs=runs, out=out, formats=names)
    elif study:
        folder = render(study, runs=runs, setting=setting, out=out, formats=names)
    else:
        raise InputError("name a STUDY, or two reports with --compare A B")
    for name in names:
        print(visible(str(folder / WRITTEN[name])))
    if study and out is None and (line := _in_mlflow(study, folder, runs)):
        print(one_line(line))


if __name__ == "__main__":
    main()
