"""Why a run cannot be trained here and now, as far as that can be known without torch, before anything starts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

from core.config import (
    AnyConfig,
    CleanFid,
    Config,
    Data,
    ImageNetFrechet,
    Images,
    Imported,
    MeanAbsoluteError,
    Metric,
    Pool,
    Rooms,
    RoomsFrechet,
)
from core.data.listing import left_out_words
from core.errors import InputError
from core.files import check_file, check_folder
from core.folder import RunFolder, State
from core.imported import check_unedited
from core.metrics.enough import cautions, check_counts, taken
from core.metrics.identity import (
    INCEPTION_VARIABLE,
    extractor_sha256,
    imagenet_weights,
    inception_file,
    inception_host,
    inception_place,
)
from core.needs import ANYWHERE, check_memory
from studies.plan import Plan, jobs_root, joined, journal_file, plan_folder, plans_lock, report_folder
from studies.runner.resources import Resources
from studies.runner.tasks import Task
from studies.stores import queue_url

NETWORK_SECONDS = 0.5
"""So long a dry run waits for a host to answer."""


def obstacle(task: Task, state: State, resources: Resources, *, retry_failed: bool) -> str | None:
    """What keeps this run from being trained, with the remedy; None for one that has its result or can be trained."""
    if state in ("finished", "diverged", "running"):
        return None
    if state == "failed" and not retry_failed:
        outcome = RunFolder(jobs_root(resources.runs), task.digest).outcome()
        reason = (outcome.reason if outcome else None) or "no reason given"
        return f"failed before ({' '.join(reason.split())}): --retry-failed tries it once more"
    return _of_config(task.job.config, resources)


def check_trainable(tasks: Sequence[Task], resources: Resources) -> None:
    """Raises InputError where one of these runs, which are about to be trained, cannot be."""
    reasons = [_of_config(task.job.config, resources) for task in tasks]
    if (refused := refusal(reasons)) is not None:
        raise InputError(refused)
    inrs = [task.job.config.inr for task in tasks if isinstance(task.job.config.inr.layer, Imported)]
    if inrs:
        # Imports torch, which nothing else of this needs.
        from core.build import check_layer

        for inr in {inr.model_dump_json(): inr for inr in inrs}.values():
            check_layer(inr)


def refusal(reasons: Sequence[str | None]) -> str | None:
    """The refusal of a command that is to train runs which these `reasons` keep from being trained, None for each that
    can be; None where all can be."""
    blocked = [reason for reason in reasons if reason is not None]
    return f"{len(blocked)} of {len(reasons)} runs cannot be trained: {blocked[0]}" if blocked else None


def folders_of(plan: Plan, pending: Sequence[Task], resources: Resources) -> Iterator[Path]:
    """The folders that a command writes into which trains these of a plan's runs, to that of its report."""
    runs, report = resources.runs, report_folder(resources.runs, plan.study, plan.setting)
    yield from (runs, runs / "queue", runs / "queue" / f"{plan.study}.workers", plan_folder(runs, plan.study))
    yield from (jobs_root(runs), report, report / "figures", resources.cache, resources.cache / "images")
    for task in pending:
        folder = RunFolder(jobs_root(runs), task.digest)
        yield from (folder.path, folder.samples)


def files_of(plan: Plan, pending: Sequence[Task], resources: Resources) -> Iterator[Path]:
    """The files that it opens and does not replace: locks, journals and logs."""
    queue = resources.runs / "queue"
    yield from (plans_lock(resources.runs), queue / "id.lock")
    for kind in ("journal", "lock"):
        # Versions before this one left links that were Optuna's locks, which are never opened.
        yield from (file for file in queue.glob(f"{plan.study}.*{kind}") if not file.name.endswith(".journal.lock"))
    for task in pending:
        folder = RunFolder(jobs_root(resources.runs), task.digest)
        yield from (folder.lock_file, folder.log_file)


def check_start(plan: Plan, pending: Sequence[Task], resources: Resources) -> None:
    """Raises InputError and NotADirectoryError where a command that trains these of a plan's runs cannot begin: a file
    is in the place of a folder, or something else in that of a file; the plan or the queue on record is damaged, or the
    two plans do not go together.

    Asked by the command and by its dry run alike. Writes nothing.
    """
    for folder in folders_of(plan, pending, resources):
        check_folder(folder)
    for file in files_of(plan, pending, resources):
        check_file(file)
    joined(resources.runs, plan)
    if pending:
        check_queue_file(journal_file(resources.runs, plan.study), plan.setting)


def check_queue() -> None:
    """Raises InputError where the queue's database cannot be reached now; a queue in files is always there."""
    if (url := queue_url()) is not None:
        from studies.runner.postgres import check_reachable  # Of the extra postgres.

        check_reachable(url)


def check_queue_file(journal: Path, name: str, values: Collection[str] = ()) -> None:
    """Raises InputError where the study `name` of a queue that is kept in this file cannot be gone on with. Writes
    nothing."""
    if queue_url() is None and journal.exists():
        # Loads optuna, which is needed only where there is a queue.
        from studies.runner.optuna_stores import check_journal

        check_journal(journal, name, values)


