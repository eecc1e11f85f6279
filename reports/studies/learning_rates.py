"""The report of `learning_rates`: what the searches saw, what their choices do on other seeds, and what that says of G.

A search's own best value is the luckiest of its trials. What is concluded here comes from the choices trained anew, on
seeds that no search saw; the trials tell where good rates lie, and how flat the ground is there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from ablations import patch
from ablations.search import Search
from core.metrics.protocol import Protocol, from_json
from core.reading import Damaged
from core.words import typed
from reports import pictures, sections, stats
from reports.comparability import MixedProtocols, mixture, with_rows
from reports.numbers import MEAN_SPREAD, counted, factor, fixed, interval, listed, short
from reports.numbers import sentence as in_a_sentence
from reports.page import Block, Bullets, Code, Heading, Listing, Paragraph, Strong, Table, Text
from reports.report import PILOT, Report, composed
from reports.results import Results, metric_letters, metric_name, when
from reports.searches import G_RATE, HEADS, MAPPING, Noise, among, number, pooled_noise, searches, ties, value_of
from reports.tables import Rows, last_values
from reports.verdicts import compare, side_of_one
from studies.search_records import Sweep, read_sweep

ONE, SEPARATE = "best_one_rate", "best_separate"
STYLEGAN_MAPPING = 0.01
"""The multiplier of StyleGAN's mapping network (Karras et al. 2019)."""


def sweeps_of(results: Results) -> list[Sweep]:
    """The records of the study's searches, as far as there are any."""
    return [
        sweep
        for search in results.study.searches
        if (sweep := read_sweep(results.runs, results.plan.study, results.plan.setting, search.name)) is not None
    ]


def answers(report: Report) -> list[Text]:
    """The deck's two questions in one sentence."""
    results = report.results
    if not results.plan.searched:
        return ["No search has come to its end here."]
    return [sentence(results, {sweep.search.variant: sweep for sweep in sweeps_of(results)}, noise_of(results))]


