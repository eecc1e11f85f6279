"""Runs one plan: trains what has no result and keeps the MLflow view. The caller renders the report."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import Progress

from ablations.schema import Study
from core.command_line import DONE, FAILED, GOES_ON, INTERRUPTED, say_error
from core.config import AnyConfig, Config, Data, Pool
from core.files import check_writable, make_folder
from core.folder import RunFolder, State
from core.locks import FileLock
from core.machine import cores
from core.words import typed, visible
from studies.durations import span
from studies.mlflow_view.sync import BackgroundSync, MlflowView
from studies.plan import Plan, check_received, jobs_root, plans_lock, record_plan
from studies.planning import metric_of_images
from studies.run_state import to_train
from studies.runner.launchers import launch
from studies.runner.order import Order, WorkersLost
from studies.runner.outages import Unreachable, error_line, waiting_until
from studies.runner.preflight import check_queue, check_start, check_trainable, files_of, folders_of, notes
from studies.runner.progress import StudyProgress
from studies.runner.resources import Resources
from studies.runner.searches import SearchGaveUp, searched
from studies.runner.tasks import Task, longest_first, tasks_of
from studies.times.calibration import calibrate, uncalibrated
from studies.times.costs import costs_kept
from studies.times.estimate import predicted


class Interrupts:
    """Ctrl-C or SIGTERM asks to stop; the second one raises KeyboardInterrupt wherever the command is."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self) -> bool:
        return self.requested

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handles signals for as long as jobs run; afterwards they do what they did before."""
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with waiting_until(self):
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def with_choices(study: Study, plan: Plan, resources: Resources, console: Console, trials: int | None) -> Plan | int:
    """The plan with what the study's searches chose, or the exit code."""
    interrupts = Interrupts()
    configs = [variant.config for variant in plan.variants]

    def prepare() -> None:
        check_queue()
        _prepare(configs, resources, console)

    try:
        with interrupts.installed():
            chosen = searched(
                study,
                plan,
                resources,
                trials=trials,
                stop=interrupts,
                prepare=prepare,
                console=console,
            )
        if chosen is not None:
            return chosen
    except (SearchGaveUp, WorkersLost, Unreachable) as error:
        if not interrupts.requested:
            say_error(str(error))
            return FAILED
    except KeyboardInterrupt:
        pass
    console.print(GOES_ON, highlight=False)
    return INTERRUPTED


@dataclass(frozen=True)
class Ended:
    """How a plan's run ended: the command's exit code, the plan as recorded, and the view that shows it."""

    code: int
    plan: Plan
    view: MlflowView


def run_plan(
    study: Study,
    plan: Plan,
    tasks: Sequence[Task],
    resources: Resources,
    console: Console,
    *,
    retry_failed: bool,
) -> Ended:
    """Records the plan, trains what of these tasks has no result, and shows it in MLflow.

    Raises InputError, before anything is recorded, for runs that cannot be trained here.
    """
    runs = resources.runs
    pending = [task for task in tasks if to_train(_state(task, runs), retry_failed)]
    check_trainable(pending, resources)
    check_start(plan, pending, resources)
    # Another user of the folder may have made it.
    places = (*folders_of(plan, pending, resources), *files_of(plan, pending, resources))
    check_writable(*places, runs / "plans", runs / "mlflow-synced.lock")
    measured = metric_of_images(study, plan) if pending else []
    for line in [*measured, *notes((task.job.config for task in pending), resources.data_path)]:
        console.print(visible(line), markup=False, highlight=False, soft_wrap=True)
    make_folder(runs / "plans")
    check_received(runs)
    with FileLock(plans_lock(runs)):
        whole = record_plan(runs, plan)
    check_received(runs, whole)
    view = MlflowView(study, whole, runs)
    interrupts = Interrupts()
    trouble: str | None = None
    try:
        with interrupts.installed():
            try:
                if pending:
                    prediction = predicted(pending, runs, machine=resources.machine, workers=resources.workers)
                    started = time.monotonic()
                    with costs_kept(
                        whole,
                        [task.digest for task in pending],
                        runs,
                        machine=resources.machine,
                        workers=resources.workers,
                        predicted=prediction.of_all,
                        interrupted=interrupts,
                        say=lambda line: console.print(visible(line)),
                        steady=resources.most_workers is None,
                    ):
                        _train(pending, whole, view, resources, console, interrupts)
                    if resources.most_workers is None:
                        workers = min(resources.workers, len(pending))
                        _print_share(pending, runs, workers, time.monotonic() - started, console)
                else:
                    console.print("nothing to train: every run has its result", highlight=False)
            except (WorkersLost, Unreachable) as error:
                trouble = str(error)
            finally:
                _show(view, console)
    except KeyboardInterrupt:
        interrupts.requested = True
    if interrupts.requested:
        console.print(GOES_ON, highlight=False)
        return Ended(INTERRUPTED, whole, view)
    states = Counter(_state(task, runs) for task in tasks)
    if trouble:
        say_error(trouble)
    if states["failed"]:
        hint = "" if retry_failed else "; --retry-failed tries them once more"
        console.print(f"{states['failed']} of {len(tasks)} runs failed{hint}", highlight=False, soft_wrap=True)
    if without := states["new"] + states["interrupted"]:
        line = f"{without} of {len(tasks)} runs have no result yet: the same command goes on with them"
        console.print(visible(line), soft_wrap=True)
    return Ended(DONE if states["finished"] + states["diverged"] == len(tasks) else FAILED, whole, view)


