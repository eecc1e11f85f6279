"""The finding of a study that is answered by its claims, in words; and its comparisons, for the figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from ablations.answers import ClaimsAnswer
from ablations.claims import Comparison
from reports import stats
from reports.claims import ClaimVerdict, ClaimWord
from reports.comparability import MixedProtocols
from reports.deck import claimed_values
from reports.numbers import MOST_WORDS, counted, interval, listed, sentence
from reports.report import Report
from reports.results import Results, metric_letters

WORDS: dict[ClaimWord, str] = {
    "reproduced": "as the deck says",
    "contradicted": "against the deck",
    "inconclusive": "inconclusive",
    "not comparable": "not comparable",
    "not tested": "not tested",
}
"""A verdict before the names of what it is of."""

OF_OURS: dict[ClaimWord, str] = {**WORDS, "reproduced": "as expected", "contradicted": "against expectation"}
"""The same of expectations of ours."""


FEW = 6
"""Comparisons that a sentence has room for."""


def asked(report: Report, answer: ClaimsAnswer) -> list[ClaimVerdict]:
    """The verdicts on the claims that an answer names, in its order; on all where it names none."""
    by_name = {verdict.claim.name: verdict for verdict in report.claims}
    return [by_name[name] for name in answer.claims or by_name]


def pairs_of(verdict: ClaimVerdict, results: Results) -> Iterator[tuple[Comparison, stats.Effect | None, ClaimWord]]:
    """Every comparison of a claim with our effect and its verdict. A claim of an order, which judges none by itself,
    has the plain ratios; they are missing where a variant is not planned."""
    judged = {part.comparison: part for part in verdict.parts}
    for pair in verdict.claim.comparisons:
        if pair in judged:
            yield pair, judged[pair].effect, judged[pair].word
            continue
        effect = None
        with suppress(MixedProtocols):  # The verdict says so.
            before, after = (claimed_values(verdict.claim, number, results) for number in (pair.before, pair.after))
            effect = None if before is None or after is None else stats.paired_effect(before, after)
        yield pair, effect, "not tested"


def label_of(pair: Comparison, report: Report) -> str:
    """What a comparison is called: by its title, else by its second variant, else, where all of the study's are of one
    pair of variants, by its measure."""
    if pair.title:
        return pair.title
    pairs = [each for verdict in report.claims for each in verdict.claim.comparisons]
    if len(pairs) > 1 and len({(each.before.variant, each.after.variant) for each in pairs}) == 1:
        return pair.after.series or metric_letters(report.results)
    return report.results.title(pair.after.variant)


def names_of(verdict: ClaimVerdict, report: Report, most: int | None = None) -> str:
    """What a claim is of, in a few words: its pairs, or the first `most` of them."""
    if not verdict.claim.comparisons:
        return report.results.title(verdict.claim.after.variant)
    return listed(list(dict.fromkeys(label_of(pair, report) for pair in verdict.claim.comparisons[:most])))


def of_claims(report: Report, answer: ClaimsAnswer) -> list[str]:
    """The finding as sentences, the first one of `MOST_WORDS` words at most; nothing where no claim was tested."""
    verdicts = asked(report, answer)
    if all(verdict.word == "not tested" for verdict in verdicts):
        return []
    return [*by_verdict(verdicts, report), *ratios(verdicts, report)]


def by_verdict(verdicts: Sequence[ClaimVerdict], report: Report) -> list[str]:
    """Which claims have which verdict, by what they are of; where that takes too many words, before it by the first
    pair of each, or else how many."""
    named = told(verdicts, report, names_of)
    if len(named.split()) <= MOST_WORDS:
        return [named]
    first = told(verdicts, report, lambda verdict, report: names_of(verdict, report, most=1))
    if len(first.split()) <= MOST_WORDS:
        return [first, named]
    by_word = {word: [v for v in verdicts if v.word == word] for word in WORDS}
    counts = [f"{len(each)} {'is' if len(each) == 1 else 'are'} {word}" for word, each in by_word.items() if each]
    return [sentence(f"of {how_many(verdicts)} {listed(counts)} (n = {report.n})"), named]


def told(verdicts: Sequence[ClaimVerdict], report: Report, name: Callable[[ClaimVerdict, Report], str]) -> str:
    """Every verdict with what it is of, as one sentence."""
    parts = [
        f"{before[word]}: {'; '.join(name(verdict, report) for verdict in mine)}"
        for word in WORDS
        for before, ours in ((WORDS, False), (OF_OURS, True))
        if (mine := [verdict for verdict in verdicts if verdict.word == word and verdict.claim.is_ours is ours])
    ]
    return sentence(f"{'; '.join(parts)} (n = {report.n})")


def how_many(verdicts: Sequence[ClaimVerdict]) -> str:
    """Of how many claims a line is, and whose they are: "the deck's 4 claims"."""
    ours = sum(verdict.claim.is_ours for verdict in verdicts)
    if ours == len(verdicts):
        return f"our {counted(ours, 'expectation')}"
    deck = f"the deck's {counted(len(verdicts) - ours, 'claim')}"
    return f"{deck} and our {counted(ours, 'expectation')}" if ours else deck


def ratios(verdicts: Sequence[ClaimVerdict], report: Report) -> list[str]:
    """Our ratio in each comparison, of claims of several where there are few in all, as a sentence."""
    few = sum(len(verdict.claim.comparisons) for verdict in verdicts) <= FEW
    parts = [
        f"{label_of(pair, report)}{f', {pair.reading},' if pair.reading else ''} ×{interval(effect)}"
        for verdict in verdicts
        if few or len(verdict.claim.comparisons) == 1
        for pair, effect, _ in pairs_of(verdict, report.results)
        if effect is not None and effect.ratio is not None
    ]
    return [f"After over before: {'; '.join(parts)}."] if parts else []
