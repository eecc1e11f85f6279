"""What `--dry-run` shows: the variants of a plan, how its runs stand, and what its profile scales."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from ablations import patch
from ablations.beside_deck import arrow, edited
from ablations.protocols import PROTOCOLS
from ablations.schema import Change, Profile, Study
from core.folder import RESULTS, RunFolder, State
from core.words import visible
from studies.durations import span
from studies.numbers import changed_rows, trained_here
from studies.plan import (
    Plan,
    PlannedVariant,
    jobs_root,
    plan_file,
    read_plan,
)
from studies.planning import metric_of_images
from studies.run_state import to_train
from studies.runner import launchers
from studies.runner.order import Order
from studies.runner.preflight import check_start, notes, obstacle, refusal
from studies.runner.resources import Resources
from studies.runner.tasks import Task, TimesFrom, longest_first
from studies.screen import ruled_table
from studies.spreads import Spread, answers, observed_spreads
from studies.times.estimate import Prediction, predicted, recorded_times

WIDE = 110
"""From so many columns on a scaling has its reason beside it, and designs have a column."""


@dataclass(frozen=True)
class Outlook:
    """What a command would do: how each run of a plan stands, what is in the way, and how long the rest takes.

    `states` and `blocked` are by digest; `blocked` has the reason. `pending` runs have no result that stays, `new` are
    those of them that would be trained.
    """

    study: Study
    plan: Plan
    tasks: Sequence[Task]
    states: Mapping[str, State]
    blocked: Mapping[str, str]
    pending: Sequence[Task]
    new: Sequence[Task]
    prediction: Prediction
    resources: Resources

    @classmethod
    def of(
        cls, study: Study, plan: Plan, tasks: Sequence[Task], *, resources: Resources, retry_failed: bool
    ) -> Outlook:
        """Reads the run folders; starts nothing and writes nothing. Raises as `check_start`."""
        states = {task.digest: RunFolder(jobs_root(resources.runs), task.digest).state() for task in tasks}
        reasons = {
            task.digest: obstacle(task, states[task.digest], resources, retry_failed=retry_failed) for task in tasks
        }
        blocked = {digest: reason for digest, reason in reasons.items() if reason is not None}
        pending = [task for task in tasks if to_train(states[task.digest], retry_failed)]
        check_start(plan, pending, resources)
        new = [task for task in pending if task.digest not in blocked]
        prediction = predicted(new, resources.runs, machine=resources.machine, workers=resources.workers)
        return cls(study, plan, tasks, states, blocked, pending, new, prediction, resources)

    @property
    def refusal(self) -> str | None:
        """Why the command that trains would refuse to, None where it would not."""
        return refusal([self.blocked.get(task.digest) for task in self.pending])

    @property
    def notes(self) -> list[str]:
        """What is in nobody's way and has to be known."""
        return [
            *metric_of_images(self.study, self.plan),
            *notes((task.job.config for task in self.tasks), self.resources.data_path),
        ]

    @property
    def cached(self) -> int:
        """Runs that have their result."""
        return sum(self.states[task.digest] in RESULTS for task in self.tasks)


