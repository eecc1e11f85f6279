"""The finding of a study that is answered by its claims, in words; and its comparisons, for the figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def names_of(verdict: ClaimVerdict, report: Report) -> str:
    """What a claim is of, in a few words."""
    if not verdict.claim.comparisons:
        return report.results.title(verdict.claim.after.variant)
    return listed(list(dict.fromkeys(label_of(pair, report) for pair in verdict.claim.comparisons)))


def of_claims(report: Report, answer: ClaimsAnswer) -> list[str]:
    """The finding as sentences, the first one of `MOST_WORDS` words at most; nothing where no claim was tested."""
    verdicts = asked(report, answer)
    if all(verdict.word == "not tested" for verdict in verdicts):
        return []
    return [*by_verdict(verdicts, report), *ratios(verdicts, report)]


def by_verdict(verdicts: Sequence[ClaimVerdict], report: Report) -> list[str]:
    """Which claims have which verdict, by what they are of; before that, where it takes too many words, how many."""
    by_word = {word: [v for v in verdicts if v.word == word] for word in WORDS}
    parts = [
        f"{before[word]}: {'; '.join(names_of(verdict, report) for verdict in mine)}"
        for word, found in by_word.items()
        for before, ours in ((WORDS, False), (OF_OURS, True))
        if (mine := [verdict for verdict in found if verdict.claim.is_ours is ours])
    ]
    named = sentence(f"{'; '.join(parts)} (n = {report.n})")
    if len(named.split()) <= MOST_WORDS:
        return [named]
    counts = [f"{len(each)} {'is' if len(each) == 1 else 'are'} {word}" for word, each in by_word.items() if each]
    return [sentence(f"of {how_many(verdicts)} {listed(counts)} (n = {report.n})"), named]


def how_many(verdicts: Sequence[ClaimVerdict]) -> str:
    """Of how many claims a line is, and whose they are: "the deck's 4 claims"."""
    ours = sum(verdict.claim.is_ours for verdict in verdicts)
    if ours == len(verdicts):
        return f"our {counted(ours, 'expectation')}"
    deck = f"the deck's {counted(len(verdicts) - ours, 'claim')}"
    return f"{deck} and our {counted(ours, 'expectation')}" if ours else deck


def ratios(verdicts: Sequence[ClaimVerdict], report: Report) -> list[str]:
    """Our ratio in each claim of one comparison, as a sentence."""
    parts = [
        f"{label_of(pair, report)} ×{interval(effect)}"
        for verdict in verdicts
        if len(verdict.claim.comparisons) == 1
        for pair, effect, _ in pairs_of(verdict, report.results)
        if effect is not None and effect.ratio is not None
    ]
    return [f"After over before: {', '.join(parts)}."] if parts else []
