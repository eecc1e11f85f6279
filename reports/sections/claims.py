"""The question, and each claim of the deck with ours beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ablations.claims import Claim, Measured
from ablations.designs import DESIGNS, available, variant_name
from ablations.schema import DesignName, Study
from reports import stats
from reports.claims import EXCLUDES, ClaimVerdict, PairVerdict, excludes_no_change
from reports.commands import planned_designs, train_command
from reports.comparability import MixedProtocols
from reports.deck import claimed_values, deck_number, grey_note
from reports.numbers import MEAN_SPREAD, factor, listed, sentence
from reports.page import Block, Grey, Heading, Listing, Paragraph, Piece, Quote, Strong, Table, Text
from reports.report import PILOT, Report
from reports.results import Results, metric_name, when
from reports.sections.limits import pilot_note
from reports.tables import Cell, Rows, to_runs


def question(report: Report) -> list[Block]:
    """What the study asks."""
    return [Heading("The question"), Paragraph(report.results.study.question)]


def claims(report: Report) -> list[Block]:
    """Each claim of the deck, and ours beside it."""
    results = report.results
    source = results.study.source
    if not report.claims and source is None:
        return []
    blocks: list[Block] = [Heading(heading_of([verdict.claim for verdict in report.claims]))]
    if not report.claims and source is not None:
        blocks += [
            Quote(source.words, f"slide “{source.slide}”"),
            Paragraph("This study judges no number of the deck."),
        ]
    for verdict in report.claims:
        blocks += claim_blocks(verdict, results)
    if report.claims and report.n <= PILOT:
        blocks.append(pilot_note(report))
    return blocks


def heading_of(claims: Sequence[Claim]) -> str:
    """Whose claims the section is about."""
    several = "s" * (len(claims) != 1)
    if claims and all(claim.is_ours for claim in claims):
        return "What we expected, and what was found"
    return f"The deck's claim{several}, and ours"


def claim_blocks(verdict: ClaimVerdict, results: Results) -> list[Block]:
    """One claim: the slide's words, both sides' numbers, the verdict and what it rests on."""
    claim = verdict.claim
    blocks: list[Block] = [words_of(claim)]
    table: Table | None = None
    several = len(claim.comparisons) > 1
    # Of several pairs none is judged alone: where there is no verdict there is no table.
    if any(map(results.variant, (number.variant for number in claim.numbers))) and (verdict.parts or not several):
        with suppress(MixedProtocols):  # The verdict says so.
            table = (claim_pairs_table if several else claim_table)(verdict, results)
            blocks.append(table)
    noted = table is not None and bool(table.note)
    pieces: list[Piece] = ["Verdict: ", Strong(verdict.word), f" ({verdict.why})."]
    if claim.expects == "value":
        pieces.append(f" What differs: {'; '.join(verdict.differs)}." if verdict.differs and not noted else "")
    elif not claim.is_ours:
        pieces += [" Magnitude: ", Strong(verdict.magnitude)]
        if noted:
            pieces.append(", for what the table's note says.")
        elif verdict.differs:
            pieces.append(f", because what follows differs. {sentence('; '.join(verdict.differs))}")
        elif len(verdict.parts) > 1:
            pieces.append(".")
        elif verdict.effect is not None and verdict.effect.ratio is not None and claim.ratio is not None:
            ours, theirs = factor(verdict.effect.ratio), factor(claim.ratio)
            pieces.append(f": ours is {ours}, the deck's {theirs} from one run each, as far as it says.")
        else:
            pieces.append(".")
    if excludes_no_change(verdict):
        pieces.append(f" {sentence(EXCLUDES)}")
    if verdict.exploratory:
        pieces += [" ", Strong("Exploratory"), f": {verdict.exploratory}."]
    if claim.remark:
        pieces.append(f" {claim.remark}")
    blocks.append(Paragraph(tuple(piece for piece in pieces if piece)))
    absent = [name for name in claim.variants if results.variant(name) is None]
    if absent:
        wanted = list(dict.fromkeys(d for name in absent for d in designs_with(results.study, name)[:1]))
        blocks += [
            Paragraph("To test it:"),
            Listing(train_command(results, wanted or planned_designs(results), only=absent)),
        ]
    return blocks


def words_of(claim: Claim) -> Block:
    """The slide's words as a quote, or what we expected."""
    if claim.source is not None:
        return Quote(claim.source.words, f"slide “{claim.source.slide}”")
    return Paragraph((Strong("Expected:"), f" {claim.words}."))


def designs_with(study: Study, name: str) -> list[DesignName]:
    """The designs that train the variant of that name with all seeds."""
    names = {d: {variant_name(study, subset) for subset in DESIGNS[d](study, ())} for d in available(study)}
    return [design for design in names if name in names[design]]