def _state(task: Task, runs: Path) -> State:
    return RunFolder(jobs_root(runs), task.digest).state(())


def _print_share(tasks: Sequence[Task], runs: Path, workers: int, seconds: float, console: Console) -> None:
    """How much of the workers' time was training and evaluation; the rest is start-up, recording and the idle end."""
    outcomes = [RunFolder(jobs_root(runs), task.digest).outcome() for task in tasks]
    ended = [outcome for outcome in outcomes if outcome is not None]
    # Runs that went on from a checkpoint carry seconds of an earlier command.
    if len(ended) == len(tasks) and all(outcome.attempts == 1 and not outcome.resumed for outcome in ended):
        share = sum(outcome.seconds + outcome.evaluation_seconds for outcome in ended) / (workers * seconds)
        console.print(
            f"runs: {len(ended)}, workers: {workers}, {span(seconds)}, {share:.1%} of it training and evaluation",
            highlight=False,
        )


def _train(
    pending: Sequence[Task],
    plan: Plan,
    view: MlflowView,
    resources: Resources,
    console: Console,
    interrupts: Interrupts,
) -> None:
    check_queue()
    order = Order.of_tasks(plan, resources, longest_first(pending), min(resources.workers, len(pending)))
    _prepare([task.job.config for task in order.tasks], resources, console)
    queue = order.queue()
    queue.enqueue(order.tasks)
    everything = {task.digest for task in tasks_of(plan)}
    running: set[str] = set()

    def in_training() -> set[str]:
        """As last known while the queue is out of reach: what is shown of the jobs goes on."""
        nonlocal running
        with suppress(Unreachable), queue.at_once():
            running = set(queue.running(everything))
        return running

    with ExitStack() as stack:
        stack.enter_context(BackgroundSync(view, in_training))
        progress = stack.enter_context(
            StudyProgress(
                order.tasks,
                runs=resources.runs,
                workers=order.workers,
                running=lambda: in_training().intersection(order.digests),
                console=console,
            )
        )

        def tick() -> None:
            if interrupts.requested and not resources.detached:
                progress.stopping()
            progress.look()

        launch(order, stop=interrupts, tick=tick, say=progress.say)


def calibrate_plan(
    plan: Plan, tasks: Sequence[Task], resources: Resources, console: Console, *, retry_failed: bool
) -> None:
    """Measures what the jobs that are to be trained take, each config once, where finished runs do not say it."""
    pending = [task for task in tasks if to_train(_state(task, resources.runs), retry_failed)]
    unknown = uncalibrated(pending, resources.machine, resources.workers)
    if not unknown:
        console.print("nothing to calibrate: every config has its time on this machine", highlight=False)
        return
    order = Order.of_tasks(plan, resources, unknown, resources.workers)
    _prepare([task.job.config for task in order.tasks], resources, console)
    calibrate(order, resources.machine, lambda line: console.print(visible(line), soft_wrap=True))


def _prepare(configs: Collection[AnyConfig], resources: Resources, console: Console) -> None:
    """Renders or decodes the images before any worker needs them, with all cores and its progress shown."""
    # Loads numpy, which a command with nothing to train does without.
    from core.data.prepare import prepare, prepare_pool, prepare_real

    made: list[tuple[Data, Callable[..., object]]] = [(data, prepare) for data in {c.data for c in configs}]
    larger = {
        (c.data, c.evaluation.upsampling.factor * c.data.resolution)
        for c in configs
        if c.evaluation.upsampling is not None
    } | {(c.data, c.evaluation.scales.fine) for c in configs if c.evaluation.scales is not None}
    made += [(data, partial(prepare_real, resolution=resolution)) for data, resolution in larger]
    gans = [c for c in configs if isinstance(c, Config)]
    pools = {(c.data, c.fine) for c in gans if isinstance(c.fine, Pool)} | {c.paired for c in gans if c.paired}
    made += [(data, partial(prepare_pool, pool=pool)) for data, pool in pools]
    for data, make in made:
        with Progress(console=console, transient=True, disable=not console.is_interactive) as progress:
            bar = progress.add_task(f"preparing {data.kind}", total=None)
            make(
                data,
                path=resources.data_path,
                cache=resources.cache,
                progress=lambda done, total: progress.update(bar, completed=done, total=total),  # noqa: B023
                workers=cores(),
            )


def _show(view: MlflowView, console: Console) -> None:
    """Brings the MLflow view up to date: no run of it may stay RUNNING after the command."""
    try:
        view.sync()
    except Exception as error:
        say_error(
            f"MLflow view not written ({error_line(error)}): "
            f"{typed('python', '-m', 'studies.sync', view.plan.asked_as)} rebuilds it",
            bare=True,
        )
        return
    for damaged in view.damaged:
        say_error(f"not shown in MLflow: {damaged}", bare=True)
    if view.how is not None:
        console.print(visible(f"MLflow: {view.how}"), soft_wrap=True)
