"""What a study is made of: edits, changes, profiles, and the study itself; its claims are in `ablations.claims`.

A change is data: its edits replace whole nodes of the config, `before` must be what the base has there, and the edits
of different changes never overlap, unless they are alternatives (one `group`), of which a variant has at most one.
Changes therefore commute, and every design (`ablations.designs`) is well defined.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from ablations import patch
from ablations.answers import Answer, ClaimsAnswer, FrontierAnswer, NumberAnswer, VariantsAnswer
from ablations.claims import Claim, Source

# Studies of users import these two from here.
from ablations.claims import Comparison as Comparison
from ablations.claims import Measured as Measured
from ablations.controls import Control
from ablations.paths import places
from ablations.search import Search
from core.config import AnyConfig, Node, Resampling, canonical, parse
from core.names import ModuleName, Name

DesignName = Literal["ladder", "add_one_in", "leave_one_out", "screening", "shapley", "grid"]
PILING: frozenset[DesignName] = frozenset({"ladder", "leave_one_out", "screening", "shapley"})
"""Designs that put several changes on top of each other, which alternatives exclude."""


def plain(value: Any) -> Any:
    """A config node, or several, as plain data, all of their defaults spelled out; anything else as it is."""
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value.model_dump(mode="json") if isinstance(value, Node) else value


def edited(config: AnyConfig, values: Mapping[str, Any]) -> AnyConfig:
    """`config` with other nodes or values at these paths. Raises KeyError for a path that it has not."""
    data = config.model_dump(mode="json")
    for path, value in values.items():
        data = patch.replaced(data, path, plain(value))
    return parse(data)


class Edit(Node):
    """The node at `path` goes from `before` to `after`; both are plain data, or config nodes that are made so."""

    path: str
    before: Any
    after: Any

    @field_validator("before", "after", mode="before")
    @classmethod
    def _as_plain_data(cls, value: Any) -> Any:
        return plain(value)

    @model_validator(mode="after")
    def _does_something(self) -> Edit:
        if self.before == self.after:
            raise ValueError(f"the edit of {self.path} changes nothing")
        return self


class Change(Node):
    """One change. `reading` says how an ambiguous source was read, and what else it could mean.

    `source` is None for a change that the deck does not name: a question of ours, its verdict is exploratory. Changes
    of one `group` are alternatives. A title has a number only where no profile scales it, or the factor that every
    profile keeps; `short` is the title in a few letters, for names of variants with several changes. An alternative
    that is not `judged` is trained beside the others without a verdict by the metric, and no part of the family that
    theirs are corrected for: sections of the report compare it by another measure.
    """

    name: Name
    title: str
    short: str | None = None
    source: Source | None
    group: Name | None = None
    edits: tuple[Edit, ...] = Field(min_length=1)
    requires: tuple[Name, ...] = ()
    reading: str | None = None
    judged: bool = True

    @model_validator(mode="after")
    def _alternatives_alone_go_without_a_verdict(self) -> Change:
        if not self.judged and self.group is None:
            raise ValueError(f"change {self.name} is not judged: it must be an alternative, of a group")
        return self

    @property
    def brief(self) -> str:
        """The short title, the title where there is none."""
        return self.short or self.title


def change(
    base: AnyConfig,
    name: str,
    title: str,
    after: Mapping[str, Any],
    *,
    source: Source | None = None,
    group: str | None = None,
    requires: tuple[str, ...] = (),
    reading: str | None = None,
) -> Change:
    """The change of `base` that puts these nodes or values at these paths.

    Raises KeyError for a path that the base has not, with the nearest one.
    """
    data = plain(base)
    edits = tuple(Edit(path=path, before=patch.lookup(data, path), after=value) for path, value in after.items())
    return Change(name=name, title=title, source=source, group=group, edits=edits, requires=requires, reading=reading)


class Multiply(Node):
    """The profile multiplies whatever a variant has at `path`; a variant without it is left alone.

    `only` limits the scaling to one member of the union around the path.
    """

    kind: Literal["multiply"] = "multiply"
    path: str
    factor: float
    why: str
    only: str | None = None


class Put(Node):
    """The profile puts `value` at `path`, whatever a variant has there; a variant without it is left alone."""

    kind: Literal["put"] = "put"
    path: str
    value: Any
    why: str
    only: str | None = None

    @field_validator("value", mode="before")
    @classmethod
    def _as_plain_data(cls, value: Any) -> Any:
        return plain(value)


class Translate(Node):
    """At `path` each of the deck's values stands for another one here; a value that is in no pair is refused."""

    kind: Literal["translate"] = "translate"
    path: str
    pairs: tuple[tuple[Any, Any], ...]
    why: str
    only: str | None = None

    @field_validator("pairs", mode="before")
    @classmethod
    def _as_plain_data(cls, pairs: Any) -> Any:
        return tuple((plain(deck), plain(here)) for deck, here in pairs)


