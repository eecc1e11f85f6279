"""How long configs take that have no time yet: short jobs of each, under the load of the real study.

`calibrate` keeps as many processes as the study has workers (`studies.times.measure`) busy until every config has been
measured. `<runs>/calibration.json` keeps the times by config, machine and number of workers.
"""

from __future__ import annotations

import hashlib
import json
import math
import queue
import subprocess
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import mean, stdev
from typing import IO, TYPE_CHECKING, Any

from pydantic import Field

from core.config import AnyConfig, Node, canonical
from core.errors import InputError
from core.files import make_folder, write_whole
from core.locks import FileLock
from core.machine import Machine
from core.processes import python
from core.reading import Damaged, model_of
from studies.runner.environment import share_of_machine
from studies.runner.tasks import Task

if TYPE_CHECKING:
    from studies.runner.order import Order

MEASURER = "studies.times.measure"
"""The program that measures."""

ROUNDS = 2
"""Measurements of each config at least, so that there is a spread."""

END_SECONDS = 10.0
"""What a process that was asked to end is given to clean up."""

NO_COST = ("optimizers", "optimizer", "learning_rate", "iterations")
"""Nodes of a config whose numbers do not change what one iteration or evaluation computes."""


class StepTimes(Node):
    """Wall seconds of the parts of one job.

    `start_seconds` go by until the first iteration, once a process has its images and its metric. The last evaluation
    is timed apart, with what ends a job; recording belongs to the part that it follows.
    """

    seconds_per_iteration: float
    seconds_per_evaluation: float
    last_evaluation_seconds: float
    start_seconds: float

    def job_seconds(self, config: AnyConfig) -> float:
        """What a whole job of `config` takes."""
        evaluations = math.ceil(config.iterations / config.evaluation.every)
        return (
            self.start_seconds
            + config.iterations * self.seconds_per_iteration
            + (evaluations - 1) * self.seconds_per_evaluation
            + self.last_evaluation_seconds
        )


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
        calibrated = self.configs.get(config_key(config, machine, workers))
        return calibrated.times.job_seconds(config) if calibrated else None


def timed_alike(config: AnyConfig) -> dict[str, Any]:
    """The part of a config that its step times depend on: equal parts share their times.

    Left out are learning rates and Adam's constants, the decays of an average, the latents' seed, and how many
    iterations and evaluations there are. Everything else stays, scales of a first layer included: sines of large
    numbers take longer.
    """
    data = {key: value for key, value in canonical(config).items() if key not in NO_COST}
    data["evaluation"] = {k: v for k, v in data["evaluation"].items() if k not in ("every", "latents_seed")}
    if data.get("ema"):
        data["ema"] = {key: value for key, value in data["ema"].items() if key not in ("decay", "warmup")}
    return data


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
    first: dict[str, Task] = {}
    for task in tasks:
        if task.times_from in (None, "record"):
            first.setdefault(config_key(task.job.config, machine, workers), task)
    return list(first.values())


def calibrate(order: Order, machine: Machine, say: Callable[[str], None]) -> None:
    """Measures each job of `order` at least twice and adds the times to those of its runs folder.

    What diverges or fails at once is said and stays without a time. Raises InputError where the jobs cannot be trained
    here.
    """
    measured: defaultdict[str, list[StepTimes]] = defaultdict(list)
    unmeasured: set[str] = set()
    starts: list[float] = []
    names = {task.digest: task.variant for task in order.tasks}
    with _Processes(order) as processes:
        while any(len(measured[digest]) < ROUNDS and digest not in unmeasured for digest in names):
            match processes.next_line():
                case {"ready": float(seconds)}:
                    starts.append(seconds)
                case {"job": str(digest), "times": times}:
                    measured[digest].append(StepTimes.model_validate(times))
                    if len(measured[digest]) == ROUNDS:
                        done = sum(len(rounds) >= ROUNDS for rounds in measured.values())
                        say(f"measured  {names[digest]} ({done}/{len(names)})")
                case {"job": str(digest), "unmeasured": reason}:
                    if digest not in unmeasured:
                        say(f"not measured: {names[digest]}: {reason}")
                    unmeasured.add(digest)
    _keep(order, machine, measured, starts)


def _keep(order: Order, machine: Machine, measured: dict[str, list[StepTimes]], starts: Sequence[float]) -> None:
    where: dict[str, Any] = {"machine": machine, "workers": order.workers}
    configs = {
        config_key(task.job.config, **where): Calibrated(
            variant=f"{order.study} {task.variant}",
            **where,
            times=_mean(measured[task.digest]),
            n=len(measured[task.digest]),
            spread=_spread([times.seconds_per_iteration for times in measured[task.digest]]),
        )
        for task in order.tasks
        if measured[task.digest]
    }
    start = WorkerStart(**where, seconds=mean(starts), n=len(starts))
    file = calibration_file(order.runs)
    make_folder(order.runs)
    with FileLock(file.with_name(f".{file.name}.lock")):
        before = read_calibration(order.runs)
        whole = Calibration(
            configs={**before.configs, **configs}, starts={**before.starts, machine_key(**where): start}
        )
        write_whole(file, (whole.model_dump_json(indent=1) + "\n").encode())


def _mean(measured: Sequence[StepTimes]) -> StepTimes:
    return StepTimes(**{name: mean(getattr(times, name) for times in measured) for name in StepTimes.model_fields})


def _spread(values: Sequence[float]) -> float | None:
    return stdev(values) / mean(values) if len(values) > 1 else None


class _Processes:
    """As many processes as the study has workers; each measures its share of the jobs over and over."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._kept = ExitStack()

    def __enter__(self) -> _Processes:
        try:
            self._start()
        except BaseException:
            # The readers wait for processes that have started, and these for this one.
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        file = self._order.write(f"calibration-{uuid.uuid4().hex[:8]}")
        self._kept.callback(file.unlink, missing_ok=True)
        logs = [self._kept.enter_context(tempfile.TemporaryFile()) for _ in range(self._order.workers)]  # noqa: SIM115
        # The readers end with their processes, before the logs are closed.
        readers = self._kept.enter_context(ThreadPoolExecutor(self._order.workers))
        for index, log in enumerate(logs):
            began = time.monotonic()
            process = subprocess.Popen(
                python(MEASURER, str(file), str(index)),
                env=share_of_machine(index, threads=self._order.threads, gpus=self._order.gpus),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
            self._processes.append(process)
            readers.submit(self._follow, process, log, began)

    def _follow(self, process: subprocess.Popen[bytes], log: IO[bytes], began: float) -> None:
        """Passes on what a process says, and its last words once it has ended: the input is unusable, or it broke."""
        with process:
            assert process.stdout is not None
            for text in process.stdout:
                # A library may print a line of its own.
                with suppress(ValueError):
                    line = json.loads(text)
                    self._lines.put({"ready": time.monotonic() - began} if "ready" in line else line)
        log.seek(0)
        words = [text for text in log.read().decode(errors="replace").splitlines() if text.strip()]
        last = words[-1] if words else f"it ended with code {process.returncode} and printed nothing"
        self._lines.put({"ended": last if process.returncode == 2 else f"the calibration broke: {last}"})

    def next_line(self) -> dict[str, Any]:
        """What a process says next. Raises InputError where one has ended."""
        line = self._lines.get()
        if "ended" in line:
            raise InputError(line["ended"])
        return line

    def __exit__(self, *_: object) -> None:
        with self._kept:
            for process in self._processes:
                process.terminate()
            until = time.monotonic() + END_SECONDS
            for process in self._processes:
                try:
                    process.wait(timeout=max(0, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
