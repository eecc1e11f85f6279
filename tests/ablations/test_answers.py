"""Answers as data: what a study may declare, and what it is told where a part of it is not there."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ablations.answers import AnyAnswer, ClaimsAnswer, Elsewhere, FrontierAnswer, Line, NumberAnswer, VariantsAnswer
from ablations.schema import Study
from studies import catalogue

LINE = (Line(title="a", variants=("baseline",)),)
WRONG: tuple[tuple[AnyAnswer, str], ...] = (
    (ClaimsAnswer(claims=("fid", "nothing")), "names the unknown claim nothing"),
    (VariantsAnswer(rows="nothing"), "names the unknown group nothing"),
    (VariantsAnswer(rows="clip", panels="nothing"), "names the unknown group nothing"),
    (
        NumberAnswer(path="inr.basis.scale", title="scale", lines=LINE, panels="nothing"),
        "names the unknown group nothing",
    ),
    (FrontierAnswer(series="scales/swd", title="a distance", claim="awful"), "names the unknown claim awful"),
    (NumberAnswer(path="inr.nothing", title="scale", lines=LINE), "is over inr.nothing, which its base has not"),
)


@pytest.mark.parametrize(("answer", "said"), WRONG)
def test_an_answer_that_names_what_is_not_there_is_refused(answer: AnyAnswer, said: str) -> None:
    study = catalogue.study("weight_clipping")
    with pytest.raises(ValidationError, match=said):
        study.replace(answer=answer)
    assert study.replace(answer=ClaimsAnswer(claims=("awful",))).answer is not None


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_an_answer_survives_being_written_and_is_no_part_of_what_is_registered(name: str) -> None:
    study = catalogue.study(name)
    assert Study.model_validate_json(study.model_dump_json()).answer == study.answer
    silent = study.replace(answer=None)
    assert [silent.declaration(p.name) for p in silent.profiles] == [study.declaration(p.name) for p in study.profiles]


def test_the_profile_elsewhere_is_that_of_the_same_name_unless_another_is_declared() -> None:
    fits = Elsewhere(study="inr_layers", profiles={"lsun64": "deck128"})
    assert (fits.profile_for("lsun64"), fits.profile_for("cpu")) == ("deck128", "cpu")


def test_a_study_that_is_extended_declares_its_own_answer() -> None:
    study = catalogue.study("siren_vs_fourier")
    assert study.extended(name="other", title="Other", question="What?").answer is None