AnyScaling = Multiply | Put | Translate
Scaling = Annotated[AnyScaling, Field(discriminator="kind")]


def concerns(data: Mapping[str, Any], path: str, only: str | None = None) -> bool:
    """Whether a config, as plain data, has this path; with `only`, whether the node around it is of that kind."""
    if not patch.has(data, path):
        return False
    return only is None or patch.lookup(data, path.rpartition(".")[0]).get("kind") == only


def applies(scaling: AnyScaling, data: Mapping[str, Any]) -> bool:
    """Whether a config, as plain data, has what this scaling scales."""
    return concerns(data, scaling.path, scaling.only)


class Profile(Node):
    """One scale at which a study is run: the deck's numbers, or those after `scalings`, alike for every variant.

    `rule` says how the free numbers among the scalings were chosen, `caveat` what a report must say of the magnitudes.
    `resampling` is the filter for images that are given and not prepared yet; a prepared set has its own.
    `piloted` are seeds whose runs at this scale had been seen before what is now read off a run was fixed, which
    `pilot` says in words: a report says what the other seeds say alone.
    """

    name: Name
    title: str
    scalings: tuple[Scaling, ...] = ()
    rule: str | None = None
    caveat: str | None = None
    seeds: PositiveInt = 3
    resampling: Resampling = "box"
    piloted: tuple[int, ...] = ()
    pilot: str = ""

    def adjusted(self, *scalings: AnyScaling, without: Sequence[str] = (), **fields: Any) -> Profile:
        """This profile with these scalings in the place of its own at the same paths, or added; none at `without`."""
        paths = {scaling.path for scaling in scalings} | set(without)
        missing = set(without) - {scaling.path for scaling in self.scalings}
        if missing:
            raise ValueError(f"profile {self.name} scales nothing at {', '.join(sorted(missing))}")
        kept = tuple(scaling for scaling in self.scalings if scaling.path not in paths)
        return self.replace(scalings=(*kept, *scalings), **fields)

    def scaled(self, config: AnyConfig) -> AnyConfig:
        """`config` at this scale. Raises ValueError when an integer would not come out whole."""
        data = config.model_dump(mode="json")
        for scaling in self.scalings:
            if not applies(scaling, data):
                continue
            data = patch.replaced(data, scaling.path, self.here(scaling, patch.lookup(data, scaling.path)))
        return parse(data)

    def here(self, scaling: AnyScaling, deck: Any) -> Any:
        """What one of this profile's scalings makes of the deck's value. Raises ValueError for half an integer."""
        match scaling:
            case Put():
                return scaling.value
            case Translate():
                for theirs, ours in scaling.pairs:
                    if theirs == deck:
                        return ours
                raise ValueError(f"profile {self.name}: {scaling.path} has no counterpart of {deck}")
            case Multiply():
                product: float = deck * scaling.factor
                if not isinstance(deck, int):
                    return float(f"{product:.12g}")
                if abs(product - round(product)) > 1e-9:
                    raise ValueError(f"profile {self.name}: {scaling.path} = {deck} * {scaling.factor} is not whole")
                return round(product)