def claim_table(verdict: ClaimVerdict, results: Results) -> Table:
    """Ours and the deck's, each row with the protocol that its numbers come from."""
    claim, plan, differs = verdict.claim, results.plan, verdict.differs
    lengths = listed([f"{i:,}" for i in results.iterations])
    length = f"iteration {verdict.iteration:,} of {lengths}" if verdict.iteration else f"{lengths} iterations"
    measured = listed(list(dict.fromkeys(number.series for number in claim.numbers if number.series)))
    theirs = f"{claim.iterations:,} iterations" if claim.iterations else "iterations not given"
    ours: list[Cell] = [f"ours: {measured or metric_name(results)}, {plan.data_name}, {length}, profile {plan.profile}"]
    deck: list[Cell] = [f"the deck: {claim.metric}, {claim.dataset}, {theirs}, no seeds or spread reported"]
    rows = Rows([ours] if claim.is_ours else [ours, deck])
    rows.words("numbers from", share=2.4)
    for head, number in zip(["before", "after"] if claim.before else ["the model"], claim.numbers, strict=True):
        series = f", {number.series}" if number.series else ""
        rows.numbers(f"{head}: {results.title(number.variant)}{series}", share=1.3)
        values = claimed_values(claim, number, results)
        ours.append(to_runs(results, number.variant, stats.log_summary([] if values is None else values)))
        deck.append(deck_number("–" if number.value is None else f"{number.value:g}", differs))
    if claim.before:
        rows.numbers("after / before [95%]", share=1.2)
        ours.append(verdict.effect)
        deck.append(deck_number(factor(claim.ratio), differs))
    paired = "; the ratio paired by seed, a geometric mean too, with its interval on the log scale"
    units = (
        " The rows have different units."
        if not claim.is_ours and "metric" in {part.partition(":")[0] for part in differs}
        else ""
    )
    what = "What we expected" if claim.is_ours else "The claim, ours and the deck's"
    return rows.table(
        f"{what}: {MEAN_SPREAD}{paired if claim.before else ''}.{units}",
        name=f"claim_{claim.name}",
        size=8.5,
        note=grey_note(differs) if not claim.is_ours and any(isinstance(cell, Grey) for cell in deck) else "",
    )


def claim_pairs_table(verdict: ClaimVerdict, results: Results) -> Table:
    """A claim of several pairs: one row a pair, reading by reading, with what became of it."""
    claim, plan = verdict.claim, results.plan
    ends = {
        number: stats.log_summary(values)
        for number in claim.numbers
        if (values := claimed_values(claim, number, results)) is not None
    }

    def values_of(part: PairVerdict, head: str) -> Cell:
        number: Measured = getattr(part.comparison, head)
        return to_runs(results, number.variant, ends[number])

    def deck(part: PairVerdict) -> Text:
        before, after = part.comparison.before.value, part.comparison.after.value
        if before is None or after is None:
            return "–"
        return deck_number(f"{before:g} → {after:g}", verdict.differs)

    rows = Rows(verdict.parts)
    if any(part.comparison.reading for part in verdict.parts):
        rows.words("reading", lambda part: part.comparison.reading, 1.3, once=True)
    rows.words("pair", lambda part: part.comparison.title, 1.0)
    rows.each(("before", "after"), str, values_of, 1.1)
    rows.numbers("after / before [95%]", lambda part: part.effect, 1.2)
    if not claim.is_ours:
        rows.numbers("the deck", deck)
    rows.words(
        "verdict", lambda part: Strong(part.word) if part.word in ("reproduced", "contradicted") else part.word, 0.9
    )
    of_metric = all(n.series is None or n.series.startswith("upsampled/") for n in claim.numbers)
    measured = metric_name(results) if of_metric else "the measures named"
    expected = {"lower": "below 1", "higher": "above 1", "same": "about 1"}.get(claim.expects, "not above 1")
    margin = f" by the declared factor of {claim.margin:g}" if claim.margin is not None else ""
    whose = "What we expected, every pair" if claim.is_ours else "One sentence of the deck, every pair"
    at = "at the last iteration" if all(n.series for n in claim.numbers) else when(results, verdict.iteration)
    return rows.table(
        f"{whose} that it speaks of, and every reading of it: {measured}, {plan.data_name}, {at}, {MEAN_SPREAD}; the "
        f"geometric mean of the ratio paired by seed with its interval on the log scale, expected {expected}{margin}.",
        name=f"claim_{claim.name}",
        size=7.8,
        note=grey_note(verdict.differs) if any(isinstance(deck(part), Grey) for part in verdict.parts) else "",
        measures=[end.mean for end in ends.values()],
    )