def notes(configs: Iterable[AnyConfig], data_path: Path | None) -> list[str]:
    """Cautions about runs that can be trained: files that are left out, numbers of few images."""
    lines: dict[str, None] = {}
    configs = list(configs)
    if data_path is not None and any(isinstance(config.data, Images) for config in configs):
        # Loads numpy, which is needed only for images.
        from core.data.prepare import left_out

        if line := left_out_words(left_out(data_path)):
            lines[f"{data_path}: {line}"] = None
    for config in configs:
        if isinstance(config, Config):
            metric, real = config.evaluation.metric, _images(config.data)[1]
            for line in cautions(metric, metric.samples, taken(metric, real)):
                lines[f"caution, {metric.kind}: {line}"] = None
    return list(lines)


def _of_config(config: AnyConfig, resources: Resources) -> str | None:
    try:
        _check_config(config, resources)
    except InputError as error:
        return str(error)
    return None


def _check_config(config: AnyConfig, resources: Resources) -> None:
    """Raises InputError for what a run would, in the order in which it would."""
    on_cpu = resources.device == "cpu"
    # Of GPUs older than Ampere the process that trains finds it out.
    if config.precision == "tf32" and on_cpu:
        raise InputError("precision is tf32, which CPUs do not have: set precision=float32, or --device cuda")
    if isinstance(config.inr.layer, Imported):
        check_unedited(config.inr.layer)
    # This machine's memory says nothing of a cluster's.
    check_memory(config, on_cpu=on_cpu, there=None if resources.cluster is None else ANYWHERE)
    _check_data(config, resources.data_path)
    for metric in config.evaluation.metrics:
        _check_metric(metric)
    check_counts(config, *_images(config.data))


def _images(data: Data) -> tuple[int, int]:
    """How many there are to train on, and to compare with."""
    match data:
        case Rooms(train=train, held_out=held_out):
            return train, held_out
        case Images(count=count):
            return count, count
        case _:
            assert_never(data)


def _check_data(config: AnyConfig, path: Path | None) -> None:
    data = config.data
    match data:
        case Rooms():
            pass
        case Images(count=count):
            if path is None:
                raise InputError(
                    f"its {count} images {data.fingerprint[:12]} are not given: --data names their folder or zip"
                )
            try:
                with path.open("rb") if path.is_file() else nullcontext(next(path.iterdir(), None)):
                    pass
                _check_set(config, data, path)
            except OSError as error:
                raise InputError(
                    f"its images in {path} cannot be read ({error.strerror or error}): correct that or --data"
                ) from None
        case _:
            assert_never(data)


def _check_set(config: AnyConfig, data: Images, path: Path) -> None:
    """Raises InputError where images are not what the run needs, as far as that is known without decoding them."""
    from core.data import prepare, prepared  # They load numpy, which is needed only for images.

    if prepared.is_prepared(path):
        prepared.check_serves(path, prepared.read_index(path), data, config.data.resolution)
    if config.evaluation.upsampling is not None:
        prepare.check_larger(path, config.evaluation.upsampling.factor * config.data.resolution)
    if isinstance(config, Config) and isinstance(config.fine, Pool):
        prepare.check_larger(path, config.fine.resolution)
    if config.evaluation.scales is not None:
        prepare.check_larger(path, config.evaluation.scales.fine)


def _check_metric(metric: Metric) -> None:
    match metric:
        case MeanAbsoluteError():
            pass
        case RoomsFrechet(extractor=extractor):
            shipped = extractor_sha256(metric.resolution)
            if extractor not in ("", shipped):
                raise InputError(
                    f"its extractor is {extractor[:12]}, this version ships {shipped[:12]}: set "
                    "evaluation.metric.extractor to it"
                )
        case CleanFid(mode=mode):
            if inception_file(mode) is None and not _answers(inception_host(mode)):
                place = inception_place(mode)
                raise InputError(
                    f"Inception weights {place.name} are not in {place.parent} and {inception_host(mode)} does not "
                    f"answer: put the file there, or set {INCEPTION_VARIABLE} to its path"
                )
        case ImageNetFrechet():
            imagenet_weights()
        case _:
            assert_never(metric)


@cache
def _answers(host: str) -> bool:
    """Whether `host`, or the proxy on the way to it, takes a connection."""
    from urllib.request import getproxies  # Loads http and ssl, which only missing weights need.

    proxy = getproxies().get("https")
    parts = urlsplit(proxy if proxy and "://" in proxy else f"//{proxy}" if proxy else f"//{host}:443")
    connected = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((parts.hostname or host, parts.port or 443), timeout=NETWORK_SECONDS).close()
        except OSError:
            return
        connected.set()

    # In a thread, since the look-up of a name has no time limit.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(NETWORK_SECONDS)
    return connected.is_set()
