"""Measures how long jobs take that nobody has timed: short jobs of each config, under the load of the real study.

`calibrate` starts as many processes as the study has workers and keeps all of them busy until every config has been
measured. `<runs>/calibration.json` keeps the times by config, machine and number of workers.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import IO, Any

import click
from pydantic import Field

from core.calibrate import StepTimes, Unmeasured, timed_alike
from core.config import AnyConfig, Node
from core.errors import InputError
from core.files import make_folder, write_whole
from core.locks import FileLock
from core.machine import Machine
from core.processes import python
from core.reading import Damaged, model_of
from core.words import first_words
from studies.click_life import Command, Count
from studies.runner.environment import share_of_machine
from studies.runner.order import AGAIN, Order
from studies.runner.tasks import Task
from studies.runner.worker import stop_with_parent

MEASURER = "core.calibrate"
"""The module that offers `load` and `measure`; the measuring processes import it, this one uses its times only."""


ROUNDS = 2
"""Measurements of each config at least, so that there is a spread."""

END_SECONDS = 10.0
"""What a process that was asked to end is given to clean up."""


class Calibrated(Node):
    """Times of one config, the mean of `n` measurements; `spread` is the standard deviation of the seconds per
    iteration over their mean, None for one measurement."""

    variant: str
    machine: Machine
    workers: int
    times: StepTimes
    n: int
    spread: float | None


class WorkerStart(Node):
    """Seconds from the start of a worker's process to its first job, the mean of `n` processes."""

    machine: Machine
    workers: int
    seconds: float
    n: int


class Calibration(Node):
    """All that was measured, by `config_key` and by `machine_key`."""

    configs: dict[str, Calibrated] = Field(default_factory=dict)
    starts: dict[str, WorkerStart] = Field(default_factory=dict)

    def seconds(self, config: AnyConfig, machine: Machine, workers: int) -> float | None:
        """What a job of `config` takes, None where no such config was measured on such a machine."""
        found = self.configs.get(config_key(config, machine, workers))
        return found.times.job_seconds(config) if found else None


def config_key(config: AnyConfig, machine: Machine, workers: int) -> str:
    """Equal for configs whose steps take the same time there."""
    return _digest([timed_alike(config), machine.model_dump(mode="json"), workers])


def machine_key(machine: Machine, workers: int) -> str:
    """Of a machine with so many workers."""
    return _digest([machine.model_dump(mode="json"), workers])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def calibration_file(runs: Path) -> Path:
    """Where the times of a runs folder are kept."""
    return runs / "calibration.json"


def read_calibration(runs: Path) -> Calibration:
    """What has been measured; nothing where the file is absent or of another version: it is only measured again."""
    try:
        return model_of(calibration_file(runs), Calibration, "remove it")
    except (OSError, Damaged):
        return Calibration()


def uncalibrated(tasks: Sequence[Task], machine: Machine, workers: int) -> list[Task]:
    """One task of each config that was never timed on such a machine, configs that share their times counted once."""
    found: dict[str, Task] = {}
    for task in tasks:
        if task.times_from in (None, "record"):
            found.setdefault(config_key(task.job.config, machine, workers), task)
    return list(found.values())


def calibrate(order: Order, machine: Machine, say: Callable[[str], None]) -> None:
    """Measures each job of `order` at least twice and adds the times to those of its runs folder.

    What diverges or fails at once is said and stays without a time. Raises InputError where the jobs cannot be trained
    here.
    """
    found: defaultdict[str, list[StepTimes]] = defaultdict(list)
    lost: set[str] = set()
    starts: list[float] = []
    names = {task.digest: task.variant for task in order.tasks}
    with _Measuring(order) as processes:
        while any(len(found[digest]) < ROUNDS and digest not in lost for digest in names):
            line = processes.next_line()
            match line:
                case {"ready": float(seconds)}:
                    starts.append(seconds)
                case {"job": str(digest), "times": times}:
                    found[digest].append(StepTimes.model_validate(times))
                    if len(found[digest]) == ROUNDS:
                        done = sum(len(measured) >= ROUNDS for measured in found.values())
                        say(f"measured  {names[digest]} ({done}/{len(names)})")
                case {"job": str(digest), "unmeasured": reason}:
                    if digest not in lost:
                        say(f"not measured: {names[digest]}: {reason}")
                    lost.add(digest)
    _keep(order, machine, found, starts)