def print_plan(outlook: Outlook, console: Console) -> None:
    """The variants of the plan with what each changes and which runs exist; then what it will take, what is in the way,
    what it can show, and the profile's scalings."""
    study, plan, tasks = outlook.study, outlook.plan, outlook.tasks
    profile = study.profile(plan.profile)
    claimed = {name for claim in study.claims for name in claim.variants}
    words = {digest: "BLOCKED" if digest in outlook.blocked else state for digest, state in outlook.states.items()}
    _say(f"{study.name}, setting {plan.setting}: {study.question}", console)
    table = ruled_table(spaced=True)
    wide = console.width >= WIDE
    # Names of designs that combine many changes are long: what they leave has to be read as well.
    table.add_column("variant", overflow="fold", max_width=max(28, console.width // 3))
    if wide:
        table.add_column("designs")
    table.add_column("what it changes", overflow="fold")
    table.add_column("seeds")
    table.add_column("time", justify="right", no_wrap=True)
    for variant in plan.listed:
        mine = [task for task in tasks if task.variant == variant.name]
        if not mine:
            continue
        places = [f"{design} {number}" for design, number in variant.designs.items()]
        if not places and claimed & {variant.name, *variant.aliases}:
            places = ["the claim"]
        called = [variant.name, *(f"= {alias}" for alias in variant.aliases)]
        table.add_row(
            "\n".join(called if wide else [*called, *(f"  {place}" for place in places)]),
            *((", ".join(places),) if wide else ()),
            "\n".join([variant.title, *_edits(study, profile, plan, variant)]),
            _seeds_by_state(mine, words),
            _time(mine[0].expected_seconds),
        )
    if drawn := {variant.name for variant in plan.drawn}:
        mine = [task for task in tasks if task.variant in drawn]
        states = Counter(words[task.digest] for task in mine)
        times = [task.expected_seconds for task in mine]
        known = [seconds for seconds in times if seconds is not None]
        table.add_row(
            plan.drawn_words,
            *(("",) if wide else ()),
            f"half of the {len(study.changes)} changes on average, other variants in every seed; --json names them",
            "\n".join(f"{state}: {count} runs" for state, count in states.items()),
            _time(sum(known) / len(known) if known and len(known) == len(times) else None),
        )
    console.print(table, markup=False)
    _say("", console)
    _say(_totals(outlook), console)
    if outlook.new:
        _say(_times(outlook), console)
    for reason, names in _by_reason(tasks, outlook.blocked).items():
        _say(visible(f"BLOCKED {names}: {reason}"), console)
    for line in (*outlook.notes, *_power(study, plan, outlook.resources.runs)):
        _say(visible(line), console)
    _print_scalings(study, profile, plan, console)


def plan_document(outlook: Outlook) -> dict[str, Any]:
    """What `print_plan` says, as plain data (docs/command_line.md lists the keys). Times are seconds."""
    study, plan, resources = outlook.study, outlook.plan, outlook.resources
    profile = study.profile(plan.profile)
    variants = [
        {
            "name": variant.name,
            "aliases": list(variant.aliases),
            "title": variant.title,
            "changes": list(variant.changes),
            "designs": variant.designs,
            "edits": _edits(study, profile, plan, variant),
            "runs": [
                {
                    "seed": task.seed,
                    "digest": task.digest,
                    "state": outlook.states[task.digest],
                    "blocked": outlook.blocked.get(task.digest),
                    "expected_seconds": task.expected_seconds,
                    "times_from": task.times_from,
                }
                for task in outlook.tasks
                if task.variant == variant.name
            ],
        }
        for variant in plan.variants
    ]
    return {
        "study": study.name,
        "setting": plan.setting,
        "notes": outlook.notes,
        "profile": plan.profile,
        "protocol": plan.protocol,
        "overrides": dict(plan.overrides),
        "data": plan.data_name,
        "seeds": list(plan.seeds),
        "device": resources.device,
        "launcher": resources.launcher,
        "workers": resources.workers,
        "variants": variants,
        "totals": {
            "runs": len(outlook.tasks),
            "new": len(outlook.new),
            "cached": outlook.cached,
            "blocked": len(outlook.blocked),
            "expected_seconds": outlook.prediction.seconds,
            "unknown": outlook.prediction.unknown,
        },
    }


def submission(outlook: Outlook, resources: Resources) -> str | None:
    """What the cluster of `resources` would be asked, to the letter; None where there is nothing to train."""
    assert resources.cluster is not None
    if not outlook.pending:
        return None
    workers = min(resources.workers, len(outlook.pending))
    order = Order.of_tasks(outlook.plan, resources, longest_first(outlook.pending), workers)
    return launchers.submission(resources.cluster, order)


def print_submission(asks: str, resources: Resources, console: Console) -> None:
    """That text, not wrapped and not marked up."""
    _say(f"\n{resources.launcher} would be given this, less the workers that it has already:\n", console)
    print("\n".join(visible(line) for line in asks.splitlines()))


def _say(line: str, console: Console) -> None:
    console.print(line, soft_wrap=True)


def _seeds_by_state(tasks: Sequence[Task], states: Mapping[str, str]) -> str:
    """One line a state, as in "new: 0, 1, 2"."""
    by_state: dict[str, list[str]] = {}
    for task in tasks:
        by_state.setdefault(states[task.digest], []).append(str(task.seed))
    return "\n".join(f"{state}: {', '.join(seeds)}" for state, seeds in by_state.items())


def _time(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"about {span(seconds)}"


def _totals(outlook: Outlook) -> str:
    """ "36 runs: 30 new (1 interrupted), 6 cached, 0 blocked; about 12 min with --jobs 2"."""
    new, prediction, blocked = outlook.new, outlook.prediction, outlook.blocked
    begun = Counter(outlook.states[task.digest] for task in new if outlook.states[task.digest] != "new")
    counted = f"{len(new)} new"
    if begun:
        counted += f" ({', '.join(f'{count} {state}' for state, count in begun.items())})"
    if not new:
        time = "nothing that can be trained" if blocked else "nothing to train"
    elif prediction.unknown == len(new):
        time = "time unknown, measure with --calibrate"
    else:
        time = f"about {span(prediction.seconds)}"
        if prediction.unknown:
            time += f" and {prediction.unknown} runs of unknown time, measure with --calibrate,"
        time += f" with --jobs {outlook.resources.workers}"
    return f"{len(outlook.tasks)} runs: {counted}, {outlook.cached} cached, {len(blocked)} blocked; {time}"


def _times(outlook: Outlook) -> str:
    """Where the times come from."""
    new, prediction = outlook.new, outlook.prediction
    recorded = recorded_times(outlook.plan)
    whence: dict[TimesFrom | None, str] = {
        "runs": "as finished runs took on this machine",
        "calibration": "as calibrated on this machine",
        "record": f"as recorded with the code ({recorded.get('machine', 'on a machine that is not known')})",
        None: "unknown",
    }
    counts = Counter(task.times_from for task in new)
    parts = [f"{counts[source]} {words}" for source, words in whence.items() if counts[source]]
    start = "not known and not counted" if prediction.start_seconds is None else f"{prediction.start_seconds:.1f} s"
    machine = outlook.resources.machine.words
    return f"times of {len(new)} runs: {', '.join(parts)}; start-up {start}; this machine is {machine}"


def _by_reason(tasks: Sequence[Task], blocked: Mapping[str, str]) -> dict[str, str]:
    """For each reason the runs that it holds for: "baseline 0, 1; all 0"."""
    runs: dict[str, dict[str, list[str]]] = {}
    for task in tasks:
        if task.digest in blocked:
            runs.setdefault(blocked[task.digest], {}).setdefault(task.variant, []).append(str(task.seed))
    return {
        reason: f"all {len(tasks)} runs"
        if sum(map(len, variants.values())) == len(tasks)
        else "; ".join(f"{variant} {', '.join(seeds)}" for variant, seeds in variants.items())
        for reason, variants in runs.items()
    }


def _power(study: Study, plan: Plan, runs: Path) -> list[str]:
    """The seeds that effects need, by what the setting's runs have shown, else by what was recorded with the code."""
    spreads = observed_spreads(study, _recorded(plan, runs), runs)
    spreads = spreads or [Spread.recorded(record) for record in recorded_times(plan).get("spreads", [])]
    if not spreads:
        return ["seeds needed to detect 5, 10 or 20%: unknown until the study has run"]
    return answers(spreads, len(plan.seeds), {change.name: change.title for change in study.changes})


def _recorded(plan: Plan, runs: Path) -> Plan:
    """All that the setting has; the plan itself where nothing was recorded."""
    file = plan_file(runs, plan.study, plan.setting)
    return read_plan(file) if file.exists() else plan


def _print_scalings(study: Study, profile: Profile, plan: Plan, console: Console) -> None:
    _say(f"profile {profile.name}: {profile.title}", console)
    if plan.protocol is not None:
        named = PROTOCOLS[plan.protocol]
        _say(f"protocol {named.name}: {named.title}. {named.source}", console)
    if rows := changed_rows(study, profile, plan):
        table = ruled_table()
        # The public code's words and the reasons need room.
        wide = console.width >= WIDE
        table.add_column("path", no_wrap=True)
        for name in ("deck", *(("public code",) if wide else ()), "here", *(("why",) if wide else ())):
            table.add_column(name, overflow="fold")
        for row in rows:
            path = f"{row.path} (of {row.only})" if row.only else row.path
            why = row.why if row.path not in plan.overrides else f"override{_whose(plan, row.path)}"
            table.add_row(path, row.deck, *((row.public,) if wide else ()), row.here, *((why,) if wide else ()))
        _say("", console)
        console.print(table, markup=False)
        _say("", console)
    for note in (profile.rule, profile.caveat):
        if note:
            console.print(note, markup=False, highlight=False, soft_wrap=True)


def _whose(plan: Plan, path: str) -> str:
    """How many variants an override reaches, where some have no such path."""
    having = sum(patch.has(variant.config.model_dump(mode="json"), path) for variant in plan.variants)
    return "" if having == len(plan.variants) else f", of {having} of {len(plan.variants)} variants"


def _edits(study: Study, profile: Profile, plan: Plan, variant: PlannedVariant) -> list[str]:
    """The edits that tell this variant from the one it is compared with: one left out, or one more than before."""
    order = [change.name for change in study.changes]
    missing = [name for name in order if name not in variant.changes]
    if variant.changes and len(missing) == 1 and "leave_one_out" in variant.designs:
        return [f"without {edit}" for edit in _edits_of(study, profile, plan, study.change(missing[0]))]
    if len(variant.changes) == len(order) > 1:
        return []
    prefix = tuple(order[: len(variant.changes)]) == variant.changes
    names = variant.changes[-1:] if prefix else variant.changes
    return [edit for name in names for edit in _edits_of(study, profile, plan, study.change(name))]


def _edits_of(study: Study, profile: Profile, plan: Plan, change: Change) -> list[str]:
    """ "inr.width 64→256 (here 8→32)": the deck's numbers, and those of this profile where they differ."""
    needed = [name for name in (c.name for c in study.changes) if name in change.requires]
    here = [
        trained_here(study, profile, plan, names).model_dump(mode="json") for names in (needed, [*needed, change.name])
    ]
    lines = []
    for edit, (path, *values) in zip(change.edits, edited(change, *here), strict=True):
        deck, now = arrow(edit.before, edit.after), arrow(*values)
        lines.append(f"{path} {deck}" + ("" if now == deck else f" (here {now})"))
    return lines
