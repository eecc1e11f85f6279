"""The queue and the view on a real PostgreSQL server: nothing lost, nothing doubled, no password told, whatever the
server does. `make test-postgres` runs these."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from core.errors import InputError
from core.folder import RunFolder
from studies import stores
from studies.plan import Plan, jobs_root
from studies.runner import postgres
from studies.runner import queue as queues
from studies.runner.queue import Queue
from studies.runner.tasks import Task, tasks_of
from tests.studies.test_end_to_end import SMALL
from tests.studies.test_run_cli import PROGRAM, ROOT, ended
from tests.studies.test_sweep import a_study, an_order
from tests.support.postgres import Postgres

pytestmark = [pytest.mark.postgres, pytest.mark.filterwarnings("ignore")]

WORKERS, CLAIMS = 8, 500


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    pytest.importorskip("psycopg", reason="pip install 'psycopg[binary]>=3.2'")
    running = Postgres()
    try:
        yield running
    finally:
        running.remove()


@pytest.fixture
def database(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database that is this process's queue."""
    url = server.database(f"queue_{secrets.token_hex(4)}")
    monkeypatch.setenv("INR_GAN_QUEUE", url)
    return url


def wait_for(what: Callable[[], bool], seconds: float = 600) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)


# --- claims -----------------------------------------------------------------------------------------------------------


def claim_all(runs: Path, digests: list[str], name: str, go: Path) -> None:
    """Claims and gives up until none waits; writes down what it was handed, and how long each claim took."""
    queue = Queue(runs, "changes_overview", "cpu")
    (runs / f"{name}.ready").touch()
    wait_for(go.exists)
    with FileLock(queue.worker_lock(name)), (runs / f"{name}.claimed").open("a") as claimed:
        while True:
            began = time.perf_counter()
            claim = queue.claim(digests, name)
            if claim is None:
                return
            claimed.write(f"{claim.digest} {time.perf_counter() - began}\n")
            claimed.flush()
            queue.release(claim, again=False)


def lines_of(runs: Path) -> list[list[str]]:
    return [line.split() for file in runs.glob("*.claimed") for line in file.read_text().splitlines()]


@pytest.fixture
def tasks(small_plan: Callable[..., Plan]) -> list[Task]:
    return tasks_of(small_plan(seeds=tuple(range(46))))[:CLAIMS]