def body(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    sweeps = sweeps_of(report.results)
    check_alike(report.results, sweeps)
    parts = (
        sections.question,
        partial(answer, sweeps=sweeps),
        partial(searches, sweeps=sweeps),
        sections.learning_curves,
        pictures.samples,
        pictures.between_latents,
        sections.the_setting,
        partial(what_was_sought, sweeps=sweeps),
        sections.cost,
        partial(cost_of_searches, sweeps=sweeps),
        partial(limits, sweeps=sweeps),
        sections.missing,
        sections.provenance,
        sections.runs,
    )
    return composed(report, parts)


def check_alike(results: Results, sweeps: Sequence[Sweep]) -> None:
    """Raises MixedProtocols where a trial was measured otherwise than what was trained anew."""
    known = dict(results.protocols)
    rows = []
    for sweep in sweeps:
        for trial in sweep.trials:
            recorded: dict[str, Protocol] = {}
            with suppress(Damaged):  # Its value stands in the search's own record.
                recorded = from_json(results.folder(trial.digest).read("protocol.json"))
            if (protocol := recorded.get(sweep.metric)) is not None:
                known[protocol.fingerprint] = protocol
                rows.append((f"trial {trial.number}", trial.digest, sweep.metric, protocol.fingerprint))
    if (reason := mixture(with_rows(results.tidy, rows), results.metric, known)) is not None:
        raise MixedProtocols(reason)


def noise_of(results: Results) -> Noise | None:
    """Of the variants that were trained with the study's seeds."""
    return pooled_noise([results.last(variant) for variant in results.plan.variants])


# --- the answer -------------------------------------------------------------------------------------------------------


def answer(report: Report, sweeps: Sequence[Sweep]) -> list[Block]:
    """The answer by the re-trained choices, with the numbers it rests on."""
    results = report.results
    blocks: list[Block] = [Heading("The answer")]
    if not results.plan.searched:
        plan = results.plan
        command = typed("python", "-m", "studies.run", plan.asked_as, "--profile", plan.profile)
        return [*blocks, Paragraph("No search has come to its end here, so there is none:"), Listing(command)]
    by_name = {sweep.search.variant: sweep for sweep in sweeps}
    noise = noise_of(results)
    items = [
        *which_rate(results, by_name.get(ONE), noise),
        *mapping_network(results, by_name.get(SEPARATE), noise),
        *selection(results, by_name),
    ]
    blocks += [Bullets(tuple(items)), reruns(results, by_name)]
    if report.n <= PILOT:
        blocks.append(sections.pilot_note(report))
    return blocks


def finding(report: Report) -> list[str]:
    """What the rates that were found do on other seeds, which others did as well, and whether G's parts want their
    own."""
    results = report.results
    if not results.plan.searched:
        return ["No search has come to its end here."] if report.n else []
    sweep = next((sweep for sweep in sweeps_of(results) if sweep.search.variant == ONE), None)
    told = (against_the_profile(results), trials_words(sweep, noise_of(results)), separate_words(results))
    return [in_a_sentence(words) for words in told if words]


def sentence(results: Results, sweeps: dict[str, Sweep], noise: Noise | None) -> str:
    """The deck's two questions answered in one sentence, with what is uncertain about it."""
    return f"{rate_words(results, sweeps.get(ONE), noise)}; {separate_words(results)}."


def separate_words(results: Results) -> str:
    """What separate rates within G bring over one, as the second half of a sentence."""
    if same_config(results, ONE, SEPARATE):
        return (
            "the search over separate rates, which began there, found none that were better on its seed, so "
            "nothing here shows that the trunk needs a rate of its own, as StyleGAN's mapping network has"
        )
    effect = compare(results, ONE, SEPARATE)
    if effect is None or effect.ratio is None:
        return "whether parts of G need rates of their own was not compared"
    said = {
        "below": "separate rates within G are better than one, so its parts are not equivalent",
        "above": "the separate rates that were found are worse than one, so nothing speaks for the trunk's own rate",
    }.get(
        side_of_one(effect),
        "no difference between separate rates within G and one rate is resolved, so nothing here shows that the trunk "
        "needs a rate of its own, as StyleGAN's mapping network has, and nothing rules it out: the interval is wide",
    )
    return f"{said} (separate over one rate {interval(effect)}, n = {effect.n} seeds)"


def rate_words(results: Results, sweep: Sweep | None, noise: Noise | None) -> str:
    """Which rates of G did how well, as the first half of a sentence: never more than one run each can say, and what
    the choice did over the profile's rates on other seeds."""
    trials = trials_words(sweep, noise)
    return f"{trials}; {against_the_profile(results)}" if trials else "No rate of G was found"


def trials_words(sweep: Sweep | None, noise: Noise | None) -> str:
    """Which trials one run each cannot tell apart; empty where there are none."""
    if sweep is None or sweep.best is None:
        return ""
    tied = [] if noise is None else ties(sweep, noise)
    if len(tied) > 1:
        low, high = among(tied, G_RATE)
        worse = sum(t not in tied and low <= t.values[G_RATE] <= high for t in sweep.ended)
        text = (
            f"{len(tied)} of {len(sweep.ended)} trials cannot be told apart by one run each; their rates of G lie "
            f"between {number(low)} and {number(high)}, with other rates of D and betas"
        )
        text += f", and {counted(worse, 'trial')} in that range did worse" if worse else ""
    else:
        text = (
            f"The best of {len(sweep.ended)} trials, one run each, had G's rate at {number(sweep.best.values[G_RATE])}"
        )
    return text


def against_the_profile(results: Results) -> str:
    """The best trial's rates on other seeds, beside the profile's."""
    if same_config(results, "baseline", ONE):
        return "the best trial's settings are the profile's own"
    effect = compare(results, "baseline", ONE)
    if effect is None or effect.ratio is None:
        return "the best trial's settings were not compared with the profile's on other seeds"
    said = {
        "below": "on other seeds the best trial's settings are better than the profile's",
        "above": "on other seeds the best trial's settings are worse than the profile's",
    }.get(side_of_one(effect), "the best trial's settings are not shown better than the profile's")
    return f"{said} (×{interval(effect)}, n = {effect.n})"


def same_config(results: Results, one: str, other: str) -> bool:
    """Whether two names of variants stand for one config, which has no ratio to itself."""
    variant = results.variant(one)
    return variant is not None and variant == results.variant(other)


def retrained(results: Results, before: str, after: str) -> str:
    """The paired ratio of two re-trained variants and what it says, as the end of a sentence."""
    if same_config(results, before, after):
        return f"“{results.title(after)}” is “{results.title(before)}” itself: there is nothing to compare"
    effect = compare(results, before, after)
    return (
        f"re-trained, “{results.title(after)}” over “{results.title(before)}” is {interval(effect)}: {verdict(effect)}"
    )


def which_rate(results: Results, sweep: Sweep | None, noise: Noise | None) -> list[Text]:
    """The best single rate, the trials like it, and what it brings over the profile's."""
    if sweep is None or sweep.best is None:
        return []
    best = sweep.best
    choices = [
        f"{HEADS[path]} {number(value)} ({beside(sweep, path, value)}{edge(sweep, path)})"
        for path, value in best.values.items()
    ]
    text = f" {listed(choices)}, the best of {len(sweep.ended)} trials on seed {sweep.search.seed}."
    if noise is not None:
        tied = ties(sweep, noise)
        spans = [f"{HEADS[path]} {' to '.join(map(number, among(tied, path)))}" for path in best.values]
        text += (
            f" {counted(len(tied) - 1, 'other trial')} cannot be told from it by one run each (their ratio is below "
            f"{factor(noise.apart)}); together they span {listed(spans)}."
        )
    text += f" Against the profile's own rates: {retrained(results, 'baseline', ONE)}."
    return [(Strong("Which rate for G?"), text)]


def mapping_network(results: Results, sweep: Sweep | None, noise: Noise | None) -> list[Text]:
    """The gain of parts of G by rates of their own."""
    if sweep is None or sweep.best is None:
        return []
    best = sweep.best
    choices = [f"{HEADS[path]} {number(value)}{edge(sweep, path)}" for path, value in best.values.items()]
    text = f" The separate search chose {listed(choices)}."
    least = sweep.complete[0]
    if least.number != best.number:
        write = fixed([value_of(sweep, best)])
        text += (
            f" On its own seed none of its trials beat the one rate that it began at ({write(value_of(sweep, best))} "
            f"against {write(value_of(sweep, least))}, one run each)."
        )
    if noise is not None:
        tied = ties(sweep, noise)
        low, high = among(tied, MAPPING)
        there = "inside" if low <= STYLEGAN_MAPPING <= high else "outside"
        text += (
            f" The {counted(len(tied), 'trial')} that one run each cannot tell apart from the best, itself included, "
            f"multiply the trunk's rate by {number(low)} to {number(high)}; StyleGAN's {STYLEGAN_MAPPING:g} for its "
            f"mapping network lies {there} of that."
        )
    text += f" Against one rate: {retrained(results, ONE, SEPARATE)}."
    return [(Strong("Is it equivalent to the mapping network?"), text)]


def beside(sweep: Sweep, path: str, value: float) -> str:
    """A chosen value beside the profile's: as a factor where its range is one of factors."""
    base = sweep.base[path]
    logarithmic = next(p for p in sweep.search.parameters if p.path == path).log
    times = f"{factor(value / base)} times " if logarithmic else ""
    return f"{times}the profile's {number(base)}"


def edge(sweep: Sweep, path: str) -> str:
    """A warning where the best lies at the end of its range."""
    end = sweep.at_edge(path)
    # Below 0 there is nothing that a search could have missed.
    if end is None or sweep.ranges[path][0] == 0:
        return ""
    return f", at the {end} edge of its range: the optimum may lie beyond"


def verdict(effect: stats.Effect | None) -> str:
    """A paired ratio of two choices in words."""
    if effect is None or effect.n == 0:
        return "not compared"
    if effect.diverged:
        return f"{counted(effect.diverged, 'run')} diverged, so there is no ratio"
    return {"below": "better", "above": "worse"}.get(side_of_one(effect), "the difference is not resolved")


def selection(results: Results, sweeps: dict[str, Sweep]) -> list[Text]:
    """How much better the search saw its choice than other seeds do."""
    ratios = []
    for choice in results.plan.searched:
        seen, variant = seen_by_search(sweeps, choice.variant), results.variant(choice.variant)
        again = stats.geometric_mean(results.last(variant)) if variant else None
        if seen is None or again is None or choice.variant not in sweeps:
            continue
        low, high = (None if end is None else end / seen for end in (again.low, again.high))
        ratio = stats.Effect(again.n, again.centre / seen, low, high)
        ratios.append(f"{results.title(choice.variant)} {interval(ratio)}")
    if not ratios:
        return []
    text = (
        f" A search's best value is the luckiest of its trials. Re-trained mean over that value: {'; '.join(ratios)} "
        "(geometric means over seeds with Student-t intervals; above 1 the search was too optimistic)."
    )
    return [(Strong("Selection."), text)]


def reruns(results: Results, sweeps: dict[str, Sweep]) -> Table:
    """The variants as re-trained beside what the search saw."""
    paths = dict.fromkeys(path for sweep in sweeps.values() for path in sweep.ranges)
    names = ["baseline", *(choice.variant for choice in results.plan.searched)]
    configs = {
        name: variant.config.model_dump(mode="json") for name in names if (variant := results.variant(name)) is not None
    }
    letters = metric_letters(results)
    rows = Rows(configs)
    rows.words("variant", results.title, 1.3)
    rows.each(
        paths,
        lambda path: HEADS.get(path, path),
        lambda name, path: number(float(patch.lookup(configs[name], path))),
    )
    rows.numbers(f"{letters}, seen by the search", partial(seen_by_search, sweeps), 1.0)
    rows.numbers(f"{letters}, re-trained", lambda name: last_values(results, name), 1.3)
    rows.numbers(
        f"ratio to {results.title('baseline')}",
        lambda name: None if same_config(results, "baseline", name) else compare(results, "baseline", name),
        1.4,
    )
    caption = (
        f"{metric_name(results)} {when(results)}: of the one trial that the search chose by, and of the same "
        f"config with the study's seeds, {MEAN_SPREAD}; ratios paired by seed to the profile's own rates, geometric "
        "means with 95% Student-t intervals on the log scale."
    )
    measures = [results.ends(name).mean for name in configs]
    return rows.table(caption, name="retrained", size=7.8, measures=measures)


def seen_by_search(sweeps: dict[str, Sweep], name: str) -> float | None:
    """The value of this variant's trial: the chosen one, or one with the base's own values."""
    if name in sweeps:
        best = sweeps[name].best
        return None if best is None else value_of(sweeps[name], best)
    for sweep in sweeps.values():
        for trial in sweep.complete:
            if all(math.isclose(value, sweep.base[path]) for path, value in trial.values.items()):
                return value_of(sweep, trial)
    return None


# --- how --------------------------------------------------------------------------------------------------------------


def what_was_sought(report: Report, sweeps: Sequence[Sweep]) -> list[Block]:
    """The ranges, with where they come from."""
    declared = report.results.study.searches
    by_name = {sweep.search.name: sweep for sweep in sweeps}
    rows = Rows(
        (parameter, search.name, by_name.get(search.name)) for search in declared for parameter in search.parameters
    )
    rows.words("search", lambda row: row[1])
    rows.words("path", lambda row: Code(row[0].path), 1.6)
    rows.words(
        "range",
        lambda row: " to ".join(map(number, row[2].ranges[row[0].path] if row[2] else (row[0].low, row[0].high))),
        1.0,
    )
    rows.words("scale", lambda row: "log" if row[0].log else "linear")
    rows.numbers("the profile's", lambda row: number(row[2].base[row[0].path]) if row[2] else None)
    rows.words("why", lambda row: row[0].why, 1.6)
    caption = (
        "Parameters of the searches. Everything else is that of all ten changes at this scale, the variant of that "
        f"title of changes_overview{not_sought(declared)}."
    )
    return [Heading("What was sought", 2), rows.table(caption, name="searched", size=7.6)]


def not_sought(searches: Sequence[Search]) -> str:
    """A remark on Adam's betas where no search varies them."""
    varied = any("beta" in parameter.path for search in searches for parameter in search.parameters)
    return "" if varied else "; Adam's betas are not sought"


def cost_of_searches(report: Report, sweeps: Sequence[Sweep]) -> list[Block]:
    """The time that trials took."""
    if not sweeps:
        return []
    minutes = [f"{sweep.search.name} {short(sum(trial.seconds for trial in sweep.trials) / 60)}" for sweep in sweeps]
    return [Paragraph(f"Minutes of training in trials, beside these runs: {'; '.join(minutes)}.")]


def limits(report: Report, sweeps: Sequence[Sweep]) -> list[Block]:
    """The limits of these numbers."""
    items: list[Text] = [
        "A search chooses by one run of each config on one seed, so its choice is one of the good ones, not the "
        "optimum; another seed or budget chooses another.",
        "The separate search begins at what the other one chose and seeks more parameters with as many trials: where "
        "it does not win, more trials might; where it wins, it had the trials of both. The two choices are compared as "
        "found, not the best there are.",
        "Good rates depend on the length of training, the batch and the networks: those of this scale are not the "
        "deck's. What may carry over is whether parts of G want different rates.",
        "Pruning favours what learns fast: a rate that is behind at half of the training is given up.",
    ]
    edges = [
        f"{HEADS[path]} of {sweep.search.name} ({end} end)"
        for sweep in sweeps
        for path in sweep.ranges
        if (end := sweep.at_edge(path)) is not None
    ]
    if edges:
        items.append(f"The best lies at the edge of its range for {listed(edges)}: the optimum may lie outside.")
    short_of = [sweep for sweep in sweeps if len(sweep.ended) < sweep.search.trials]
    if short_of:
        counts = [f"{sweep.search.name} has {len(sweep.ended)} of {sweep.search.trials}" for sweep in short_of]
        items.append(f"Fewer trials than the study declares: {listed(counts)}.")
    return [*sections.limits(report), Bullets(tuple(items))]
