"""`--list`: the studies with their questions, the deck's claims, and which of their runs are here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from ablations.designs import DESIGNS, available, base_title, subset_named
from ablations.schema import Study
from core.command_line import DONE, of_system, say_error
from core.errors import InputError
from core.files import check_folder
from core.folder import RunFolder, Status
from core.words import visible
from studies import catalogue
from studies.options import Asked
from studies.plan import Plan, check_received, jobs_root, read_plan
from studies.screen import print_json, ruled_table, screen

WIDE = 110
"""From so many columns on claims stand beside the questions, below them on narrower terminals."""

MOST_SETTINGS = 3
"""So many settings are shown of a study, the ones with most runs."""


def run(asked: Asked) -> int:
    """Lists them; returns the exit code. What cannot be read is a line each. Raises InputError."""
    studies, refused = catalogue.everything()
    here = Here.of(asked.runs, {study.name for study in studies})
    if asked.as_json:
        print_json({"studies": [listed(study, here) for study in studies], "only_planned": only_planned(here)})
    else:
        print_studies(studies, here, screen())
    for line in (*refused, *here.refused):
        say_error(line, bare=True)
    return DONE


@dataclass(frozen=True)
class Present:
    """The runs of one setting: how many its plan has, and how many of them ended how."""

    setting: str
    planned: int
    finished: int
    diverged: int
    failed: int

    @property
    def words(self) -> str:
        """ "cpu 36/36", with what has no usable value after it."""
        others = [f"{count} {what}" for what, count in (("diverged", self.diverged), ("failed", self.failed)) if count]
        counted = f"{self.setting} {self.finished + self.diverged}/{self.planned}"
        return counted + (f" ({', '.join(others)})" if others else "")


def variants_of(study: Study) -> int:
    """How many variants the study's own designs and claims come to, with the seeds of its first profile."""
    seeds = range(study.profiles[0].seeds)
    subsets = {subset for design in study.designs for subset in DESIGNS[design](study, seeds)}
    return len(subsets | {subset_named(study, name) for claim in study.claims for name in claim.variants})


@dataclass(frozen=True)
class Here:
    """The plans in a folder of runs: by study the settings, those with most runs first; of the studies that nothing
    else knows the file that declared them, None where no plan names one; and a line for each that cannot be read."""

    runs: Path
    settings: Mapping[str, Sequence[Present]]
    declared_in: Mapping[str, str | None]
    refused: Sequence[str]

    @classmethod
    def of(cls, runs: Path, known: Collection[str]) -> Here:
        """Reads plans and outcomes, and runs no study's file. Raises InputError where a link leads out of `runs`."""
        try:
            check_folder(runs / "plans")
        except NotADirectoryError as error:
            return cls(runs, {}, {}, (of_system(error),))
        if not (runs / "plans").exists():
            return cls(runs, {}, {}, ())
        check_received(runs)
        settings: dict[str, list[Present]] = {}
        others: dict[str, str | None] = {}
        refused = []
        for file in sorted((runs / "plans").glob("*/*.json"), key=lambda file: (file.parent.name, file.name)):
            try:
                plan = read_plan(file)
                check_received(runs, plan)
            except InputError as error:
                refused.append(str(error))
                continue
            settings.setdefault(plan.study, []).append(_present(plan, runs))
            if plan.study not in known:
                others[plan.study] = plan.declared_in or others.get(plan.study)
        for there in settings.values():
            there.sort(key=lambda each: -each.planned)
        return cls(runs, settings, others, refused)


def _present(plan: Plan, runs: Path) -> Present:
    digests = {variant.job(seed).digest for variant, seed in plan.jobs()}
    states = Counter(_status(RunFolder(jobs_root(runs), digest)) for digest in digests)
    return Present(plan.setting, len(digests), states["finished"], states["diverged"], states["failed"])


def _status(folder: RunFolder) -> Status | None:
    try:
        # A list may be of thousands of runs: whoever needs one of them reads its record.
        outcome = folder.outcome(hashed=False)
    except (OSError, InputError):
        return None
    return None if outcome is None else outcome.status


def listed(study: Study, here: Here) -> dict[str, Any]:
    """One study as plain data (docs/command_line.md lists the keys)."""
    return {
        "name": study.name,
        "title": study.title,
        "question": study.question,
        "slide": study.source.slide if study.source else None,
        "designs": list(study.designs),
        "more_designs": [design for design in available(study) if design not in study.designs],
        "profiles": [profile.name for profile in study.profiles],
        "variants": variants_of(study),
        "searches": [search.name for search in study.searches],
        "claims": [
            {
                "name": claim.name,
                "quote": claim.source.words if claim.source else None,
                "expectation": claim.expectation,
                "expects": claim.expects,
                "variants": list(claim.variants),
            }
            for claim in study.claims
        ],
        "runs": [asdict(each) for each in here.settings.get(study.name, ())],
    }


def only_planned(here: Here) -> list[dict[str, Any]]:
    """The studies of which there is a plan alone, as plain data."""
    return [
        {"name": name, "declared_in": file, "runs": [asdict(each) for each in here.settings[name]]}
        for name, file in here.declared_in.items()
    ]


def print_studies(studies: Sequence[Study], here: Here, console: Console) -> None:
    """One row a study: what it asks, what the deck claims, what it trains, and how many of its runs are here. Below
    them those that only the plans here know, with the file that has to be given for each."""
    wide = console.width >= WIDE
    table = ruled_table(spaced=True)
    table.add_column("study", no_wrap=True)
    table.add_column("asks" if wide else "asks, and what the deck says", ratio=2)
    if wide:
        table.add_column("the deck says", ratio=2)
    for study in studies:
        quotes = [claim.source.words for claim in study.claims if claim.source]
        quotes = quotes or ([study.source.words] if study.source else [])
        claims = "\n".join(f"“{quote}”" for quote in dict.fromkeys(quotes))
        variants = variants_of(study)
        counted = f"{variants} variant{'s' * (variants != 1)}{' by default' if study.more_designs else ''}"
        name = Text.assemble((study.name, "bold cyan"), "\n", (counted, "dim"))
        # The name of the first variant says nothing by itself: it is another model in another study.
        about = [Text(study.question), Text(f"{', '.join(available(study))}; baseline is: {base_title(study)}", "dim")]
        if (there := _words(here.settings.get(study.name, ()))) is not None:
            about.append(Text(there, "green"))
        if not wide:
            about.insert(1, Text(claims, "italic"))
        cells = [name, Text("\n").join(about), *([Text(claims, "italic")] if wide else [])]
        table.add_row(*cells)
    console.print(table)
    for own, file in here.declared_in.items():
        whose = f"a study of its own, declared in {file}: give that path" if file else "no plan says which file has it"
        about_runs = visible(f"  {_words(here.settings[own])}; {whose}")
        console.print(Text.assemble("\n", (own, "bold cyan"), (about_runs, "green")), soft_wrap=True)
    runs = here.runs
    note = f"runs counted in {runs}; the first design is the default" if runs.exists() else f"no runs in {runs} yet"
    console.print(Text(f"\n{note}", "dim"), soft_wrap=True)


def _words(settings: Sequence[Present]) -> str | None:
    if not settings:
        return None
    shown = ", ".join(each.words for each in settings[:MOST_SETTINGS])
    more = len(settings) - MOST_SETTINGS
    return f"runs here: {shown}" + (f", and {more} settings more" if more > 0 else "")
