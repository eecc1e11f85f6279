"""The command that runs a study: `python -m studies.run STUDY`."""

from __future__ import annotations

import difflib
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypedDict, cast

import click
from filelock import FileLock
from rich.console import Console

from ablations.designs import DESIGNS, available, variant_name
from ablations.schema import DesignName, Profile, Study
from core.config import Images
from core.errors import InputError
from core.folder import RunFolder
from core.machine import Machine, cores, this_machine
from studies import catalogue
from studies.plan import Plan, jobs_root, make_plan, overridden, parse_override, record_plan
from studies.runner.budget import MOST_SEEDS, costing, fitting, parse_budget
from studies.runner.calibrate import calibrate, uncalibrated
from studies.runner.estimate import with_estimates
from studies.runner.launchers import LAUNCHERS, WorkersLost, check_launcher, launcher
from studies.runner.ledger import costs_kept
from studies.runner.preview import print_plan, print_studies
from studies.runner.progress import span
from studies.runner.tasks import State, Task, longest_first, state_of, tasks_of, to_train
from studies.runner.tracking import BackgroundSync, MlflowView, first_line

if TYPE_CHECKING:
    from studies.runner.worker import Order

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
PLAIN_WIDTH = 160
TRAINER = "core.job"
"""The module that offers `run_job`; workers import it, this process does not."""

EPILOG = """\b
Exit codes
  0    all runs have a result (a diverged run is a result)
  1    a run failed, or the report did
  2    bad input: nothing was trained
  130  interrupted: the same command goes on from there

\b
Examples
  python -m studies.run changes_overview
  python -m studies.run changes_overview --design all --seeds 5 --dry-run
  python -m studies.run changes_overview iterations=200 --only baseline --seeds 0,
"""


@click.command(epilog=EPILOG, context_settings={"max_content_width": 110})
@click.argument("study", required=False)
@click.argument("overrides", nargs=-1, metavar="[path=value ...]")
@click.option(
    "--profile",
    metavar="NAME",
    help="The scale: cpu, or lsun64 for the deck's own numbers. Default: cpu; lsun64 where there is an accelerator (an "
    "NVIDIA device file, or CUDA_VISIBLE_DEVICES) and --data is given.",
)
@click.option(
    "--design",
    "designs",
    metavar="NAMES",
    help=f"Comma list of {', '.join(DESIGNS)}; 'all' for all that the study has.",
)
@click.option("--seeds", metavar="N|LIST", help="A number of seeds, or a comma list: 3 is 0,1,2 and '7,' is only 7.")
@click.option(
    "--only",
    metavar="VARIANT",
    multiple=True,
    help="Only this variant of any design (a comma list, or given repeatedly).",
)
@click.option("--data", "data_path", type=click.Path(path_type=Path), help="Real images: a folder or a zip.")
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Workers at a time; default one per core, or per GPU.")
@click.option("--launcher", "launcher_name", default="local", show_default=True, help=f"{' or '.join(LAUNCHERS)}.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto: the CPU for the profile cpu, an accelerator for others where there is one.",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Where run folders, plans, the queue and reports are.",
)
@click.option("--retry-failed", is_flag=True, help="Train runs that failed before once more.")
@click.option("--dry-run", is_flag=True, help="Show what would be trained, and for how long.")
@click.option(
    "--calibrate",
    "calibrated",
    is_flag=True,
    help="Measure what a job of each config takes here where no finished run says so, then do as --dry-run.",
)
@click.option(
    "--budget",
    metavar="TIME",
    help="Train what fits this wall time, as in 30m or 2h: the claims' variants, at least 3 seeds, then whole designs, "
    f"then more seeds up to {MOST_SEEDS}. --design and --seeds limit the choice.",
)
@click.option("--list", "list_studies", is_flag=True, help="Show the studies.")
@click.option("--no-report", is_flag=True, help="Train only.")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def command(
    study: str | None,
    overrides: tuple[str, ...],
    profile: str | None,
    designs: str | None,
    seeds: str | None,
    only: tuple[str, ...],
    data_path: Path | None,
    jobs: int | None,
    launcher_name: str,
    device: str,
    runs: Path,
    retry_failed: bool,
    dry_run: bool,
    calibrated: bool,
    budget: str | None,
    list_studies: bool,
    no_report: bool,
    debug: bool,
) -> int:
    """Trains what STUDY asks and has not been trained, then renders its report.

    Overrides apply to every variant, as in iterations=200 or data.resolution=32. An interrupted study goes on with the
    same command, and so does one that is running elsewhere: both share the work.
    """
    try:
        console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
        if list_studies:
            print_studies([catalogue.study(name) for name in catalogue.NAMES], console)
            return DONE
        if study is None:
            raise InputError("name a study: --list shows them")
        declared = catalogue.study(study)
        check_launcher(launcher_name)
        accelerators = _accelerators()
        budget_seconds = None if budget is None else parse_budget(budget)
        if budget_seconds is not None:
            if only:
                raise InputError("--budget chooses what is trained: leave out --only, or --budget")
            designs, seeds = designs or "all", seeds or str(MOST_SEEDS)
        plan = _plan(declared, overrides, profile, designs, seeds, only, data_path, accelerators)
        place = _place(device, plan.profile, jobs, accelerators, launcher_name)
        where: _Where = {"machine": place.machine, "workers": place.workers}
        tasks = with_estimates(tasks_of(plan), plan, runs, **where)
        if calibrated:
            _calibrate(plan, tasks, place, console, runs.absolute(), data_path and data_path.absolute(), retry_failed)
            tasks = with_estimates(tasks_of(plan), plan, runs, **where)
        if budget_seconds is not None:
            cost = costing(tasks, runs, **where, retry_failed=retry_failed)
            choice = fitting(declared, plan, _designs(designs, declared), budget_seconds, cost)
            for line in choice.lines:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            plan = choice.plan
            tasks = with_estimates(tasks_of(plan), plan, runs, **where)
        if dry_run or calibrated:
            print_plan(
                declared, plan, tasks, runs=runs, data_path=data_path, retry_failed=retry_failed, console=console,
                **where,
            )  # fmt: skip
            return DONE
        return _run(
            declared, plan, tasks, place, console,
            runs=runs.absolute(),
            data_path=data_path.absolute() if data_path else None,
            launcher_name=launcher_name,
            retry_failed=retry_failed,
            report=not no_report,
        )  # fmt: skip
    except InputError as error:
        _fail(str(error), debug)
    except OSError as error:
        _fail(f"{type(error).__name__}: {error}", debug)