class Study(Node):
    """One question of the deck: a base, the changes it is asked of, and the claims judged at the end.

    `source` is None where the deck does not ask it.
    `base_title` says what the base is, for people: the same name, `baseline`, stands for other things in other studies.
    `designs` are run unless others are asked for, `more_designs` make sense, too. `permutations` is the number of
    orders in which the design "shapley" adds the changes.
    A change is negligible where its whole effect lies within a factor of `negligible`.
    `controls` are arms beside the designs, for comparisons at equal something else than iterations.
    `searches` seek numbers of the base; the config that each chooses is a further variant.
    `answer` says what the one figure shows that answers it.
    `report` names the module that has the body of its report: one of `reports.studies`, or one of somebody's own, found
    beside the study's file or installed. None is "changes", or "alternatives" where the changes
    have groups.
    """

    name: Name
    title: str
    question: str
    source: Source | None = None
    base: AnyConfig
    base_title: str | None = None
    changes: tuple[Change, ...] = ()
    designs: tuple[DesignName, ...] = ("ladder",)
    more_designs: tuple[DesignName, ...] = ()
    permutations: PositiveInt = 4
    profiles: tuple[Profile, ...]
    claims: tuple[Claim, ...] = ()
    negligible: float = Field(default=1.15, gt=1)
    controls: tuple[Control, ...] = ()
    searches: tuple[Search, ...] = ()
    answer: Answer | None = None
    report: ModuleName | None = None

    @model_validator(mode="after")
    def _changes_commute(self) -> Study:
        names = [change.name for change in self.changes]
        if len(set(names)) != len(names):
            raise ValueError(f"study {self.name}: two changes share a name in {names}")
        base = self.base.model_dump(mode="json")
        for index, change in enumerate(self.changes):
            for name in change.requires:
                if name not in names:
                    raise ValueError(f"change {change.name} names the unknown change {name}")
            for edit in change.edits:
                if (there := patch.lookup(base, edit.path)) != edit.before:
                    raise ValueError(f"change {change.name}: {edit.path} is {there} in the base, not {edit.before}")
                for other in self.changes[index + 1 :]:
                    if change.group is not None and change.group == other.group:
                        continue
                    for theirs in other.edits:
                        if patch.overlap(edit.path, theirs.path):
                            raise ValueError(f"changes {change.name} and {other.name} both edit {edit.path}")
        return self

    @model_validator(mode="after")
    def _alternatives_or_a_pile(self) -> Study:
        alone = [change.name for change in self.changes if change.group is None]
        if self.groups and alone:
            raise ValueError(f"study {self.name} has groups of alternatives: give {', '.join(alone)} a group, too")
        designs = (*self.designs, *self.more_designs)
        unfit = [design for design in designs if design in (PILING if self.groups else {"grid"})]
        if unfit:
            reason = "alternatives exclude each other" if self.groups else "its changes have no groups"
            raise ValueError(f"study {self.name} cannot have the design {unfit[0]}: {reason}")
        return self

    @model_validator(mode="after")
    def _scalings_find_something(self) -> Study:
        # Whatever a scaling is for, the base has it or the change that brings it.
        ends = [self.folded(subset) for subset in ((), *((change.name,) for change in self.changes))]
        for profile in self.profiles:
            for scaling in profile.scalings:
                # A profile serves several studies: a union's member that none of this one's variants has is no mistake.
                path = scaling.path if scaling.only is None else scaling.path.rpartition(".")[0]
                if not any(patch.has(config.model_dump(mode="json"), path) for config in ends):
                    raise ValueError(f"profile {profile.name} scales {scaling.path}, which no variant has")
        return self

    @model_validator(mode="after")
    def _controls_are_of_changes(self) -> Study:
        changes = {change.name for change in self.changes}
        names = [control.name for control in self.controls]
        for control in self.controls:
            if control.change not in changes:
                raise ValueError(f"control {control.name} names the unknown change {control.change}")
            if names.count(control.name) > 1 or control.name in {"baseline", "all"}:
                raise ValueError(f"control {control.name} has the name of another variant")
        return self

    @model_validator(mode="after")
    def _searches_find_their_numbers(self) -> Study:
        names = [search.name for search in self.searches]
        if len(set(names)) != len(names):
            raise ValueError(f"study {self.name}: two searches share a name in {names}")
        varied = [edit.path for change in self.changes for edit in change.edits]
        for index, search in enumerate(self.searches):
            if search.begins_at is not None and search.begins_at not in names[:index]:
                raise ValueError(f"search {search.name} begins at {search.begins_at}, which is no search before it")
            for parameter in search.parameters:
                if any(patch.overlap(parameter.path, path) for path in varied):
                    raise ValueError(f"search {search.name}: {parameter.path} is what a change varies")
            for profile in self.profiles:
                search.check(profile.scaled(self.base))
        return self

    @model_validator(mode="after")
    def _answer_finds_its_parts(self) -> Study:
        match self.answer:
            case ClaimsAnswer(claims=named):
                what, known = "claim", [claim.name for claim in self.claims]
            case FrontierAnswer(claim=claim, series=series):
                what, named = "claim", (claim,)
                known = [c.name for c in self.claims if c.expects == "lower" and c.after.series == series]
            case VariantsAnswer() | NumberAnswer():
                what, known, named = "group", list(self.groups), self.answer.groups
            case _:
                return self
        if unknown := [name for name in named if name not in known]:
            raise ValueError(f"the answer of study {self.name} names the unknown {what} {unknown[0]}")
        if isinstance(self.answer, NumberAnswer) and not patch.has(self.base.model_dump(mode="json"), self.answer.path):
            raise ValueError(f"the answer of study {self.name} is over {self.answer.path}, which its base has not")
        return self

    def extended(self, *changes: Change, name: str, title: str, question: str, **fields: Any) -> Study:
        """Another study: this one with these changes after its own.

        The claims stay behind, for their variants have other changes there: what is called "all", above all. So does
        the report, which speaks of the changes that it knows.
        """
        own: dict[str, Any] = {"name": name, "title": title, "question": question, "source": None, "report": None}
        own |= {"claims": (), "controls": (), "answer": None}
        return self.replace(**{**own, "changes": (*self.changes, *changes), **fields})

    @property
    def judged(self) -> tuple[Change, ...]:
        """The changes that have a verdict in each design."""
        return tuple(change for change in self.changes if change.judged)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The names of the changes of each group, in order; empty where no change is another's alternative."""
        names: dict[str, tuple[str, ...]] = {}
        for change in self.changes:
            if change.group is not None:
                names[change.group] = (*names.get(change.group, ()), change.name)
        return names

    def declaration(self, profile: str) -> dict[str, str]:
        """What is promised before a run in that profile: question, base, scale, every change and every claim, as
        digests.

        16 hex digits of the sha256 of each; wording that only people read (titles, readings, remarks) is no part, nor
        are fields that joined later and are at their default (`core.config.JOINED`).
        """
        parts: dict[str, Any] = {
            "question": self.question,
            "base": canonical(self.base),
            f"profile {profile}": [self._declared(scaling) for scaling in self.profile(profile).scalings],
            "designs": list(self.designs),
            "negligible": self.negligible,
        }
        for change in self.changes:
            parts[f"change {change.name}"] = [self._declared(edit) for edit in change.edits]
        for claim in self.claims:
            parts[f"claim {claim.name}"] = {
                key: value
                for key, value in canonical(claim).items()
                if key not in ("remark", "source", "expectation", "late", "title")
            }
        for control in self.controls:
            parts[f"control {control.name}"] = control.model_dump(mode="json", exclude={"title"})
        for search in self.searches:
            parts[f"search {search.name}"] = search.model_dump(mode="json", exclude={"title"})
        return {
            name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16]
            for name, part in parts.items()
        }

    def _declared(self, part: Edit | AnyScaling) -> dict[str, Any]:
        """An edit or a scaling as identities are made of it: the values that it puts somewhere, too."""
        known = places(type(self.base)).get(part.path, ())

        def identity(value: Any) -> Any:
            identities = (place.identity(value) for place in known)
            return next((identity for identity in identities if identity != value), value)

        plain_part = part.model_dump(mode="json", exclude={"why"})
        plain_part |= {name: identity(plain_part[name]) for name in ("before", "after", "value") if name in plain_part}
        if "pairs" in plain_part:
            plain_part["pairs"] = [[identity(value) for value in pair] for pair in plain_part["pairs"]]
        return plain_part

    def change(self, name: str) -> Change:
        """The change of that name. Raises KeyError."""
        for change in self.changes:
            if change.name == name:
                return change
        raise KeyError(f"study {self.name} has no change '{name}'")

    def profile(self, name: str) -> Profile:
        """The profile of that name. Raises KeyError with the names there are."""
        for profile in self.profiles:
            if profile.name == name:
                return profile
        raise KeyError(f"study {self.name} has no profile '{name}': it has {', '.join(p.name for p in self.profiles)}")

    def folded(self, changes: Iterable[str]) -> AnyConfig:
        """The base with these changes applied, in the deck's numbers. Of alternatives, the last one stands."""
        data = self.base.model_dump(mode="json")
        for name in changes:
            for edit in self.change(name).edits:
                data = patch.replaced(data, edit.path, edit.after)
        return parse(data)
