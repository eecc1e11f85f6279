"""Studies that live elsewhere: found by file and by entry point, and one line for each that cannot be used."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.study import StudyDirection

from ablations.protocols import PROTOCOLS
from ablations.schema import Study
from core.config import Job
from core.errors import InputError
from studies import catalogue, outside
from studies.plan import Plan, plan_file, record_plan
from studies.planning import make_plan
from studies.runner.optuna_stores import store_of
from studies.runner.order import Order
from studies.runner.resources import resources_of
from studies.runner.tasks import tasks_of
from tests.support.commands import answer, refused

STUDY = """\
from ablations.schema import Change, Edit, Study
from studies.changes_overview import STUDY as DECK

SKIP = Change(name="skip", title="residual", source=None, edits=(Edit(path="inr.residual", before=False, after=True),))
STUDY = Study(**{**dict(DECK), "name": "skipping", "changes": (*DECK.changes, SKIP), "claims": ()})
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder; what is added to the search path goes with it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(text: str, name: str = "skipping.py") -> Path:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)
    return Path(name)


def planned(name: str, declared_in: str | None = None) -> Plan:
    study = catalogue.study(name)
    return make_plan(study, study.profile("cpu"), designs=["ladder"], seeds=[0], declared_in=declared_in)


def test_a_study_is_found_by_its_file_with_what_lies_beside_it(here: Path) -> None:
    written("TITLE = 'of a file'", "mine/words.py")
    text = STUDY.replace('"name": "skipping"', '"name": "skipping", "title": words.TITLE')
    found = catalogue.find(str(written(f"import words\n{text}", "mine/skipping.py").absolute()))
    assert (found.study.name, found.study.title) == ("skipping", "of a file")
    # As the next command in this folder has to say it.
    assert found.file == "mine/skipping.py"
    del sys.modules["words"]


def test_a_module_beside_a_study_takes_the_place_of_none_of_pythons(here: Path) -> None:
    written("raise RuntimeError", "mine/colorsys.py")
    loaded = sys.modules.pop("colorsys", None)
    catalogue.find(str(written(f"import colorsys\n{STUDY}", "mine/skipping.py")))
    assert sys.modules["colorsys"].__file__ != str(here / "mine" / "colorsys.py")
    if loaded is not None:
        sys.modules["colorsys"] = loaded