@dataclass(frozen=True)
class _Place:
    """Where workers run: so many, on these GPUs or on CPU threads."""

    workers: int
    device: Literal["cpu", "cuda"]
    gpus: tuple[str, ...]
    threads: int

    @property
    def machine(self) -> Machine:
        """What a time of these workers holds for."""
        return this_machine(self.device, self.threads)


def _accelerators() -> tuple[str, ...]:
    """The GPUs there are, as CUDA_VISIBLE_DEVICES names them. Asks the system: torch takes seconds to load."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name for part in visible.split(",") if (name := part.strip()) and name != "-1")
    found = (file.name.removeprefix("nvidia") for file in Path("/dev").glob("nvidia[0-9]*"))
    return tuple(sorted((name for name in found if name.isdigit()), key=int))


class _Where(TypedDict):
    machine: Machine
    workers: int


def _place(device: str, profile: str, jobs: int | None, accelerators: tuple[str, ...], launcher_name: str) -> _Place:
    if device == "cuda" and not accelerators:
        raise InputError("--device cuda: there is no NVIDIA device here (or CUDA_VISIBLE_DEVICES hides it)")
    alone = 1 if launcher_name == "inline" else None
    if accelerators and (device == "cuda" or (device == "auto" and profile != "cpu")):
        workers = alone or jobs or len(accelerators)
        return _Place(workers, "cuda", accelerators, max(1, cores() // workers))
    # One thread each: the order of sums, and so the numbers, must not depend on how many workers there are.
    return _Place(alone or jobs or cores(), "cpu", (), 1)


def _nearest(kind: str, name: str, names: Sequence[str]) -> InputError:
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(names)}"
    return InputError(f"there is no {kind} '{name}': {hint}")


def _plan(
    study: Study,
    overrides: Sequence[str],
    profile_name: str | None,
    designs: str | None,
    seeds: str | None,
    only: Sequence[str],
    data_path: Path | None,
    accelerators: tuple[str, ...],
) -> Plan:
    parsed: dict[str, Any] = {}
    for text in overrides:
        path, value = parse_override(text)
        if path in parsed:
            raise InputError(f"{path} is overridden twice")
        parsed[path] = value
    names = [profile.name for profile in study.profiles]
    wished = profile_name or ("lsun64" if accelerators and data_path and "lsun64" in names else "cpu")
    if wished not in names:
        raise _nearest("profile", wished, names)
    profile = study.profile(wished)
    plan = make_plan(
        study,
        profile,
        designs=available(study) if only and designs is None else _designs(designs, study),
        seeds=_seeds(seeds, profile.seeds),
        overrides=parsed,
        data=_images(study, profile, parsed, data_path) if data_path else None,
        data_name=data_path.resolve().name if data_path else None,
    )
    return _restricted(study, plan, [name for part in only for name in part.split(",") if name])


def _designs(text: str | None, study: Study) -> list[DesignName]:
    if text is None:
        return list(study.designs)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return available(study)
    for name in names:
        if name not in DESIGNS:
            raise _nearest("design", name, [*DESIGNS, "all"])
        if name not in available(study):
            raise InputError(f"--design {name}: {study.name} has {', '.join(available(study))}")
    if not names:
        raise InputError("--design names no design")
    return cast(list[DesignName], list(dict.fromkeys(names)))


def _seeds(text: str | None, default: int) -> list[int]:
    if text is None:
        return list(range(default))
    parts = [part.strip() for part in text.split(",")]
    numbers = [part for part in parts if part]
    if not numbers or not all(part.isascii() and part.isdigit() for part in numbers):
        raise InputError(f"--seeds {text}: give a number of seeds, or a comma list such as 0,1,2")
    if len(parts) > 1:
        return sorted({int(part) for part in numbers})
    if int(text) < 1:
        raise InputError("--seeds 0: a study needs at least one seed ('0,' is the seed 0)")
    return list(range(int(text)))


def _images(study: Study, profile: Profile, overrides: dict[str, Any], path: Path) -> Images:
    """The images at `path`, at the resolution that the profile and the overrides give."""
    if not path.exists():
        raise InputError(f"--data {path}: there is no such file or folder")
    from core.data.images import fingerprint

    sha256, count = fingerprint(path)
    own = {"data.resolution": overrides["data.resolution"]} if "data.resolution" in overrides else {}
    resolution = overridden(profile.scaled(study.base), own).data.resolution
    return Images(resolution=resolution, count=count, fingerprint=sha256)


def _restricted(study: Study, plan: Plan, only: Sequence[str]) -> Plan:
    if not only:
        return plan
    kept = set()
    for name in only:
        variant = plan.variant(name)
        if variant is None:
            for design in available(study):
                if name in (variant_name(study, subset) for subset in DESIGNS[design](study)):
                    raise InputError(f"the variant '{name}' is one of another design: add --design {design}")
            raise _nearest("variant", name, [v for planned in plan.variants for v in (planned.name, *planned.aliases)])
        kept.add(variant.name)
    return Plan(**{**dict(plan), "variants": tuple(v for v in plan.variants if v.name in kept)})


class _Interrupts:
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
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _run(
    study: Study,
    plan: Plan,
    tasks: Sequence[Task],
    place: _Place,
    console: Console,
    *,
    runs: Path,
    data_path: Path | None,
    launcher_name: str,
    retry_failed: bool,
    report: bool,
) -> int:
    (runs / "plans").mkdir(parents=True, exist_ok=True)
    with FileLock(runs / "plans" / ".lock"):
        whole = record_plan(runs, plan)
    view = MlflowView(study, whole, runs)
    pending = [task for task in tasks if to_train(_state(task, runs), retry_failed)]
    interrupts = _Interrupts()
    lost: str | None = None
    try:
        with interrupts.installed():
            try:
                if pending:
                    started = time.monotonic()
                    with costs_kept(
                        whole, pending, runs, machine=place.machine, workers=place.workers, interrupted=interrupts,
                        say=lambda line: console.print(line, highlight=False),
                    ):  # fmt: skip
                        _train(pending, whole, view, place, console, interrupts, runs, data_path, launcher_name)
                    _print_share(pending, runs, min(place.workers, len(pending)), time.monotonic() - started, console)
                else:
                    console.print("nothing to train: every run has its result", highlight=False)
            except WorkersLost as error:
                lost = str(error)
            finally:
                _show(view, console)
    except KeyboardInterrupt:
        interrupts.requested = True
    if interrupts.requested:
        console.print("interrupted: the same command goes on from there", highlight=False)
        return INTERRUPTED
    states = Counter(_state(task, runs) for task in tasks)
    if lost:
        print(f"error: {lost}", file=sys.stderr)
    if states["failed"]:
        hint = "" if retry_failed else "; --retry-failed tries them once more"
        console.print(f"{states['failed']} of {len(tasks)} runs failed{hint}", highlight=False, soft_wrap=True)
    reported = _report(study, whole, runs, console) if report else True
    return DONE if reported and states["finished"] + states["diverged"] == len(tasks) else FAILED


def _state(task: Task, runs: Path) -> State:
    return state_of(RunFolder(jobs_root(runs), task.digest), ())


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
    place: _Place,
    console: Console,
    interrupts: _Interrupts,
    runs: Path,
    data_path: Path | None,
    launcher_name: str,
) -> None:
    from studies.runner.progress import StudyProgress
    from studies.runner.worker import Order

    order = Order(
        study=plan.study,
        setting=plan.setting,
        runs=runs,
        tasks=tuple(longest_first(pending)),
        workers=min(place.workers, len(pending)),
        device=place.device,
        gpus=place.gpus,
        threads=place.threads,
        data_path=data_path,
        cache=runs / "cache",
        trainer=TRAINER,
    )
    _prepare(order, console)
    queue = order.queue()
    queue.enqueue(order.tasks)
    everything = {task.digest for task in tasks_of(plan)}
    with ExitStack() as stack:
        stack.enter_context(BackgroundSync(view, lambda: set(queue.running(everything))))
        progress = stack.enter_context(
            StudyProgress(
                order.tasks,
                runs=runs,
                workers=order.workers,
                running=lambda: queue.running(order.digests),
                console=console,
            )
        )

        def tick() -> None:
            if interrupts.requested:
                progress.stopping()
            progress.look()

        launcher(launcher_name).run(order, stop=interrupts, tick=tick, say=progress.say)


def _calibrate(
    plan: Plan,
    tasks: Sequence[Task],
    place: _Place,
    console: Console,
    runs: Path,
    data_path: Path | None,
    retry_failed: bool,
) -> None:
    """Measures what the jobs that are to be trained take, each config once, where finished runs do not say it."""
    pending = [task for task in tasks if to_train(_state(task, runs), retry_failed)]
    unknown = uncalibrated(pending, place.machine, place.workers)
    if not unknown:
        console.print("nothing to calibrate: every config has its time on this machine", highlight=False)
        return
    from studies.runner.worker import Order

    order = Order(
        study=plan.study,
        setting=plan.setting,
        runs=runs,
        tasks=tuple(unknown),
        workers=place.workers,
        device=place.device,
        gpus=place.gpus,
        threads=place.threads,
        data_path=data_path,
        cache=runs / "cache",
    )
    _prepare(order, console)
    calibrate(order, place.machine, lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))


def _prepare(order: Order, console: Console) -> None:
    """Renders or decodes the images before any worker needs them, with all cores and its progress shown."""
    from rich.progress import Progress

    from core.data.prepare import prepare

    for data in {task.job.config.data for task in order.tasks}:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task(f"preparing {data.kind}", total=None)
            prepare(
                data,
                path=order.data_path,
                cache=order.cache,
                progress=lambda done, total: progress.update(bar, completed=done, total=total),  # noqa: B023
                workers=os.cpu_count() or 1,
            )


def _show(view: MlflowView, console: Console) -> None:
    """Brings the MLflow view up to date: no run of it may stay RUNNING after the command."""
    try:
        view.sync()
    except Exception as error:
        print(
            f"MLflow view not written ({first_line(error)}): python -m studies.sync {view.plan.study} rebuilds it",
            file=sys.stderr,
        )
        return
    if (link := view.link) is not None:
        how = f"`{view.command}`, then " if view.command else ""
        console.print(f"MLflow: {how}{link}", markup=False, highlight=False, soft_wrap=True)


def _report(study: Study, plan: Plan, runs: Path, console: Console) -> bool:
    """Renders the report; False, and a line that says why, where that did not work."""
    try:
        from reports.render import render

        rendered = render(study.name, runs=runs, setting=plan.setting, out=runs / "reports" / study.name / plan.setting)
    except Exception as error:
        print(f"report not rendered: {first_line(error)}", file=sys.stderr)
        return False
    folder = rendered if rendered.is_dir() else rendered.parent
    for name in ("report.md", "report.pdf"):
        if (folder / name).exists():
            console.print(f"report: {folder / name}", markup=False, highlight=False, soft_wrap=True)
    return True


def _fail(message: str, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(BAD_INPUT)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command with its exit codes; whatever is wrong with the arguments ends in one line."""
    try:
        code = command.main(args=arguments, prog_name="python -m studies.run", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), debug=False)
    except (click.Abort, KeyboardInterrupt):
        print("interrupted: the same command goes on from there", file=sys.stderr)
        sys.exit(INTERRUPTED)
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
