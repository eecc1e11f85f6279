"""The numbers at which a study is run, beside the deck's and the public code's (`ablations.sources`), as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablations import patch
from ablations.beside_deck import leaf, leaves, node
from ablations.designs import in_order
from ablations.schema import Profile, Study, concerns
from ablations.sources import Origin, Said, in_deck, matches, origin, slides_of, standing
from core.config import AnyConfig, Images
from studies.overrides import overridden
from studies.plan import Plan
from studies.planning import measured_by, metrics_of, with_data

NOTHING = "–"
"""What a source says nothing of."""


@dataclass(frozen=True)
class Row:
    """One path: what the slides say, what the public code has, what is trained here and why it is that.

    Where changes of the study vary a value, all of its values in order. `only` is the kind of the node around the path
    that the row is of.
    """

    path: str
    only: str | None
    deck: str
    public: str
    here: str
    why: str


Pair = tuple[dict[str, Any], dict[str, Any]]


def trained_here(study: Study, profile: Profile, plan: Plan, subset: Sequence[str]) -> AnyConfig:
    """The base with these changes as the plan's setting trains it: scaled, with its data, overrides and protocol."""
    here = profile.scaled(study.folded(subset))
    if plan.variants and isinstance(data := plan.variants[0].config.data, Images):
        here = with_data(here, data)
    return measured_by(overridden(here, plan.overrides), plan.protocol)


def deck_and_here(study: Study, profile: Profile, plan: Plan | None = None) -> list[Pair]:
    """The base and each change alone on it, as plain data: before the profile, and as this setting trains it."""
    pairs: list[Pair] = []
    for subset in [(), *(in_order(study, {change.name, *change.requires}) for change in study.changes)]:
        deck = study.folded(subset)
        here = profile.scaled(deck) if plan is None else trained_here(study, profile, plan, subset)
        pairs.append((deck.model_dump(mode="json"), here.model_dump(mode="json")))
    return pairs


def _words(values: Sequence[Said], name: str) -> str:
    """What a source says of one value, after the value's name where its words do not say enough."""
    words = " or ".join(dict.fromkeys(one.words or leaf(one.value) for one in values))
    return f"{name} {words}" if name and any(one.words is None for one in values) else words


class _Table:
    """What both sources say of a study's numbers."""

    def __init__(self, study: Study, pairs: Sequence[Pair]) -> None:
        self.study, self.pairs, self.slides = study, pairs, slides_of(study)

    def deck(self, data: Mapping[str, Any], path: str, value: Any, *, instead: bool) -> Sequence[Said]:
        """The slide's word for this value; where it has other ones alone, with `instead`, these."""
        words = in_deck(origin(data, path), self.slides, data["task"])
        matching = matches(words, value)
        return matching or (words if instead else ())

    def is_ours(self, data: Mapping[str, Any], path: str, value: Any) -> bool:
        """Whether the value is neither source's, and something that trains or is the metric."""
        known = origin(data, path)
        return not (known and known.besides) and standing(data, path, value, self.slides) == "ours"

    def row(self, path: str, only: str | None, why: str) -> Row:
        """Of a leaf, or of a node: of this, what is another number here and what is neither source's."""
        deck: list[str] = []
        public: list[str] = []
        here: list[str] = []
        for index, (theirs, ours) in enumerate(self.pairs):
            if not concerns(theirs, path, only) or not patch.has(ours, path):
                continue
            before, after = leaves(patch.lookup(theirs, path), path), leaves(patch.lookup(ours, path), path)
            shown = [
                each
                for each, value in before.items()
                if each == path or after.get(each, ...) != value or self.is_ours(theirs, each, value)
            ]

            def name(each: str, around: str = f"{path}.") -> str:
                return each.removeprefix(around).removesuffix("kind").removesuffix(".") if each != path else ""

            deck_words = [(name(each), self.deck(theirs, each, before[each], instead=index == 0)) for each in shown]
            known = {source: name(each) for each in shown if (source := origin(theirs, each)) is not None}
            there = [(name_, source.public) for source, name_ in known.items()]
            deck.append(", ".join(_words(each, name_) for name_, each in deck_words if each))
            public.append(", ".join(_words(each, name_) for name_, each in there if each))
            changed = [each for each in (*shown, *(e for e in after if e not in before)) if each in after]
            here.append(", ".join(f"{name(each)} {leaf(after[each])}".strip() for each in changed))
            here[-1] = here[-1] or node(patch.lookup(ours, path))
        return Row(path, only, _joined(deck), _joined(public), _joined(here), why)