def test_eight_workers_claim_each_of_500_jobs_once_though_the_server_is_restarted(
    server: Postgres,
    database: str,
    tmp_path: Path,
    tasks: list[Task],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Half-way the server is stopped at once, its clients cut off in whatever they do, and started seconds later."""
    queue = Queue(tmp_path, "changes_overview", "cpu")
    digests = [task.digest for task in tasks]
    assert queue.enqueue(tasks) == CLAIMS
    go = tmp_path / "go"
    spawn = multiprocessing.get_context("spawn")
    names = [f"w{index}" for index in range(WORKERS)]
    processes = [spawn.Process(target=claim_all, args=(tmp_path, digests, name, go), daemon=True) for name in names]
    for process in processes:
        process.start()
    wait_for(lambda: all((tmp_path / f"{name}.ready").exists() for name in names))
    began = time.monotonic()
    go.touch()
    wait_for(lambda: len(lines_of(tmp_path)) >= CLAIMS // 2)
    server.stop("immediate")
    stopped = time.monotonic()
    time.sleep(5)
    server.start()
    gone = time.monotonic() - stopped
    for process in processes:
        process.join(600)
        assert process.exitcode == 0
    seconds = time.monotonic() - began
    # A claim whose answer was lost belongs to nobody: it is put back a minute later.
    monkeypatch.setattr(queues, "UNSIGNED_CLAIM_SECONDS", -1)
    unanswered = queue.release_orphans()
    assert len(unanswered) <= WORKERS
    claim_all(tmp_path, digests, "afterwards", go)
    claimed = Counter(digest for digest, _ in lines_of(tmp_path))
    # A job whose giving-up was not answered for may be handed out anew, after it was given up.
    assert claimed == Counter(digests)
    assert not queue.waiting(digests) and not queue.running(digests)
    times = sorted(float(took) for _, took in lines_of(tmp_path))
    with capsys.disabled():
        print(
            f"\n{WORKERS} workers, {CLAIMS} claims in {seconds:.1f} s ({gone:.1f} s without a server): median "
            f"{1e3 * times[len(times) // 2]:.0f} ms, longest {times[-1]:.2f} s; {len(unanswered)} put back"
        )


def propose_all(runs: Path, name: str) -> None:
    trials = an_order(runs, a_study(trials=12).searches[0]).queue()
    with FileLock(trials.worker_lock(name)):
        while (claim := trials.claim(name)) is not None:
            with (runs / f"{name}.claimed").open("a") as claimed:
                claimed.write(f"{claim.number} 0\n")
            trials.prune(claim)


def test_the_workers_of_a_search_keep_its_budget(database: str, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=propose_all, args=(tmp_path, f"w{index}"), daemon=True) for index in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert sorted(int(number) for number, _ in lines_of(tmp_path)) == list(range(12))


def test_a_lock_outlasts_the_limit_of_idle_transactions(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under it others are asked: to the server its holder is idle."""
    from sqlalchemy import create_engine, text

    limit = "-c idle_in_transaction_session_timeout=200"
    monkeypatch.setitem(postgres.ENGINE["connect_args"], "options", limit)
    url = stores.queue_url()
    assert url is not None
    engine = create_engine(url, **postgres.ENGINE)
    with postgres.advisory_lock(engine, 7):
        time.sleep(1)
        with engine.connect() as other:
            assert other.execute(text("show idle_in_transaction_session_timeout")).scalar() == "200ms"
            assert other.execute(text("select pg_try_advisory_xact_lock(7)")).scalar() is False
    with engine.connect() as other:
        assert other.execute(text("select pg_try_advisory_xact_lock(7)")).scalar() is True
    engine.dispose()


def test_folders_of_runs_that_share_a_database_do_not_meet(database: str, tmp_path: Path, tasks: list[Task]) -> None:
    first = Queue(tmp_path / "a", "changes_overview", "cpu")
    other = Queue(tmp_path / "b", "changes_overview", "cpu")
    first.enqueue(tasks[:2])
    assert not other.waiting([task.digest for task in tasks])
    assert other.enqueue(tasks[:2]) == 2
    again = Queue(tmp_path / "a", "changes_overview", "cpu")
    assert len(again.waiting([task.digest for task in tasks])) == 2


def test_a_wrong_password_is_one_line_before_anything_trains(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    from studies.runner.preflight import check_queue

    monkeypatch.setenv("INR_GAN_QUEUE", server.url(password="not-that-one"))
    with pytest.raises(InputError, match=r"tester:\*\*\*@127\.0\.0\.1.*authentication failed") as refused:
        check_queue()
    assert "not-that-one" not in str(refused.value) and "\n" not in str(refused.value)


def test_an_account_that_may_make_no_tables_is_one_line(
    server: Postgres, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create role reader login password 'reader-pw'")
    monkeypatch.setenv("INR_GAN_QUEUE", database.replace(f"{server.user}:{server.password}", "reader:reader-pw"))
    with pytest.raises(InputError, match=r"reader:\*\*\*@127\.0\.0\.1.*permission denied") as refused:
        Queue(tmp_path, "changes_overview", "cpu")
    assert "reader-pw" not in str(refused.value) and "\n" not in str(refused.value)
    # Optuna leaves the connection of a storage that it could not make to the garbage collector, which complains.
    del refused
    gc.collect()


# --- studies ----------------------------------------------------------------------------------------------------------


class Watched:
    """A command, with the arguments of all processes that were seen while it ran."""

    def __init__(self, arguments: list[str], cwd: Path, **environment: str) -> None:
        self.seen: set[bytes] = set()
        self.process = subprocess.Popen(
            arguments,
            cwd=cwd,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def look(self) -> bool:
        """Whether it still runs."""
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.seen.add(file.read_bytes())
            except OSError:  # It has ended meanwhile.
                continue
        return self.process.poll() is None


def told(password: str, folder: Path, *texts: str) -> list[str]:
    """Where the password stands that should stand nowhere."""
    files = [str(f) for f in folder.rglob("*") if f.is_file() and password.encode() in f.read_bytes()]
    return files + [text for text in texts if password in text]


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    import psycopg

    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def check_view(url: str, runs: int) -> None:
    """Every run once and ended, every point once."""
    jobs_only = "join tags on tags.run_uuid = runs.run_uuid and tags.key = 'job'"
    statuses = rows(url, f"select status from runs {jobs_only} where lifecycle_stage = 'active'")
    assert statuses == [("FINISHED",)] * runs
    jobs = rows(url, "select count(distinct value) from tags where key = 'job'")
    assert jobs == [(runs,)]
    assert rows(url, "select key, step, run_uuid from metrics group by key, step, run_uuid having count(*) > 1") == []


def test_a_study_from_queue_to_report_tells_nobody_the_password(server: Postgres, tmp_path: Path) -> None:
    queue, view = server.database("study_queue"), server.database("study_view")
    arguments = ["changes_overview", *SMALL, "--only", "baseline,all", "--seeds", "2", "--jobs", "2"]
    watched = Watched(
        [sys.executable, "-m", "studies.run", *arguments],
        tmp_path,
        INR_GAN_QUEUE=queue,
        MLFLOW_TRACKING_URI=view,
    )
    while watched.look():
        time.sleep(0.2)
    output, errors = watched.process.communicate()
    assert watched.process.returncode == 0, errors + output
    assert "report.pdf" in output
    check_view(view, 4)
    assert rows(view, "select count(*) from metrics where key = 'fd_rooms'") == [(2 * 2 * 2,)]
    assert rows(queue, "select state, count(*) from trials group by state") == [("COMPLETE", 4)]
    assert not list((tmp_path / "runs" / "queue").glob("*.journal"))
    assert any(b"studies.runner.worker" in arguments for arguments in watched.seen)
    seen = [arguments.decode(errors="replace") for arguments in watched.seen]
    assert told(server.password, tmp_path, output, errors, *seen) == []
    for url in (queue, view):
        dump = "".join(map(str, rows(url, "select query_to_xml('select * from ' || quote_ident(tablename), true, "
                                          "false, '') from pg_tables where schemaname = 'public'")))  # fmt: skip
        assert len(dump) > 1000 and server.password not in dump


def test_a_database_gone_while_jobs_train_costs_nothing(server: Postgres, tmp_path: Path) -> None:
    """Jobs end while there is no server; they are settled, and shown, when it is back."""
    queue, view = server.database("outage_queue"), server.database("outage_view")
    arguments = ["changes_overview", "iterations=80", "evaluation.every=40", "--only", "baseline,all"]
    watched = Watched(
        [sys.executable, "-c", PROGRAM, *arguments, "--seeds", "1000,1001", "--jobs", "2", "--no-report"],
        tmp_path,
        INR_GAN_QUEUE=queue,
        MLFLOW_TRACKING_URI=view,
    )
    jobs = jobs_root(tmp_path / "runs")
    wait_for(lambda: len(list(jobs.glob("*/events.jsonl"))) >= 2)
    server.stop("immediate")
    try:
        wait_for(lambda: len(list(jobs.glob("*/outcome.json"))) >= 2 or not watched.look())
        time.sleep(3)
        assert watched.look(), watched.process.communicate()
        assert len(list(jobs.glob("*/outcome.json"))) == 2  # Nothing can be claimed meanwhile.
    finally:
        server.start()
    code, output, lines, _ = ended(watched.process)
    assert code == 0, output + "\n".join(lines)
    folders = [RunFolder(jobs, folder.name) for folder in jobs.iterdir()]
    assert len(folders) == 4
    for folder in folders:
        assert len((folder.path / "trained_by.txt").read_text().splitlines()) == 1
    check_view(view, 4)
    assert rows(queue, "select state, count(*) from trials group by state") == [("COMPLETE", 4)]
    logs = "".join(log.read_text() for log in (tmp_path / "runs" / "queue" / "logs").glob("*.txt"))
    assert "cannot be reached" in logs and "the queue is back after" in logs
    assert told(server.password, tmp_path, output, *lines) == []


def test_a_study_can_be_stopped_while_its_database_is_gone(server: Postgres, tmp_path: Path) -> None:
    queue, view = server.database("stopped_queue"), server.database("stopped_view")
    arguments = ["changes_overview", "iterations=80", "evaluation.every=40", "--only", "baseline,all", "--no-report"]
    command = [sys.executable, "-c", PROGRAM, *arguments, "--seeds", "1000,", "--jobs", "2"]
    stores = {"INR_GAN_QUEUE": queue, "MLFLOW_TRACKING_URI": view}
    watched = Watched(command, tmp_path, **stores)
    jobs = jobs_root(tmp_path / "runs")
    wait_for(lambda: len(list(jobs.glob("*/checkpoint.json"))) == 2)
    server.stop("immediate")
    try:
        time.sleep(2)
        watched.process.send_signal(signal.SIGINT)
        code, output, lines, _ = ended(watched.process)
        assert code == 130, output + "\n".join(lines)
        assert told(server.password, tmp_path, output, *lines) == []
    finally:
        server.start()
    code, output, lines, _ = ended(Watched(command, tmp_path, **stores).process)
    assert code == 0, output + "\n".join(lines)
    check_view(view, 2)


def test_a_view_that_was_set_back_is_rebuilt_from_the_folders(server: Postgres, tmp_path: Path) -> None:
    first, second = server.database("view_first"), server.database("view_second")
    arguments = ["changes_overview", "iterations=10", "evaluation.every=5", "--only", "baseline,all", "--no-report"]
    study = Watched([sys.executable, "-c", PROGRAM, *arguments, "--seeds", "2"], tmp_path, MLFLOW_TRACKING_URI=first)
    code, output, lines, _ = ended(study.process)
    assert code == 0, output + "\n".join(lines)
    check_view(first, 4)
    for url in (second, second, first):
        rebuilt = Watched([sys.executable, "-m", "studies.sync", "changes_overview"], tmp_path, MLFLOW_TRACKING_URI=url)
        _, errors = rebuilt.process.communicate(timeout=120)
        assert rebuilt.process.returncode == 0, errors
        check_view(url, 4)
    query = "select key, step, value from metrics order by key, step, value"
    assert rows(first, query) == rows(second, query)
    recorded = json.loads((tmp_path / "runs" / "mlflow-synced.json").read_text())
    assert all("tester:***@" in address for address in recorded) and len(recorded) == 2
