"""Puts reports where others read them: each study's folder whole in itself, and a page that lists the verdicts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from core.errors import InputError
from core.files import check_inside, write_whole
from core.reading import record_of
from core.words import code_span, visible
from reports import markdown
from reports.abstract import MOST_CLAIMS, NO_NUMBER, counted_words
from reports.commands import reproduce_commands
from reports.layouts import layout_of
from reports.numbers import MOST_WORDS
from reports.page import Link, Listing, Piece, Strong, Text, shown
from reports.render import render
from reports.results import Results, load
from reports.tables import Rows
from studies import catalogue
from studies.adopt import ARCHIVE, pack
from studies.click_life import Command

MADE_BY = "made_by.json"
FORMATS = ("md", "pdf", "tex")
"""HTML is left out: code hosts show its source."""


def records(folder: Path) -> list[dict[str, Any]]:
    """The verdicts of every report published in `folder`, in the deck's order, others behind."""
    published = {}
    for file in sorted(folder.glob("*/verdicts.json")):
        made_by = file.with_name(MADE_BY)
        if made_by.exists():
            remedy = "publish that report again"
            published[file.parent.name] = {**record_of(file, remedy), "made_by": record_of(made_by, remedy)}
    return [published[name] for name in dict.fromkeys((*catalogue.NAMES, *published)) if name in published]


def verdicts(record: dict[str, Any]) -> Text:
    """The verdicts on a study's claims, or its first answer where it has none."""
    claims = record["claims"]
    if not claims:
        return str(record["answers"][0]) if record["answers"] else ""
    if len(claims) > MOST_CLAIMS:
        return f"{len(claims)} claims: {counted_words(claim['verdict'] for claim in claims)}"
    words: list[Piece] = []
    for claim in claims:
        deck = "the deck gives no number" if claim["deck"] == NO_NUMBER else f"the deck's {claim['deck']}"
        if claim["slide"] is None:
            deck = "an expectation of ours"
        which = f"{claim['claim']}: " if len(claims) > 1 else ""
        exploratory = ", exploratory" if claim.get("exploratory") else ""
        words += [
            "; " if words else "",
            which,
            Strong(claim["verdict"]),
            exploratory,
            f" (ours {claim['ours']}; {deck})",
        ]
    return tuple(piece for piece in words if piece)


def found(record: dict[str, Any]) -> Text:
    """A study's finding in at most `MOST_WORDS` words: its first sentence; of a study of changes their verdicts, else
    its claims', else the beginning of its answer."""
    words = [*(record.get("finding") or ())][:2]
    if words and record.get("answer") not in (None, "changes"):
        return in_words(str(words[0]))
    counts = counted_words(claim["verdict"] for claim in record["claims"])
    ours = all(claim["slide"] is None for claim in record["claims"])
    whose = "our expectations" if ours else "deck's claims"
    claims = f"{whose}: {counts}" if counts else ""
    if len(words) > 1:
        singles = words[1][:1].lower() + words[1][1:].rstrip(".")
        return in_words(f"{claims}; {singles}" if claims else singles)
    return in_words(claims or str(record["answers"][0] if record["answers"] else ""))


def in_words(text: str) -> str:
    """The text, or its first words."""
    words = text.split()
    return text if len(words) <= MOST_WORDS else " ".join(words[: MOST_WORDS - 1]) + " …"


def findings(folder: Path, study: str) -> str:
    """What the published report of a study found, as bullets for a README."""
    told = record_of(folder / study / "verdicts.json", "publish that report again").get("finding", ())
    lines = [str(line) for line in told if not str(line).startswith("(")]
    scope = [str(line).strip("()") for line in told if str(line).startswith("(")]
    return "".join(f"- {line}\n" for line in (*lines, *(f"Measured by {line}." for line in scope)))


def table(folder: Path, to: str, *, short: bool = False) -> str:
    """The studies with their questions and verdicts as a Markdown table; links begin with `to`. A `short` one has
    findings of at most `MOST_WORDS` words."""
    rows = Rows(records(folder))
    rows.words("study", lambda record: Link(record["study"], f"{to}{record['study']}/report.md", code=True))
    rows.words("asks", lambda record: record["question"])
    rows.words("found", found if short else verdicts)
    rows.words("setting", lambda record: record["setting"])
    rows.numbers("variants × seeds", lambda record: f"{record['variants']} × {record['seeds']}")
    made = markdown.block(shown(rows.table("Studies.")), {"Figure": 0, "Table": 0})
    return made.partition("\n\n")[2].strip() + "\n"