def test_the_file_of_a_study_of_the_deck_is_that_study() -> None:
    file = Path(catalogue.__file__).with_name("inr_layers.py")
    assert catalogue.find(str(file)) == catalogue.find("inr_layers")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("TITLE = 'x'\n", 1, "the file declares no STUDY: assign an ablations.schema.Study"),
        (STUDY.replace("STUDY = Study", "SKIPPING = Study"), 5, "the file declares no STUDY: call SKIPPING so"),
        (f"{STUDY}\n\nSTUDY = 'skipping'\n", 8, "STUDY is a str, no ablations.schema.Study"),
        (STUDY.replace('"skipping"', '"Skipping-2"'), 5, "Study.name: String should match pattern"),
        (STUDY.replace('path="inr.residual"', 'path="inr.residue"'), 5, "KeyError: no 'residue' in inr"),
        (STUDY.replace("before=False", "before=True"), 4, "the edit of inr.residual changes nothing"),
        (f"\n\nraise OSError('first\\nsecond')\n{STUDY}", 3, "OSError: first"),
        (f"import nowhere\n{STUDY}", 1, "ModuleNotFoundError: No module named 'nowhere'"),
        (STUDY.replace("()})", "()}"), 5, "SyntaxError: '(' was never closed"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_with_its_place(text: str, line: int, message: str, here: Path) -> None:
    file = written(text)
    refusal = refused(str(file), "--dry-run")
    assert refusal.startswith(f"error: {file}:{line}: ") and message in refusal


def test_what_a_file_prints_is_not_on_stdout(here: Path) -> None:
    shown = answer(str(written(f"print('hello')\n{STUDY}")), "--dry-run", "--json")
    assert json.loads(shown.out)["study"] == "skipping" and "hello" in shown.err


@pytest.mark.parametrize(
    ("mine", "theirs", "message"),
    [
        ('"claims": ()', '"claims": (), "designs": ()', "trains nothing"),
        # No file could have that name.
        ('"skipping"', f'"{"x" * 240}"', "name: String should have at most 80 characters"),
    ],
)
def test_a_declaration_of_nothing_or_without_a_usable_name_is_refused(
    mine: str, theirs: str, message: str, here: Path
) -> None:
    assert message in refused(str(written(STUDY.replace(mine, theirs))), "--show-config")


def test_with_the_option_the_first_argument_is_an_override(here: Path) -> None:
    shown = answer("--study", str(written(STUDY)), "iterations=7", "evaluation.every=7", "--dry-run")
    assert (shown.code, shown.err) == (0, "")
    overridden = {line.split()[0] for line in shown.out.splitlines() if "override" in line}
    assert {"iterations", "evaluation.every"} <= overridden


def test_the_longest_names_make_names_that_files_may_have(here: Path) -> None:
    name, setting = "x" * 80, f"{'y' * 80}-{max(PROTOCOLS, key=len)}-12345678-retuned99999"
    (here / "queue").mkdir()
    store = store_of(here / "queue", f"{name}.{setting}.search.journal", f"{name}.{setting}.search.lock")
    store.exclusively(lambda: store.storage.create_new_study([StudyDirection.MINIMIZE], "search"))
    assert 200 < max(len(path.name) for path in here.rglob("*")) < 240


def test_names_that_two_studies_have_are_refused(here: Path) -> None:
    file = written(STUDY.replace('"skipping"', '"inr_layers"'))
    with pytest.raises(InputError, match=r"skipping.py declares the study 'inr_layers', which is one of the deck's"):
        catalogue.find(str(file))
    with pytest.raises(InputError, match=r"there is no file nowhere/x.py"):
        catalogue.find("nowhere/x.py")


def test_a_plan_says_which_file_its_study_is_in(here: Path) -> None:
    plan = planned(str(written(STUDY, "mine/skipping.py")), "mine/skipping.py")
    assert (plan.asked_as, plan.folder_of_study) == ("mine/skipping.py", here / "mine")
    record_plan(Path("runs"), plan)
    with pytest.raises(InputError, match=r"the study 'skipping' was declared in mine/skipping.py: give the path"):
        catalogue.find("skipping", Path("runs"))
    with pytest.raises(InputError, match="there is no study 'skipping'"):
        catalogue.find("skipping")
    other = written(STUDY, "others/skipping.py")
    with pytest.raises(InputError, match=r"mine/skipping.py declares a study 'skipping', too"):
        record_plan(Path("runs"), planned(str(other), "others/skipping.py"))
    Path("mine/skipping.py").rename("mine/moved.py")
    with pytest.raises(InputError, match=r"declared in mine/skipping.py, which is not there now"):
        catalogue.find("skipping", Path("runs"))
    assert record_plan(Path("runs"), planned("mine/moved.py", "mine/moved.py")).asked_as == "mine/moved.py"


def test_a_plan_of_before_there_were_files_is_read(here: Path) -> None:
    record_plan(Path("runs"), planned("inr_layers"))
    file = plan_file(Path("runs"), "inr_layers", "cpu")
    assert file.read_text().count(' "declared_in": null,\n') == 1
    file.write_text(file.read_text().replace(' "declared_in": null,\n', ""))
    old = record_plan(Path("runs"), planned("inr_layers"))
    assert (old.asked_as, old.folder_of_study) == ("inr_layers", None)


def test_workers_are_told_where_modules_beside_the_study_are(here: Path) -> None:
    plan = planned(str(written(STUDY, "mine/skipping.py")), "mine/skipping.py")
    resources = resources_of("cpu", "cpu", 1, gpus=(), runs=Path("runs"), data_path=None, launcher="local")
    order = Order.model_validate_json(Order.of_tasks(plan, resources, tasks_of(plan), 1).write("one").read_text())
    sys.path.remove(str(here / "mine"))
    order.make_findable()
    assert sys.path[-1] == str(here / "mine")
    assert order.tasks[0].job == Job(config=plan.variants[0].config, seed=0)


# --- installed packages -----------------------------------------------------------------------------------------------


def installed(site: Path, name: str, points: str) -> None:
    """A distribution as pip leaves it, with these entry points."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{outside.GROUP}]\n{points}\n")


@pytest.fixture
def site(here: Path) -> Path:
    folder = here / "site"
    (folder / "their_studies").mkdir(parents=True)
    (folder / "their_studies" / "skipping.py").write_text(STUDY)
    sys.path.append(str(folder))
    return folder


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    for name in [name for name in sys.modules if name.startswith("their_studies")]:
        del sys.modules[name]


def test_a_study_of_an_installed_package_has_a_name_like_the_decks(site: Path) -> None:
    installed(site, "their-studies", "skipping = their_studies.skipping:STUDY")
    found = catalogue.find("skipping")
    assert isinstance(found.study, Study) and found.file is None
    assert "skipping" in answer("--list").out
    with pytest.raises(InputError, match="did you mean 'skipping'"):
        catalogue.find("skiping")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("skipping = their_studies.nothing:STUDY", "No module named 'their_studies.nothing'"),
        ("skipping = their_studies.skipping:DECKS", "has no attribute 'DECKS'"),
        ("skipping = their_studies.skipping:SKIP", "is a Change, no ablations.schema.Study"),
    ],
)
def test_an_entry_point_that_leads_nowhere_is_one_line(points: str, message: str, site: Path) -> None:
    installed(site, "their-studies", points)
    with pytest.raises(InputError, match=r"the study 'skipping' of their-studies 1.0") as refused:
        catalogue.find("skipping")
    assert message in str(refused.value)
    # One package's mistake is not in the way of the others.
    shown = answer("--list")
    assert (shown.code, shown.err.count("\n")) == (0, 1)
    assert "weight_clipping" in shown.out and message in shown.err


def test_entry_points_that_clash_are_one_line(site: Path) -> None:
    installed(
        site, "their-studies", "skipping = their_studies.skipping:STUDY\ninr_layers = their_studies.skipping:STUDY"
    )
    installed(site, "other-studies", "skipping = other_studies:STUDY\nskipped = their_studies.skipping:STUDY")
    with pytest.raises(InputError, match=r"offered by .*other-studies 1.0.*: uninstall one") as refused:
        catalogue.find("skipping")
    assert "their-studies 1.0" in str(refused.value)
    with pytest.raises(InputError, match="is called 'skipping': its entry point needs that name"):
        catalogue.find("skipped")
    assert catalogue.find("inr_layers").study.claims
    refusals = answer("--list").err
    assert "the study 'inr_layers' of an installed package is not shown" in refusals and refusals.count("\n") == 3


def test_nothing_is_looked_for_where_the_name_is_the_decks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: str) -> None:
        raise AssertionError

    monkeypatch.setattr(outside, "entry_points", refuse)
    assert catalogue.find("changes_overview").study.name == "changes_overview"
