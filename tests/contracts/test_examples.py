"""The examples of docs/extending.md, taken from the page: as short as it says, and they run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core import config as cfg
from core.build import check_layer
from core.events import Finished
from core.job import run_job
from studies import catalogue, outside
from studies.overrides import overridden
from studies.plan import record_plan
from studies.planning import make_plan
from tests.support.commands import answer, refused
from tests.support.pages import page_of
from tests.support.runs import train_all

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
FILES: dict[str, str] = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines() if line.strip()
]
MOST_LINES = {
    "mine/momentum.py": 10,
    "mine/r1_weight.py": 40,
    "mine/low_rank.py": 40,
    "mine/low_rank_layer.py": 40,
    "mine/by_width.py": 20,
}
TINY = (
    "iterations=4",
    "evaluation.every=2",
    "evaluation.metric.samples=96",
    "evaluation.quality.smallest=48",
    "evaluation.quality.kernel_subset=32",
)
FEW_ROOMS = ("data.train=128", "data.held_out=128")


def photos(folder: Path, count: int) -> None:
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (count, 20, 24, 3), dtype=np.uint8)
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{index:03d}.png")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder outside the repository with the page's files and some images."""
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    photos(tmp_path / "photos", 40)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    yield tmp_path
    sys.modules.pop("low_rank", None)


def arguments(command: str) -> tuple[str, list[str]]:
    """The module and the arguments of `python -m MODULE ...`."""
    python, dash_m, module, *rest = shlex.split(command)
    assert (python, dash_m) == ("python", "-m")
    return module, rest


def test_the_page_has_the_examples_and_they_are_as_short_as_promised() -> None:
    lengths = {path: len(text.splitlines()) for path, text in FILES.items()}
    assert lengths.keys() == MOST_LINES.keys()
    assert [path for path, lines in lengths.items() if lines > MOST_LINES[path]] == []
    # A layer is its file and one line in a study.
    assert sum("low_rank:LowRank" in line for line in FILES["mine/low_rank_layer.py"].splitlines()) == 1
    assert len(COMMANDS) == 6


@pytest.mark.parametrize("command", [command for command in COMMANDS if "studies.run" in command])
def test_a_dry_run_of_each_command_can_train_all_it_shows(command: str, here: Path) -> None:
    _, given = arguments(command)
    shown = answer(*given, *TINY, "--seeds", "1", "--dry-run")
    assert (shown.code, shown.err) == (0, "")
    assert " 0 blocked" in shown.out and "2 runs: 2 new" in shown.out
    assert "no difference" not in shown.out
    assert sorted(path.name for path in here.iterdir()) == ["mine", "photos"]


def test_wrong_arguments_of_a_layer_end_the_command_before_anything_is_recorded(here: Path) -> None:
    file = here / "mine" / "low_rank_layer.py"
    file.write_text(file.read_text().replace("rank=4", "rnk=4"))
    assert "low_rank:LowRank(rnk=4) cannot be used: TypeError" in refused(str(file), *TINY, "--seeds", "1")
    assert sorted(path.name for path in here.iterdir()) == ["mine", "photos"]


@pytest.mark.parametrize("init", ["deck", "unit"])
def test_the_layer_of_the_page_trains(init: str, here: Path) -> None:
    study = catalogue.study("mine/low_rank_layer.py")
    overrides = {"iterations": 2, "evaluation.every": 2, "inr.init": init, "evaluation.quality": None}
    overrides |= {"evaluation.metric.samples": 96, "evaluation.resamples": 0, "data.train": 64, "data.held_out": 96}
    plan = make_plan(study, study.profile("cpu"), designs=["ladder"], seeds=[0], overrides=overrides)
    variant = plan.variant("baseline+low_rank")
    assert variant is not None
    check_layer(variant.config.inr)
    threads = torch.get_num_threads()
    events = list(run_job(variant.job(0), runs=here / "jobs", cache=here / "cache", threads=threads))
    built = next(event for event in events if event.kind == "built")
    width = variant.config.inr.width
    assert built.layer_parameters == 4 * (width + width) + width
    assert isinstance(events[-1], Finished)
    # Both the emitted numbers and what images share have a gradient at the start.
    hidden = built.initial[1]
    assert hidden.emitted_gradient and hidden.own_gradient
    if init == "unit":
        assert hidden.pre_activation == pytest.approx(1, abs=0.5)


def test_the_pages_pyproject_offers_a_study(here: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    project = tomllib.loads(text)["project"]
    assert project["dependencies"] == [tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]]
    (here / "site" / "my_package").mkdir(parents=True)
    (here / "site" / "my_package" / "r1_weight.py").write_text(FILES["mine/r1_weight.py"])
    info = here / "site" / "my_studies-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"][outside.GROUP]
    (info / "entry_points.txt").write_text(
        f"[{outside.GROUP}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
    )
    sys.path.append(str(here / "site"))
    (name,) = points
    try:
        assert catalogue.find(name).study == catalogue.study("mine/r1_weight.py")
    finally:
        for module in ("my_package.r1_weight", "my_package"):
            sys.modules.pop(module, None)


def test_an_override_reaches_a_layers_arguments(here: Path) -> None:
    config = catalogue.study("mine/low_rank_layer.py").folded(["low_rank"])
    layer = overridden(config, {"inr.layer.arguments.rank": 8}).inr.layer
    assert isinstance(layer, cfg.Imported) and layer.arguments == {"rank": 8}


@pytest.mark.slow
def test_every_command_of_the_page_comes_to_a_report(here: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)

    def done(*words: str) -> str:
        ended = subprocess.run(
            [sys.executable, *words],
            cwd=here,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr + ended.stdout
        return ended.stdout

    for command in COMMANDS:
        module, given = arguments(command)
        if module == "studies.run":
            rooms = () if "--data" in given else FEW_ROOMS
            # The process that evaluates beside has to find the layer, too.
            where = ("--evaluation", "beside") if "inr.init=unit" in given else ()
            done("-m", module, *given, *TINY, *rooms, *where, "--seeds", "1", "--jobs", "1")
        else:
            done("-m", module, *given)
    reports = {report.parent: report.read_text() for report in (here / "runs" / "reports").glob("*/*/report.md")}
    assert sorted(folder.parent.name for folder in reports) == ["low_rank_layer"] * 2 + ["momentum"] * 2 + ["r1_weight"]
    for folder, text in reports.items():
        assert f"python -m reports.render mine/{folder.parent.name}.py" in text
        # Every example's change is judged: one seed leaves no interval.
        assert "inconclusive (exploratory)" in text
        done("-m", "studies.sync", f"mine/{folder.parent.name}.py", "--setting", folder.name)
    one, other = (
        f"mine/low_rank_layer.py:{folder.name}" for folder in reports if folder.parent.name == "low_rank_layer"
    )
    done("-m", "reports.render", "--compare", one, other)


def test_a_study_brings_the_report_of_the_page(here: Path) -> None:
    file = here / "mine" / "widths.py"
    file.write_text(
        "from ablations.schema import Study\nfrom studies.changes_overview import STUDY as DECK\n"
        'STUDY = Study(**{**dict(DECK), "name": "widths", "report": "by_width"})\n'
    )
    study = catalogue.find(str(file)).study
    plan = make_plan(study, study.profile("cpu"), designs=["ladder"], seeds=[0], declared_in=str(file))
    train_all(here / "runs", record_plan(here / "runs", plan))
    assert "## Widths\n\nTrained: 8, 32." in page_of(str(file), runs=here / "runs")
