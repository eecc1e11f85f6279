"""Stores by URL: what is refused, what is never shown, and who waits for a database that is gone."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from core.errors import InputError
from studies import catalogue, stores, sync
from studies.mlflow_view import connection, experiment, fitting
from studies.mlflow_view import sync as syncing
from studies.mlflow_view.experiment import without_user
from studies.mlflow_view.sync import BackgroundSync, MlflowView
from studies.plan import Plan, record_plan
from studies.runner import postgres
from studies.runner.outages import Unreachable, error_line, waiting_until
from studies.runner.postgres import Outages
from studies.runner.tasks import tasks_of
from studies.runner.worker import serve
from studies.stores import address, folder_id, redacted, use_stores
from tests.studies.test_tracking import history, shown, write_folder

SECRET = "s3cr/t@pw"
ENCODED = "s3cr%2Ft%40pw"
URL = f"postgresql://ann:{ENCODED}@db.example:5432/inr"


@pytest.fixture(autouse=True)
def _no_stores_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (stores.QUEUE_VARIABLE, stores.TRACKING_VARIABLE):
        monkeypatch.setenv(variable, "")  # So that what `use_stores` sets is undone.
        monkeypatch.delenv(variable)


@pytest.fixture
def _with_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores.importlib.util, "find_spec", lambda name: object())


@pytest.mark.parametrize(
    ("text", "shown_as"),
    [
        (URL, "postgresql://ann:***@db.example:5432/inr"),
        ("postgresql://ann:p@ss/w@db/inr", "postgresql://ann:***@db/inr"),
        ("postgresql://ann@db/inr?password=x&sslmode=require", "postgresql://ann@db/inr?password=***&sslmode=require"),
        ("API request to https://ann:pw@host/api failed", "API request to https://***@host/api failed"),
        ("https://TOKEN@host/api", "https://***@host/api"),
        ("https://TOKEN@host", "https://***@host"),
        ("https://host/?token=abc&x=1", "https://host/?token=***&x=1"),
        ("http://host/p?access_token=abc;api_key=d", "http://host/p?access_token=***;api_key=***"),
        ("https://host/a@b?page=2", "https://host/a@b?page=2"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("postgresql://ann@db/inr", "postgresql://ann@db/inr"),
    ],
)
def test_an_address_has_no_password(text: str, shown_as: str) -> None:
    assert address(text) == shown_as


def test_errors_are_shown_without_passwords_in_any_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INR_GAN_QUEUE", URL)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:other-pw@host")
    said = redacted(f"no user ann with '{SECRET}' ({ENCODED}) nor other-pw")
    assert said == "no user ann with '***' (***) nor ***"
    assert error_line(ValueError(f"{SECRET}\nmore")) == "ValueError: ***"


def test_what_a_worker_breaks_with_is_told_without_passwords(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INR_GAN_QUEUE", URL)

    class Broken:
        detached = False

        def make_findable(self) -> None:
            pass

        def queue(self) -> None:
            raise RuntimeError(f"no host for '{SECRET}'")

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    try:
        with pytest.raises(SystemExit) as ended:
            serve(Broken(), "w", follow_parent=False)  # type: ignore[arg-type]
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    said = capsys.readouterr().err
    assert ended.value.code == 1 and said.startswith("Traceback") and said.endswith("no host for '***'\n\n")


@pytest.mark.parametrize("option", ["queue", "tracking"])
@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"postgresql://ann@db/inr?password={ENCODED}",
        f"postgresql://ann:12/{SECRET}@db/inr",
        f"postgresql://ann:my {SECRET}@db/inr",
        f"postgresql://ann:{SECRET}[@db/inr",
    ],
)
def test_a_password_among_process_arguments_is_refused_without_repeating_it(option: str, url: str) -> None:
    with pytest.raises(InputError, match="process arguments can be read") as refused:
        use_stores(**{option: url})
    assert SECRET not in str(refused.value) and ENCODED not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["https://{}@host", "https://host/?token={}", "https://host/x?api_key={}", "http://ann:{}@host", "http://{}:x@h"],
)
def test_what_a_server_is_told_by_its_url_is_secret(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = url.format("s3cr3t")
    with pytest.raises(InputError, match="process arguments can be read"):
        use_stores(tracking=whole)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", whole)
    assert "s3cr3t" not in redacted(f"{whole} failed") + address(whole) + without_user(whole)
    if ":x@" not in url:  # A name with a password beside it is none.
        assert "s3cr3t" not in redacted("no user s3cr3t")


def test_passwords_of_the_environment_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGPASSWORD", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.setenv(name, f"pw-{name[:2]}")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "0123456789")
    monkeypatch.setenv("OTHER_TOKEN", "1")  # Too short to be one, and it would be everywhere.
    assert redacted("1 pw-PG pw-ML 0123456789") == "1 *** *** ***"


def test_what_is_wrong_is_the_option_where_one_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for option, variable in (("queue", "INR_GAN_QUEUE"), ("tracking", "MLFLOW_TRACKING_URI")):
        with pytest.raises(InputError, match=f"^--{option} is no URL"):
            use_stores(**{option: "file:///x"})
        with pytest.raises(InputError, match=f"^--{option} is empty"):
            use_stores(**{option: ""})
        monkeypatch.delenv(variable)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///home/ann/mlruns")
    with pytest.raises(InputError, match=r"^MLFLOW_TRACKING_URI is no URL .*--tracking sqlite:///mlflow\.db"):
        use_stores()
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true", "sqlite:///"):
        with pytest.raises(InputError, match=r"^--tracking names no SQLite file"):
            use_stores(tracking=url)


@pytest.mark.parametrize(
    ("variable", "url", "message"),
    [
        ("INR_GAN_QUEUE", "sqlite:///queue.db", "it begins with postgresql://"),
        ("INR_GAN_QUEUE", f"mysql://ann:{ENCODED}@db/inr", "it begins with postgresql://"),
        ("INR_GAN_QUEUE", "postgresql://ann:s3cr/t-pw@db/inr", "percent-encoded"),
        ("INR_GAN_QUEUE", "postgresql://ann:12/s3cr@db/inr", "percent-encoded"),
        ("INR_GAN_QUEUE", "postgresql://ann:p@s3cr@db/inr", "percent-encoded"),
        ("INR_GAN_QUEUE", "postgresql://ann:my s3cr@db/inr", "percent-encoded"),
        ("INR_GAN_QUEUE", "postgresql://ann@db/inr?password=my@s3cr", "percent-encoded"),
        ("MLFLOW_TRACKING_URI", "https://ann:my s3cr@host", "looks like https://user@host, other signs"),
        ("MLFLOW_TRACKING_URI", "https://ann:12/s3cr@host", "percent-encoded"),
        ("MLFLOW_TRACKING_URI", "http://", "names no host: it looks like http://host:5000"),
        ("MLFLOW_TRACKING_URI", "https://:5000/x", "names no host"),
        ("MLFLOW_TRACKING_URI", "mlruns", "it begins with"),
    ],
)
@pytest.mark.usefixtures("_with_psycopg")
def test_a_url_that_cannot_be_used_is_one_line_without_it(
    variable: str, url: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, url)
    with pytest.raises(InputError, match=message) as refused:
        use_stores()
    assert "s3cr" not in str(refused.value) and "\n" not in str(refused.value)


def test_postgresql_without_its_driver_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'psycopg\[binary\]"):
        use_stores(queue="postgresql://ann@db/inr")


@pytest.mark.usefixtures("_with_psycopg")
def test_options_reach_workers_and_name_one_driver() -> None:
    use_stores(queue="postgresql://ann@db/inr", tracking="https://mlflow.example")
    assert stores.queue_url() == "postgresql+psycopg://ann@db/inr"
    assert stores.tracking_uri() == "https://mlflow.example"
    use_stores()
    assert stores.queue_url() == "postgresql+psycopg://ann@db/inr"


class Locking:
    """An engine that notes what is executed, and whose connections may be lost at the end."""

    def __init__(self, lost: bool) -> None:
        self.lost, self.executed = lost, list[str]()

    @contextmanager
    def connect(self) -> Iterator[Locking]:
        yield self

    def execute(self, statement: object, _: object = None) -> None:
        self.executed.append(str(statement))

    def commit(self) -> None:
        if self.lost:
            raise gone()


def test_a_lock_of_the_database_does_not_run_out_and_its_loss_is_no_success() -> None:
    engine = Locking(lost=False)
    with postgres.advisory_lock(engine, 7):  # type: ignore[arg-type]
        assert [line.split()[:2] for line in engine.executed] == [
            ["set", "local"],
            ["select", "pg_advisory_xact_lock(:key)"],
        ]
        assert "idle_in_transaction_session_timeout = 0" in engine.executed[0]
    with pytest.raises(Exception, match="during the commit"), postgres.advisory_lock(Locking(lost=True), 7):  # type: ignore[arg-type]
        pass


def test_a_folder_of_runs_keeps_its_name_and_no_two_have_the_same(tmp_path: Path) -> None:
    first, second = folder_id(tmp_path / "a"), folder_id(tmp_path / "b")
    assert first != second and folder_id(tmp_path / "a") == first


# --- outages ----------------------------------------------------------------------------------------------------------


class Flaky:
    """Answers after so many failures."""

    def __init__(self, failures: int, error: Callable[[], Exception]) -> None:
        self.left, self.error = failures, error

    def __call__(self) -> str:
        if self.left:
            self.left -= 1
            raise self.error()
        return "an answer"


def gone() -> Exception:
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import OperationalError

    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = OperationalError("select 1", {}, Exception(f"no connection as ann:{SECRET}"))
    return error


@pytest.fixture
def outages(monkeypatch: pytest.MonkeyPatch) -> Outages:
    monkeypatch.setattr(postgres, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("INR_GAN_QUEUE", URL)
    return Outages(address(URL))


def test_an_outage_is_sat_out_and_said_once(outages: Outages, capsys: pytest.CaptureFixture[str]) -> None:
    assert outages.sat_out(Flaky(4, gone))() == "an answer"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("the queue at postgresql://ann:***@db.example:5432/inr cannot be reached: ")
    assert lines[1].startswith("the queue is back after ")
    assert SECRET not in lines[0]


def test_a_transaction_that_could_not_be_rolled_back_is_an_outage(outages: Outages) -> None:
    from sqlalchemy.exc import PendingRollbackError

    assert outages.sat_out(Flaky(1, lambda: PendingRollbackError("rolled back before")))() == "an answer"


def test_what_the_driver_raises_itself_is_an_outage(outages: Outages, monkeypatch: pytest.MonkeyPatch) -> None:
    class OperationalError(Exception):
        pass

    driver = SimpleNamespace(OperationalError=OperationalError, InterfaceError=type("InterfaceError", (Exception,), {}))
    monkeypatch.setitem(sys.modules, "psycopg", driver)
    assert outages.sat_out(Flaky(1, lambda: OperationalError("the connection is closed")))() == "an answer"


def test_what_is_no_outage_is_raised_at_once(outages: Outages) -> None:
    flaky = Flaky(1, lambda: KeyError("no such trial"))
    with pytest.raises(KeyError):
        outages.sat_out(flaky)()
    assert flaky.left == 0


def test_nobody_waits_who_cannot_or_is_asked_to_stop(outages: Outages) -> None:
    call = outages.sat_out(Flaky(10**9, gone))
    with pytest.raises(Unreachable, match=r"ann:\*\*\*@db"), outages.impatient():
        call()
    stopping = threading.Event()
    threading.Timer(0.2, stopping.set).start()
    with pytest.raises(Unreachable), waiting_until(stopping.is_set):
        call()
    assert stopping.is_set()


def test_an_outage_that_does_not_end_is_given_up(outages: Outages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "OUTAGE_SECONDS", 0.05)
    with pytest.raises(Unreachable):
        outages.sat_out(Flaky(10**9, gone))()


# --- SQLite files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "c%41b", "c%2Fd", "a?b=1", "a#b;c d", 'it\'s "é"', "台所", "100%", ":x"])
def test_a_path_is_a_url_and_back(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy import make_url

    folder = tmp_path / name
    folder.mkdir()
    file = folder / "mlflow.db"
    url = stores.sqlite_url(f"sqlite:///{quote(str(file))}")
    assert stores.sqlite_file(url) == file == Path(make_url(url).database or "")
    monkeypatch.chdir(folder)
    assert stores.sqlite_file(stores.DEFAULT_TRACKING) == file
    near = stores.sqlite_url(f"{stores.DEFAULT_TRACKING}?timeout=9")
    assert near.endswith("?timeout=9") and "%" not in near and near.count("?") == 1
    assert Path(make_url(near).database or "").absolute() == file


def _no_file(file: Path) -> None:
    file.mkdir()


def _no_database(file: Path) -> None:
    file.write_text("no database" * 99)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("breaks", "said"), [(_no_file, "mlflow.db is no file"), (_no_database, "not a database")])
def test_a_database_that_cannot_be_used_is_one_line_at_once(
    view: MlflowView, breaks: Callable[[Path], None], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write_folder(view.runs, tasks_of(view.plan)[0])
    file = view.database
    assert file is not None
    file.unlink()
    breaks(file)
    began = time.monotonic()
    ended = CliRunner().invoke(sync.main, ["changes_overview", "--runs", str(view.runs)])
    assert time.monotonic() - began < 20 and ended.exit_code != 0
    assert len(ended.stderr.splitlines()) == 1 and said in ended.stderr and "--tracking sqlite:///" in ended.stderr
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_who_holds_a_database_is_waited_for(view: MlflowView, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(view.runs, tasks_of(view.plan)[0])
    holder = sqlite3.connect(view.database, isolation_level=None, check_same_thread=False)  # type: ignore[arg-type]
    holder.execute("begin exclusive")
    monkeypatch.setattr(experiment, "READ_SECONDS", 0.1)
    with monkeypatch.context() as hurried:
        hurried.setattr(connection, "LOCKED_SECONDS", 0.1)
        with pytest.raises(Unreachable, match="database is locked \\(another program holds it\\)"):
            view.sync()
    threading.Timer(0.5, holder.close).start()
    assert view.sync() == 1


def test_the_reason_is_the_databases_own() -> None:
    from sqlalchemy.exc import OperationalError

    inner = OperationalError(
        "(raised as a result of Query-invoked autoflush; consider)\nselect", {}, OSError("read-only")
    )
    wrapped = RuntimeError("(raised as a result of Query-invoked autoflush; consider)\nselect")
    wrapped.__cause__ = inner
    assert error_line(inner) == error_line(wrapped) == "OSError: read-only"
    assert error_line(InputError("f: is\nwrong")) == "f: is wrong" and error_line(ValueError()) == "ValueError"


# --- the view ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def view(tmp_path: Path, mlflow_folder: Path, small_plan: Callable[..., Plan]) -> MlflowView:
    runs = tmp_path / "runs"
    plan = record_plan(runs, small_plan(seeds=(0,), variants=2))
    return MlflowView(catalogue.study("changes_overview"), plan, runs)


class Breaks:
    """A client of MLflow whose answers to one method are lost after so many calls: what it did is done."""

    def __init__(self, client: Any, method: str, after: int = 0) -> None:
        self._client, self._method, self._left = client, method, after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name != self._method:
            return real

        def lost(*arguments: Any, **named: Any) -> Any:
            result = real(*arguments, **named)
            if self._left == 0:
                raise ConnectionError("the answer was lost")
            self._left -= 1
            return result

        return lost


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["create_run", "log_batch", "set_tag", "set_terminated"])
def test_a_server_lost_at_any_call_leaves_each_run_and_point_once(
    view: MlflowView, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "BATCH", 3)
    tasks = tasks_of(view.plan)
    for task in tasks:
        write_folder(view.runs, task)
    client = view.writer().client
    view.writer().client = Breaks(client, method, after=1)  # type: ignore[assignment]
    with pytest.raises(ConnectionError):
        view.sync()
    view.writer().client = client
    assert view.sync() >= 1
    found = shown(view)
    assert set(found) == {task.digest for task in tasks}
    for run in found.values():
        assert run.info.status == "FINISHED"
        assert history(view, run, "fd_rooms") == [(2, 5.0), (4, 2.5)]
        assert [step for step, _ in history(view, run, "loss/d")] == [1, 2, 3, 4]
    assert view.sync() == 0


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_was_made_twice_is_shown_once(view: MlflowView) -> None:
    task = tasks_of(view.plan)[0]
    write_folder(view.runs, task)
    view.sync()
    client = view.writer().client
    experiment = client.get_experiment_by_name(view.name)
    assert experiment is not None
    client.create_run(experiment.experiment_id, tags={"job": task.digest, "runs": view.whose})
    assert view.sync(distrustful=True) == 1
    assert list(shown(view)) == [task.digest]
    assert history(view, shown(view)[task.digest], "fd_rooms") == [(2, 5.0), (4, 2.5)]


def test_a_view_out_of_reach_is_tried_again(
    view: MlflowView, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(syncing, "SYNC_SECONDS", 0.01)
    calls, written = [], threading.Event()

    def flaky(running: set[str] | None = None) -> int:
        calls.append(running)
        if len(calls) < 4:
            raise ConnectionError("https://ann:other-pw@host is gone")
        written.set()
        return 1

    monkeypatch.setattr(view, "sync", flaky)
    with BackgroundSync(view, lambda: {"a"}) as background:
        assert written.wait(10)
    assert background.error is None
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("MLflow view not written, the jobs go on and it is tried again: ConnectionError")
    assert lines[1:] == ["MLflow view written again"]
    assert "other-pw" not in lines[0]


def test_what_is_on_record_of_a_view_has_no_password(view: MlflowView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:other-pw@host:5000/")
    remote = MlflowView(view.study, view.plan, view.runs)
    remote._keep({"experiment_id": "7", "writer": None, "jobs": {}})
    assert json.loads((view.runs / "mlflow-synced.json").read_text()).keys() == {"http://***@host:5000/"}
    assert remote.link is not None and remote.link.startswith("http://host:5000/#/experiments/7/")
    assert without_user("https://mlflow.example/x") == "https://mlflow.example/x"


@pytest.mark.usefixtures("_with_psycopg")
@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_the_command_that_is_advised_has_no_password_among_its_arguments(
    scheme: str, view: MlflowView, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{scheme}://ann:{ENCODED}@db:5432/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    command = MlflowView(view.study, view.plan, view.runs).command
    assert command is not None and command.endswith(" mlflow ui") and ENCODED not in command
    program = command.replace("mlflow ui", "printenv MLFLOW_BACKEND_STORE_URI")
    told = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=True).stdout
    assert told == f"postgresql+psycopg://ann:{ENCODED}@db:5432/mlflow\n"


@pytest.mark.filterwarnings("ignore")
def test_mlflow_reads_the_variable_of_that_command() -> None:
    from mlflow.cli import cli

    (option,) = [each for each in cli.commands["server"].params if each.name == "backend_store_uri"]
    assert option.envvar == "MLFLOW_BACKEND_STORE_URI"


@pytest.mark.filterwarnings("ignore")
def test_two_folders_of_runs_in_one_view_leave_each_others_runs_alone(view: MlflowView, tmp_path: Path) -> None:
    task, other = tasks_of(view.plan)
    write_folder(view.runs, task)
    view.sync()
    theirs = MlflowView(view.study, record_plan(tmp_path / "theirs", view.plan), tmp_path / "theirs")
    write_folder(theirs.runs, task, status="failed")
    write_folder(theirs.runs, other)
    assert theirs.sync() == 2
    assert view.sync(distrustful=True) == 1 and theirs.sync(distrustful=True) == 2
    client = view.writer().client
    experiment = client.get_experiment_by_name(view.name)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    assert sorted((run.data.tags["runs"], run.data.tags["job"], run.info.status) for run in found) == sorted(
        [
            (view.whose, task.digest, "FINISHED"),
            (theirs.whose, task.digest, "FAILED"),
            (theirs.whose, other.digest, "FINISHED"),
        ]
    )
    # Deleted runs are noticed by whose they were, however many others there are.
    (mine,) = [run for run in found if run.data.tags["runs"] == view.whose]
    client.delete_run(mine.info.run_id)
    assert not MlflowView(view.study, view.plan, view.runs).in_sync() and theirs.in_sync()


def test_a_sync_to_a_server_that_is_down_ends_in_one_line(view: MlflowView, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(view.runs, tasks_of(view.plan)[0])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:other-pw@127.0.0.1:9")
    ended = CliRunner().invoke(sync.main, ["changes_overview", "--runs", str(view.runs)])
    assert ended.exit_code == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "http://***@127.0.0.1:9: MLflow view not written" in ended.stderr
    assert "other-pw" not in ended.stderr + ended.output