def _keep(order: Order, machine: Machine, found: dict[str, list[StepTimes]], starts: Sequence[float]) -> None:
    file = calibration_file(order.runs)
    make_folder(order.runs)
    with FileLock(file.with_name(f".{file.name}.lock")):
        before = read_calibration(order.runs)
        configs = {
            config_key(task.job.config, machine, order.workers): Calibrated(
                variant=f"{order.study} {task.variant}",
                machine=machine,
                workers=order.workers,
                times=_mean(found[task.digest]),
                n=len(found[task.digest]),
                spread=_spread([times.seconds_per_iteration for times in found[task.digest]]),
            )
            for task in order.tasks
            if found[task.digest]
        }
        start = WorkerStart(machine=machine, workers=order.workers, seconds=mean(starts), n=len(starts))
        whole = Calibration(
            configs={**before.configs, **configs},
            starts={**before.starts, machine_key(machine, order.workers): start},
        )
        write_whole(file, (whole.model_dump_json(indent=1) + "\n").encode())


def _mean(measured: Sequence[StepTimes]) -> StepTimes:
    return StepTimes(**{name: mean(getattr(times, name) for times in measured) for name in StepTimes.model_fields})


def _spread(values: Sequence[float]) -> float | None:
    return stdev(values) / mean(values) if len(values) > 1 else None


class _Measuring:
    """As many processes as the study has workers; each measures its share of the jobs over and over."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._readers: list[threading.Thread] = []
        self._logs: list[IO[bytes]] = []
        self._file = Path()

    def __enter__(self) -> _Measuring:
        self._file = self._order.write(f"calibration-{uuid.uuid4().hex[:8]}")
        for index in range(self._order.workers):
            log = tempfile.TemporaryFile()
            began = time.monotonic()
            process = subprocess.Popen(
                python("studies.runner.calibrate", str(self._file), str(index), MEASURER),
                env=share_of_machine(index, threads=self._order.threads, gpus=self._order.gpus),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
            reader = threading.Thread(target=self._follow, args=(index, process, began), daemon=True)
            reader.start()
            self._logs.append(log)
            self._processes.append(process)
            self._readers.append(reader)
        return self

    def _follow(self, index: int, process: subprocess.Popen[bytes], began: float) -> None:
        assert process.stdout is not None
        for text in process.stdout:
            line = json.loads(text)
            self._lines.put({"ready": time.monotonic() - began} if "ready" in line else line)
        self._lines.put({"ended": index})

    def next_line(self) -> dict[str, Any]:
        """What a process says next. Raises InputError where one has ended: it found the input unusable, or broke."""
        line = self._lines.get()
        if "ended" not in line:
            return line
        process, log = self._processes[line["ended"]], self._logs[line["ended"]]
        code = process.wait()
        log.seek(0)
        words = [text for text in log.read().decode(errors="replace").splitlines() if text.strip()]
        last = words[-1] if words else f"it ended with code {code} and printed nothing"
        raise InputError(last if code == 2 else f"the calibration broke: {last}")

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process, reader, log in zip(self._processes, self._readers, self._logs, strict=True):
            try:
                process.wait(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            reader.join()
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            process.stdout.close()
            log.close()
        self._file.unlink(missing_ok=True)


@click.command(cls=Command)
@click.argument("order_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("index", type=Count(0))
@click.argument("measurer")
def main(order_file: Path, index: int, measurer: str) -> None:
    """Measures every job of ORDER_FILE that is the share of process INDEX until it is ended, a JSON line each time."""
    stopping = threading.Event()
    threading.Thread(target=stop_with_parent, args=(stopping,), daemon=True).start()
    # An exception, so that the run folder of the short job is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    order = model_of(order_file, Order, AGAIN)
    order.make_findable()
    module = importlib.import_module(measurer)
    tasks = order.tasks[index :: order.workers] or (order.tasks[index % len(order.tasks)],)
    where = {
        "device": order.device,
        "data_path": order.data_path,
        "cache": order.cache,
        "threads": order.threads,
    }

    def say(**line: object) -> None:
        print(json.dumps(line), flush=True)

    try:
        module.load(tasks[0].job, **where)
        say(ready=True)
        while not stopping.is_set():
            for task in tasks:
                try:
                    times: StepTimes = module.measure(task.job, **where)
                except Unmeasured as error:
                    say(job=task.digest, unmeasured=str(error))
                else:
                    say(job=task.digest, times=times.model_dump())
    except InputError as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(2)
    except Exception as error:
        print(first_words(error), file=sys.stderr, flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
