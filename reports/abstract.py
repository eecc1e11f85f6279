"""A report in short: what was run, what became of the deck's claims, what answers the question, what to beware of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ablations.answers import ClaimsAnswer
from ablations.claims import Claim
from reports import finding, stats
from reports.claims import EXCLUDES, ClaimVerdict, excludes_no_change
from reports.commands import planned_designs
from reports.comparability import MixedProtocols
from reports.deck import claimed_values
from reports.finding_of_claims import how_many
from reports.numbers import counted, factor, fixed, interval, listed, mean_spread, sentence
from reports.page import Abstract, Anchor, Code, Grey, Link, Piece, Strong, Text, pieces
from reports.remarks import clauses, family_words, rungs_words, unread_steps, unstable_words
from reports.report import PILOT, Report, design_title
from reports.results import metric_name
from reports.verdicts import ALONE, ChangeEffect, Word
from studies.overrides import override
from studies.plan import Plan

NO_NUMBER = "no number"
MOST_CLAIMS = 3
"""So many claims are told one by one; of more only how many had which verdict."""


def counted_words(words: Iterable[str]) -> str:
    """Words by how often they are there: "5 reproduced, 2 contradicted"."""
    return ", ".join(f"{n} {word}" for word, n in Counter(words).most_common())


def abstract(report: Report, answers: Sequence[Text]) -> Abstract:
    """The lines at the head of a report: first what answers the study."""
    claims = [claim_line(verdict, report) for verdict in report.claims]
    if len(claims) > MOST_CLAIMS:
        counts = counted_words(verdict.word for verdict in report.claims)
        claims = [(Strong(sentence(how_many(report.claims)).replace(".", ":")), f" {counts}.")]
    by_claims = isinstance(report.results.study.answer, ClaimsAnswer)
    first = (*claims, *answers) if by_claims else (*answers, *claims)
    return Abstract((*first, what_was_run(report), beware(report), terms(report)))


def terms(report: Report) -> Text:
    """What a reader who begins here has to know of the words."""
    line = "“The deck” is Ivan Skorokhodov's slides “Meta Generation” of 31 August 2020"
    if report.results.study.changes and "ladder" in planned_designs(report.results):
        line += "; a rung is one step of its list of changes, piled up in its order"
    return (Strong("Words:"), f" {line}.")


def what_was_run(report: Report) -> Text:
    """Variants, seeds, scale and metric in one line."""
    results = report.results
    ended = results.count("finished") + results.count("diverged")
    lost = f", {results.count('diverged')} of them diverged" if results.count("diverged") else ""
    changed = ", ".join(override(path, value) for path, value in results.plan.overrides.items())
    but = f" but with {changed}" if changed else ""
    plan = results.plan
    drawn = ""
    if plan.drawn:
        runs = sum(len(plan.seeds_of(variant)) for variant in plan.drawn)
        drawn = f", and {plan.drawn_words} that its seeds drew, in {counted(runs, 'run')},"
    return (
        Strong("Run:"),
        f" {counted(len(plan.listed), 'variant')} with {seeds_each(plan)}{drawn} on "
        f"{results.plan.data_name}, profile {results.profile.name} ({results.profile.title}){but}, measured by "
        f"{metric_name(results)}. {ended} of {counted(len(results.jobs), 'run')} ended{lost}.",
    )


def seeds_each(plan: Plan) -> str:
    """How many seeds a plan's variants have: "3 seeds each", "3 to 20 seeds, as many as it took"."""
    counts = [len(plan.seeds_of(variant)) for variant in plan.listed]
    if min(counts) == max(counts):
        return f"{counted(counts[0], 'seed')} each"
    return f"{min(counts)} to {max(counts)} seeds, as many as each took"


def claim_line(verdict: ClaimVerdict, report: Report) -> Text:
    """A claim of the deck, its verdict and both numbers; of an expectation of ours the verdict and the number."""
    claim = verdict.claim
    if claim.is_ours:
        parts: list[Piece] = [Strong(f"Our expectation, {verdict.word}:"), f" {claim.said}. "]
        parts.append(f"Found: {ours(verdict, report)}.")
    else:
        parts = [Strong(f"{verdict.word.capitalize()}:"), f" {said_by(claim)}. "]
        parts.append(f"Ours: {ours(verdict, report)}; the deck's: {theirs(claim)}.")
    if verdict.differs and claim.expects != "value" and not claim.is_ours:
        parts.append(" Directions compare, magnitudes do not.")
    if verdict.exploratory:
        parts.append(f" Exploratory: {verdict.exploratory}.")
    parts.append(not_hidden(verdict, report))
    return tuple(piece for piece in parts if piece)