def _joined(values: Iterable[str]) -> str:
    """The values of the base and its changes in order, each once."""
    return " → ".join(dict.fromkeys(filter(None, values))) or NOTHING


def changed_rows(study: Study, profile: Profile, plan: Plan | None = None) -> list[Row]:
    """What the profile, a protocol, the data that are given and overrides changed, with the reasons given; then numbers
    of the base, or of a change that a slide names, that neither source has."""
    pairs = deck_and_here(study, profile, plan)
    table = _Table(study, pairs)
    wanted = [(scaling.path, scaling.only, scaling.why) for scaling in profile.scalings]
    if plan is not None:
        wanted = [each for each in wanted if each[0] not in plan.overrides]
        wanted += [(path, None, f"the protocol {plan.protocol}") for path in metrics_of(plan.protocol, study.base)]
        wanted += [(path, None, "override on the command line") for path in plan.overrides]
        if plan.variants and plan.variants[0].config.data.kind == "images":
            given = f"the data given: {plan.data_name}"
            wanted = [(p, o, given if p == "data" else why) for p, o, why in wanted]
            if "data" not in [path for path, _, _ in wanted]:
                wanted.insert(0, ("data", None, given))
    rows = [table.row(*each) for each in wanted]
    # A profile serves several studies: what none of this one's variants has is no number of it.
    rows = [row for row in rows if {row.deck, row.public, row.here} != {"–"}]
    shown = [path for path, _, _ in wanted]
    for data, _ in (pairs[0], *(p for p, change in zip(pairs[1:], study.changes, strict=True) if change.source)):
        for path, value in leaves(data).items():
            if (
                path != "task"
                and table.is_ours(data, path, value)
                and not any(patch.overlap(path, other) for other in shown)
            ):
                shown.append(path)
                known = origin(data, path)
                rows.append(table.row(path, None, known.note if known and known.note else "ours"))
    return rows


def all_rows(study: Study, profile: Profile) -> list[Row]:
    """Every number of the base and of what changes bring, a node that is one thing to a reader in one row."""
    pairs = deck_and_here(study, profile)
    table = _Table(study, pairs)
    whys = [(scaling.path, scaling.only, scaling.why) for scaling in profile.scalings]
    rows: dict[tuple[str, str | None], Row] = {}
    for data, _ in pairs:
        for path in leaves(data):
            known = origin(data, path)
            if path == "task":
                continue
            at, only = _row_of(path, known)
            beneath = at != path and any(other.startswith(f"{at}.") for other, _ in rows)
            if (at, only) not in rows and not beneath:
                why = next((w for p, o, w in whys if concerns(data, p, o) and patch.overlap(p, at)), "")
                note = (
                    known.note
                    if known and (known.besides or table.is_ours(data, path, patch.lookup(data, path)))
                    else ""
                )
                rows[at, only] = table.row(at, only, why or note)
    return list(rows.values())


def _row_of(path: str, known: Origin | None) -> tuple[str, str | None]:
    """The path of a row, and the kind that it is of."""
    if known is None:
        return path, None
    tail = path.split(".")
    depth = len(known.path.split("."))
    shift = next((i for i in range(len(tail) - depth + 1) if tail[i : i + depth] == known.path.split(".")), None)
    whole = path if shift is None else ".".join(tail[: shift + depth])
    return whole, known.only if whole == path else None