def read_by(results: Results) -> list[Results]:
    """The results of a report's setting, and of the others that it reads."""
    plans = layout_of(results.study).settings(results)
    return [results, *(load(plan.asked_as, results.runs, plan.setting) for plan in plans)]


def provenance(settings: Sequence[Results]) -> dict[str, Any]:
    """The commit and the command behind a published report, of all settings that it reads."""
    found = [content for results in settings for _, content in results.recorded("provenance.json")]
    commands = [command for results in settings for command in reproduce_commands(results)[:-1]]
    commits = Counter(content.get("commit") or "" for content in found)
    return {"commits": dict(commits), "commands": [*commands, reproduce_commands(settings[0])[-1]]}


def page(folder: Path) -> str:
    """The index: the table, then commit and command of each study."""
    lines = [
        "# Published reports",
        "",
        "Real results, each with its setting: in the profile `cpu` **directions compare with the deck's, magnitudes do "
        "not.** Seconds are those of the machine that a report names, under whatever load it had. "
        "Each folder has the report as Markdown and PDF, its tables for LaTeX, every measurement (`results.csv`), what "
        "is on record of each run (`runs.jsonl`), the verdicts as data (`verdicts.json`), and the runs without their "
        "weights (`runs.tar.xz`): `python -m studies.adopt FOLDER` takes them up, to go on with more seeds or designs.",
        "",
        table(folder, ""),
        "## What made them",
        "",
    ]
    for record in records(folder):
        made = record["made_by"]
        commits = ", ".join(
            f"{f'`{commit[:12]}`' if commit else 'not known'} ({count} runs)"
            for commit, count in made["commits"].items()
        )
        commands = markdown.block(shown(Listing("\n".join(made["commands"]))), {})
        lines += [f"{code_span(record['study'])}, at commit {commits}:", "", commands, ""]
    lines += ["Written by `python -m reports.publish`."]
    return "\n".join(lines) + "\n"


def trained(study: str, runs: Path) -> bool:
    """Whether there is anything to report of it."""
    try:
        load(study, runs)
    except InputError:
        return False
    return True


def publish(studies: Sequence[str], *, runs: Path, out: Path) -> list[Path]:
    """Writes each study's report below `out`, then the index, and returns their folders. Raises InputError."""
    folders = []
    for study in studies:
        name = catalogue.study(study, runs).name
        check_inside(out, out / name)
        folders.append(render(study, runs=runs, out=out / name, formats=FORMATS, published=True))
        settings = read_by(load(study, runs))
        write_whole(out / name / ARCHIVE, pack([results.plan for results in settings], runs))
        write_whole(out / name / MADE_BY, (json.dumps(provenance(settings), indent=1) + "\n").encode())
    write_whole(out / "README.md", page(out).encode())
    return folders


@click.command(cls=Command)
@click.argument("studies", nargs=-1)
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where the runs are."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports/published"),
    show_default=True,
    help="The folder that gets a folder for each study.",
)
@click.option("--table", "only_table", is_flag=True, help="Print the table of what is published, for a README.")
@click.option("--findings", "only_findings", is_flag=True, help="Print what the published STUDIES found, for a README.")
def main(studies: tuple[str, ...], runs: Path, out: Path, only_table: bool, only_findings: bool) -> None:
    """Write the reports of STUDIES (default: all that have runs) so that their folders stand by themselves."""
    if only_table:
        print(table(out, f"{out.as_posix()}/", short=True), end="")
        return
    if only_findings:
        for study in studies:
            print(findings(out, study), end="")
        return
    chosen = studies or tuple(name for name in catalogue.NAMES if trained(name, runs))
    if not chosen:
        raise InputError(f"no study has been run under {runs}: name the folder with --runs")
    for folder in publish(chosen, runs=runs, out=out):
        print(visible(str(folder)))


if __name__ == "__main__":
    main()