def said_by(claim: Claim) -> str:
    """The deck's words; of a table's order what it is, for its words are numbers."""
    if claim.expects == "order" and claim.source is not None:
        return f"the order by {claim.metric} of the {len(claim.numbers)} rows of the slide “{claim.source.slide}”"
    return claim.said


def not_hidden(verdict: ClaimVerdict, report: Report) -> str:
    """What a claim's one word would hide: an interval without 1 where no change is claimed, and what the same
    comparison is called as a change."""
    remarks = [EXCLUDES] if excludes_no_change(verdict) else []
    claim = verdict.claim
    # Of the metric at the last iteration, as changes are judged.
    alike = verdict.iteration is None and not any(number.series for number in claim.numbers)
    for effects in report.effects.values():
        for effect in effects:
            telling = effect.resolved or effect.why.endswith(ALONE)
            if alike and telling and (effect.before, effect.after) == claim.variants and claim.expects == "same":
                remarks.append(
                    f"as one of this study's {counted(len(effects), 'change')} the same comparison is {effect.verdict}"
                )
    text = "; ".join(dict.fromkeys(remarks))
    return f" {sentence(text)}" if text else ""


def ours(verdict: ClaimVerdict, report: Report) -> str:
    """Our number beside a claim: the paired ratio, or the mean where the claim is of one number."""
    if verdict.claim.expects == "order":
        return verdict.why
    if len(verdict.parts) > 1:
        return several_ratios(verdict)
    if verdict.claim.before is None:
        try:
            values = claimed_values(verdict.claim, verdict.claim.after, report.results)
        except MixedProtocols:
            return verdict.why
        arm = stats.log_summary(values if values is not None else [])
        return mean_spread(arm, fixed([arm.mean]))
    if verdict.effect is None or verdict.effect.ratio is None:
        return verdict.why
    return f"×{interval(verdict.effect)}, n = {verdict.effect.n}"


def several_ratios(verdict: ClaimVerdict) -> str:
    """The ratio of every pair, reading by reading."""
    by_reading: dict[str, list[str]] = {}
    for part in verdict.parts:
        line = f"{part.comparison.title} ×{interval(part.effect)}" if part.effect and part.effect.ratio else part.why
        by_reading.setdefault(part.comparison.reading, []).append(line)
    said = "; ".join(
        f"{reading}: {', '.join(pairs)}" if reading else ", ".join(pairs) for reading, pairs in by_reading.items()
    )
    n = max((part.effect.n for part in verdict.parts if part.effect), default=0)
    return f"{said}, n = {n}"


def theirs(claim: Claim) -> str:
    """The deck's number, as far as it gives one."""
    if claim.expects == "order":
        return f"{len(claim.numbers)} numbers, one run each as far as it says"
    if claim.before is None:
        return f"{claim.after.value:g} {claim.metric}"
    if claim.ratio is None:
        return NO_NUMBER
    assert claim.before.value is not None and claim.after.value is not None
    return f"×{factor(claim.ratio)} ({claim.before.value:g} → {claim.after.value:g} {claim.metric})"


def change_answers(report: Report) -> list[Text]:
    """Of each design which changes it resolves: with the ratios of the design that answers the study, the names of the
    others', whose ratios the report has below."""
    items: list[Text] = []
    for design in finding.designs_of(report.results.study, report):
        tested = [effect for effect in report.effects[design] if effect.tested]
        late = report.results.unplanned(design)
        but = f" Exploratory: {late}." if late else ""
        title = design_title(design, report.results.study) + fewer(tested, report)
        on_ladder = design == "ladder"
        if items:
            steps = unread_steps(report.results) if on_ladder else ""
            parts = [sentence("; ".join(part for part in (named(tested), steps) if part))]
        else:
            rungs = rungs_words(report.results) if on_ladder else ""
            parts = [sentence(ratios(tested, report)), finding.unequal(report, design), rungs]
        told = " ".join(part for part in parts if part)
        items.append((Strong(sentence(title)), f" {told}{but}"))
    return items


def fewer(tested: Sequence[ChangeEffect], report: Report) -> str:
    """That a design has fewer seeds than the study; nothing where it has as many."""
    most = max((e.effect.n for e in tested if e.effect is not None), default=0)
    return f" (n = {most})" if most < report.n else ""


def ratios(tested: Sequence[ChangeEffect], report: Report) -> str:
    """The changes of a design by their verdicts, each decided one with its ratio and interval."""
    lines = []
    for word, names in by_word(tested).items():
        within = f", within a factor of {report.results.study.negligible:g}" if word == "negligible" else ""
        told = [e.change.brief + ratio_of(e) * e.decided for e in names]
        lines.append(f"{finding.phrase(word, len(names))}{within}: {listed(told)}")
    family = family_words([e for e in tested if e.resolved], report.effects)
    return "; ".join([*lines, *([family] if family else [])])


