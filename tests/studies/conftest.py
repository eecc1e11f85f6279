"""A small plan, and one created MLflow database that tests copy: creating it takes seconds."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from studies import catalogue
from studies.plan import Plan, record_plan
from studies.planning import make_plan
from studies.runner.order import Order
from studies.runner.tasks import Task, tasks_of
from studies.runner.worker import TRAINER_VARIABLE

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"


@pytest.fixture
def small_plan() -> Callable[..., Plan]:
    """Makes the ladder of the slide's study with ten iterations a job."""

    def make(*, seeds: tuple[int, ...] = (0,), variants: int = 11, iterations: int = 10) -> Plan:
        study = catalogue.study("changes_overview")
        overrides = {"iterations": iterations, "evaluation.every": 5}
        plan = make_plan(study, study.profile("cpu"), designs=["ladder"], seeds=seeds, overrides=overrides)
        return Plan(**{**dict(plan), "variants": plan.variants[:variants]})

    return make


@pytest.fixture
def fake_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers train with `fake_job`."""
    monkeypatch.setenv(TRAINER_VARIABLE, "tests.support.fake_job")


@pytest.fixture
def order(tmp_path: Path, fake_trainer: None) -> Callable[..., Order]:
    """Makes an order of fake jobs."""

    def make(plan: Plan, *, workers: int = 2, tasks: list[Task] | None = None) -> Order:
        record_plan(tmp_path, plan)
        return Order(
            study=plan.study,
            setting=plan.setting,
            runs=tmp_path,
            tasks=tuple(tasks_of(plan) if tasks is None else tasks),
            workers=workers,
            cache=tmp_path / "cache",
        )

    return make


@pytest.fixture(scope="session")
def _created_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    file = shared / "mlflow.db"
    with FileLock(shared / "mlflow.db.lock"):
        if not file.exists():
            from mlflow import MlflowClient

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Those of SQLAlchemy are between it and mlflow.
                MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def mlflow_folder(tmp_path: Path, _created_database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder with an empty `mlflow.db`."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    shutil.copy(_created_database, folder / "mlflow.db")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder
