"""What `--list` and `--dry-run` print: studies, the variants of a plan, and what its profile scales."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ablations import patch
from ablations.schema import Change, Profile, Study, applies
from core.folder import RunFolder
from studies.plan import Plan, PlannedVariant, jobs_root, make_plan, overridden
from studies.runner.estimate import makespan
from studies.runner.progress import span
from studies.runner.tasks import State, Task, state_of


def print_studies(studies: Sequence[Study], console: Console) -> None:
    """One row a study: its question, designs, number of variants, and what the deck claims."""
    table = Table(show_lines=True)
    for name in ("study", "question", "designs", "variants", "the deck's claim"):
        table.add_column(name, overflow="fold", justify="right" if name == "variants" else "left")
    for study in studies:
        profile = study.profiles[0]
        plan = make_plan(study, profile, designs=study.designs, seeds=range(profile.seeds))
        claims = [claim.source.quote for claim in study.claims] or [study.source.quote]
        table.add_row(
            study.name,
            study.question,
            ", ".join(study.designs),
            str(len(plan.variants)),
            "\n".join(f"“{quote}”" for quote in dict.fromkeys(claims)),
        )
    console.print(table, markup=False)


def print_plan(
    study: Study, plan: Plan, tasks: Sequence[Task], *, runs: Path, workers: int, retry_failed: bool, console: Console
) -> None:
    """The variants of `plan` with what each changes and which runs exist; then totals and the profile's scalings."""
    profile = study.profile(plan.profile)
    states = {task.digest: state_of(RunFolder(jobs_root(runs), task.digest)) for task in tasks}
    console.print(
        f"{study.name}, setting {plan.setting}: {study.question}", markup=False, highlight=False, soft_wrap=True
    )
    table = Table(show_lines=True)
    for name in ("variant", "designs", "what it changes", "seeds", "time"):
        table.add_column(name, overflow="fold", justify="right" if name == "time" else "left")
    for variant in plan.variants:
        mine = [task for task in tasks if task.variant == variant.name]
        if not mine:
            continue
        table.add_row(
            "\n".join([variant.name, *(f"= {alias}" for alias in variant.aliases)]),
            ", ".join(f"{design} {place}" for design, place in variant.designs.items()) or "the claim",
            "\n".join([variant.title, *_edits(study, profile, plan, variant)]),
            _seeds_by_state(mine, states),
            _time(mine[0].expected_seconds),
        )
    console.print(table, markup=False)
    new = [task for task in tasks if to_train(states[task.digest], retry_failed)]
    _print_totals(tasks, new, states, workers, console)
    _print_scalings(study, profile, plan, console)


def to_train(state: State, retry_failed: bool) -> bool:
    """Whether a job that stands so is (still) to be trained."""
    return state in ("new", "interrupted", "running") or (state == "failed" and retry_failed)


def _seeds_by_state(tasks: Sequence[Task], states: dict[str, State]) -> str:
    """One line a state, as in "new: 0, 1, 2"."""
    by_state: dict[State, list[str]] = {}
    for task in tasks:
        by_state.setdefault(states[task.digest], []).append(str(task.seed))
    return "\n".join(f"{state}: {', '.join(seeds)}" for state, seeds in by_state.items())


def _time(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"about {span(seconds)}"


def _print_totals(
    tasks: Sequence[Task], new: Sequence[Task], states: dict[str, State], workers: int, console: Console
) -> None:
    counts = Counter(states[task.digest] for task in tasks)
    known = [task.expected_seconds for task in new if task.expected_seconds is not None]
    there = ", ".join(f"{count} {state}" for state, count in counts.items() if state != "new")
    time = "no time" if not new else "an unknown time"
    if known:
        time = f"about {span(makespan(known, workers))}"
        time += f" and {len(new) - len(known)} runs of unknown time" if len(known) < len(new) else ""
    console.print(
        f"{len(tasks)} runs: {len(new)} to train ({there or 'none begun'}); {time} with --jobs {workers}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _print_scalings(study: Study, profile: Profile, plan: Plan, console: Console) -> None:
    console.print(f"profile {profile.name}: {profile.title}", markup=False, highlight=False, soft_wrap=True)
    if not profile.scalings and not plan.overrides:
        return
    subsets = [(), *((change.name,) for change in study.changes)]
    decks = [study.folded(subset).model_dump(mode="json") for subset in subsets]
    table = Table()
    for name in ("path", "deck", "here", "why"):
        table.add_column(name, overflow="fold")
    for scaling in profile.scalings:
        found = [patch.lookup(data, scaling.path) for data in decks if applies(scaling, data)]
        path = f"{scaling.path} (of {scaling.only})" if scaling.only else scaling.path
        here = [profile.here(scaling, value) for value in found]
        table.add_row(path, _both_ends(found), _both_ends(here), scaling.why)
    for path, value in plan.overrides.items():
        before = next((patch.lookup(deck, path) for deck in decks if patch.has(deck, path)), None)
        table.add_row(path, _shown(before), _shown(value), "override")
    console.print(table, markup=False)
    for note in (profile.rule, profile.caveat):
        if note:
            console.print(note, markup=False, highlight=False, soft_wrap=True)


def _both_ends(values: Sequence[Any]) -> str:
    """The value of the baseline and those that changes bring, each once."""
    return " → ".join(dict.fromkeys(_shown(value) for value in values))


def _edits(study: Study, profile: Profile, plan: Plan, variant: PlannedVariant) -> list[str]:
    """The edits that tell this variant from the one it is compared with: one left out, or one more than before."""
    order = [change.name for change in study.changes]
    missing = [name for name in order if name not in variant.changes]
    if variant.changes and len(missing) == 1:
        return [f"without {edit}" for edit in _edits_of(study, profile, plan, study.change(missing[0]))]
    if len(variant.changes) == len(order):
        return []
    prefix = tuple(order[: len(variant.changes)]) == variant.changes
    names = variant.changes[-1:] if prefix else variant.changes
    return [edit for name in names for edit in _edits_of(study, profile, plan, study.change(name))]


def _edits_of(study: Study, profile: Profile, plan: Plan, change: Change) -> list[str]:
    """ "inr.width 64→256 (here 8→32)": the deck's numbers, and those of this profile where they differ."""
    needed = [name for name in (c.name for c in study.changes) if name in change.requires]
    here = [
        overridden(profile.scaled(study.folded(names)), plan.overrides).model_dump(mode="json")
        for names in (needed, [*needed, change.name])
    ]
    lines = []
    for edit in change.edits:
        deck = _arrow(edit.before, edit.after)
        now = _arrow(patch.lookup(here[0], edit.path), patch.lookup(here[1], edit.path))
        lines.append(f"{edit.path} {deck}" + ("" if now == deck else f" (here {now})"))
    return lines


def _arrow(before: Any, after: Any) -> str:
    return "no difference" if before == after else f"{_shown(before)}→{_shown(after)}"


def _shown(value: Any) -> str:
    """A value as people write it: off, 0.002, siren(scale=1)."""
    match value:
        case None:
            return "off"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case dict():
            inside = ", ".join(f"{key}={_shown(part)}" for key, part in value.items() if key != "kind")
            if "kind" not in value:
                return inside
            return f"{value['kind']}({inside})" if inside else str(value["kind"])
        case str() if len(value) == 64:
            return f"{value[:8]}…"
    return str(value)
