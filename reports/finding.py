"""The finding in a few words: the title of the figure that answers a study, and what the command ends with."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.answers import ChangesAnswer, ClaimsAnswer, FrontierAnswer, NumberAnswer, VariantsAnswer
from ablations.designs import all_title, base_title
from ablations.schema import DesignName, Study
from reports.commands import planned_designs
from reports.fair import both_read, fair_remark, fair_words
from reports.finding_of_claims import of_claims
from reports.finding_of_frontier import of_frontier
from reports.finding_of_variants import of_number, of_variants
from reports.numbers import interval, sentence
from reports.report import Report
from reports.results import metric_name
from reports.verdicts import ChangeEffect, Word, compare, side_of_one

COMPANY: dict[DesignName, str] = {
    "ladder": "piled up in the slide's order",
    "add_one_in": "each added alone",
    "leave_one_out": "each taken out of all",
    "screening": "on average over the others on and off",
    "shapley": "on average over orders",
}
"""How a design asks of a change, in a sentence about several."""

PHRASES: dict[Word, tuple[str, str]] = {
    "helps": ("helps", "help"),
    "hurts": ("hurts", "hurt"),
    "negligible": ("is negligible", "are negligible"),
    "open": ("is open", "are open"),
    "unstable": ("is unstable", "are unstable"),
}


RESOLVED: tuple[Word, ...] = ("helps", "hurts")


def together(report: Report) -> str:
    """What all changes do together; empty where one of the two variants is not there, or there is one change."""
    results = report.results
    effect = compare(results, "baseline", "all") if len(results.study.changes) > 1 else None
    if effect is None or effect.ratio is None:
        return ""
    whole, base = all_title(results.study), base_title(results.study)
    ratio = interval(effect)
    match side_of_one(effect):
        case "below":
            fair = [each.effect for each in both_read("baseline", "all", results) if each.cost == "arithmetic"]
            also = f" ({interval(fair[0])} at equal arithmetic)" if fair else ""
            return f"{whole} together cut the distance to real images to {ratio} of that with {base}{also}"
        case "above":
            return f"{whole} together raise the distance to real images to {ratio} of that with {base}"
    return f"what {whole} do together is not resolved: {ratio} of the distance with {base}"


def phrase(word: Word, n: int) -> str:
    """A number of changes with a verdict: "7 help"."""
    return f"{n} {PHRASES[word][n > 1]}"


def counts(effects: Sequence[ChangeEffect]) -> str:
    """How many changes have which verdict: "7 help, 2 hurt, 1 is open"."""
    parts = []
    for word in PHRASES:
        if n := sum(e.word == word for e in effects):
            parts.append(phrase(word, n))
    return ", ".join(parts)


def one_at_a_time(report: Report, designs: Sequence[DesignName]) -> list[str]:
    """How many single changes have which verdict, by design: of those that were run whole or in part."""
    lines = []
    for design in designs:
        tested = [effect for effect in report.effects.get(design, ()) if effect.tested]
        if tested:
            lines.append(f"{COMPANY[design]}, {counts(tested)}")
    return lines


def title(report: Report, designs: Sequence[DesignName]) -> str:
    """The finding as one or two sentences."""
    first, *_ = [*one_at_a_time(report, designs), ""]
    single = f"of the single changes, {first}" if first and together(report) else first
    return " ".join(sentence(part) for part in (together(report), single) if part)


def unequal(report: Report, design: DesignName) -> str:
    """What becomes of the findings of a design at equal updates of G, real images and arithmetic, as a sentence: of
    those that do not stand at all of them. Empty where all do."""
    parts = [
        f"{effect.change.brief} {fair_remark(effect, report.results)}"
        for effect in report.effects[design]
        if fair_words(effect, report.results)[1]
    ]
    return f"At equal cost (95%, not corrected): {'; '.join(parts)}." if parts else ""


def designs_of(study: Study, report: Report) -> list[DesignName]:
    """The designs that a finding is told of: those asked for that have verdicts, those of the study's answer first."""
    asked = planned_designs(report.results)
    there = [d for d, effects in report.effects.items() if d in asked and any(e.tested for e in effects)]
    wanted = study.answer.designs if isinstance(study.answer, ChangesAnswer) else ()
    named = [design for design in wanted if design in there]
    return [*named, *(design for design in there if design not in named)]


def sentences(report: Report) -> list[str]:
    """The finding by what kind of answer the study declares, the most important sentence first."""
    match report.results.study.answer:
        case ClaimsAnswer() as answer:
            return of_claims(report, answer)
        case VariantsAnswer() as answer:
            return of_variants(report, answer)
        case NumberAnswer() as answer:
            return of_number(report, answer)
        case FrontierAnswer() as answer:
            return of_frontier(report, answer)
        case _:
            return of_changes(report)


def of_changes(report: Report) -> list[str]:
    """What all changes do, and what each does."""
    designs = designs_of(report.results.study, report)
    found = [sentence(line) for line in (together(report), *one_at_a_time(report, designs[:1])) if line]
    for design in designs[:1]:
        told = []
        for word in RESOLVED:
            if names := [e.change.brief for e in report.effects[design] if e.word == word]:
                told.append(f"{PHRASES[word][len(names) > 1]}: {', '.join(names)}")
        found += [sentence("; ".join(told))] if told else []
    return [*found, unequal(report, designs[0])] if designs and unequal(report, designs[0]) else found


def lines(told: Sequence[str], report: Report) -> list[str]:
    """A finding for a terminal, with what it was measured by; nothing where nothing was found."""
    scope = f"{metric_name(report.results)}, n = {report.n}, profile {report.results.profile.name}"
    return [*told, f"({scope})"] if told else []