def ratio_of(effect: ChangeEffect) -> str:
    """What stands behind a change's name: its ratio with the interval; of an unstable one what ranks say, if they do;
    with diverged runs the median ratio."""
    known = effect.effect
    if effect.word == "unstable":
        said, by_ranks, _ = effect.why.partition(" by ranks")
        return f" ({said}{by_ranks}, median {factor(known.median_ratio)})" if known and by_ranks else ""
    if known is None:
        return ""
    if known.diverged:
        return "" if known.median_ratio is None else f" (by ranks, median {factor(known.median_ratio)})"
    return "" if known.ratio is None else f" {interval(known)}"


def named(tested: Sequence[ChangeEffect]) -> str:
    """The changes of a design by their verdicts, names alone."""
    return "; ".join(
        f"{finding.phrase(word, len(names))}: {listed([e.change.brief for e in names])}"
        for word, names in by_word(tested).items()
    )


def by_word(tested: Sequence[ChangeEffect]) -> dict[Word, list[ChangeEffect]]:
    """The changes with each verdict, those that help first."""
    found = {word: [e for e in tested if e.word == word] for word in finding.PHRASES}
    return {word: effects for word, effects in found.items() if effects}


def resolved(tested: Sequence[ChangeEffect], report: Report) -> str:
    """What a design found of its changes, by their verdicts."""
    lines = clauses(tested, report.results, report.effects)
    if tested[0].design == "ladder" and (rungs := rungs_words(report.results)):
        lines.append(rungs[0].lower() + rungs[1:].removesuffix("."))
    return "; ".join(lines)


def beware(report: Report) -> Text:
    """What a reader of nothing else has to know."""
    results = report.results
    cautions = []
    if report.n <= PILOT:
        open_too = any(v.word == "inconclusive" for v in report.claims) or any(
            e.word == "open" for effects in report.effects.values() for e in effects
        )
        cautions.append(f"a pilot of {counted(report.n, 'seed')}" + (": what is open is not “no effect”" * open_too))
    if unstable := unstable_words(results):
        cautions.append(unstable)
    judged = "grid" not in results.study.designs  # Grids print no verdicts on changes.
    if judged and any(e.resolved for effects in report.effects.values() for e in effects):
        cautions.append("verdicts on changes are corrected within a design, not over all designs")
    if results.metric in ("fd_rooms", "fd_imagenet"):
        cautions.append("the metric is a proxy and no FID")
    if results.profile.scalings:
        cautions.append("the scale is far below the deck's, so that directions are evidence and magnitudes are not")
    return (Strong("Beware:"), f" {'; '.join(cautions) or 'see the threats to validity'}.")


# --- for other programs -----------------------------------------------------------------------------------------------


def spoken(text: Text) -> str:
    """A text without its looks."""
    words = []
    for part in pieces(text):
        match part:
            case str():
                words.append(part)
            case Code(said) | Strong(said) | Grey(said) | Link(said):
                words.append(said)
            case Anchor():
                pass
    return "".join(words)


def record(report: Report, answers: Sequence[Text], told: Sequence[str]) -> dict[str, Any]:
    """The verdicts as plain data, with the sentences that are `told` as the finding: what `verdicts.json` holds."""
    results = report.results
    answer = results.study.answer
    return {
        "study": results.study.name,
        "title": results.study.title,
        "question": results.study.question,
        "setting": results.plan.setting,
        "metric": metric_name(results),
        "variants": len(results.plan.listed or results.plan.variants),
        "seeds": len(results.plan.seeds),
        "runs": {status: results.count(status) for status in ("finished", "diverged", "failed")},
        "claims": [
            {
                "claim": verdict.claim.name,
                "slide": verdict.claim.source.slide if verdict.claim.source else None,
                "quote": verdict.claim.words,
                "verdict": verdict.word,
                "why": verdict.why,
                "magnitude": verdict.magnitude,
                "exploratory": verdict.exploratory,
                "ours": ours(verdict, report),
                "deck": theirs(verdict.claim),
            }
            for verdict in report.claims
        ],
        "changes": [
            {
                "change": effect.change.name,
                "design": design,
                "verdict": effect.word,
                "exploratory": effect.exploratory,
                "ratio": effect.effect.ratio if effect.effect else None,
                "low": effect.effect.low if effect.effect else None,
                "high": effect.effect.high if effect.effect else None,
                "p_holm": effect.p_holm,
            }
            for design, effects in report.effects.items()
            for effect in effects
            if effect.tested
        ],
        "answers": [spoken(text) for text in answers],
        "answer": None if answer is None else answer.kind,
        "finding": finding.lines(told, report),
    }
