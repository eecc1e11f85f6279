"""The command that runs a study: `python -m studies.run STUDY`."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

import click
from rich.console import Console

from ablations.designs import DESIGNS, available, variant_name
from ablations.protocols import PROTOCOLS
from ablations.schema import DesignName, Profile, Study
from core.config import Images
from core.errors import InputError
from core.metrics.identity import INCEPTION_VARIABLE
from studies import catalogue
from studies.plan import Plan, make_plan, nearest, overridden, parse_override
from studies.runner.budget import MOST_SEEDS, costing, fitting, parse_budget
from studies.runner.environment import forbid_telemetry
from studies.runner.estimate import with_estimates
from studies.runner.execute import BAD_INPUT, DONE, GOES_ON, INTERRUPTED, calibrate_plan, run_plan, with_choices
from studies.runner.heartbeat import HANG_SECONDS
from studies.runner.launchers import LAUNCHERS, find_launcher
from studies.runner.launchers.declared import FILE_NAME
from studies.runner.place import PerGpu, accelerators, place_of
from studies.runner.preview import print_plan, print_studies, print_submission
from studies.runner.retune import retuned_plan, tuning_plan
from studies.runner.sharing import BUDGET
from studies.runner.stores import DEFAULT_TRACKING, QUEUE_VARIABLE, TRACKING_VARIABLE, redacted, use_stores
from studies.runner.sweep import check_searches, print_searches
from studies.runner.tasks import Task, tasks_of

PLAIN_WIDTH = 160
TRAINER = "core.job"
"""The module that offers `run_job`; workers import it, this process does not."""

EPILOG = """\b
Exit codes
  0    all runs have a result (a diverged run is a result)
  1    a run failed, or the report did
  2    bad input, or a full disk: what was trained stays, the same command goes on from there
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
    "--protocol",
    metavar="NAME",
    help=f"Measure every variant by this protocol, not by the profile's metric: {', '.join(PROTOCOLS)}.",
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
@click.option(
    "--data",
    "data_path",
    type=click.Path(path_type=Path),
    help="Real images: a set that `python -m core.data prepare` made, or a folder, a zip or an LMDB.",
)
@click.option(
    "--inception",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Inception's weights, a file, where they cannot be fetched; the variable {INCEPTION_VARIABLE} does the same.",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Workers at a time; default one per core, or per GPU.")
@click.option(
    "--per-gpu",
    metavar="N|auto",
    help="Workers that share each GPU, one by default. auto: one until it has measured what it takes, then as many as "
    f"fit into {BUDGET:.0%} of the memory, at most one per core and --jobs in all. The numbers are the same.",
)
@click.option(
    "--launcher",
    "launcher_name",
    default="local",
    show_default=True,
    metavar="NAME",
    help=f"{', '.join(LAUNCHERS)}, or a cluster of yours that {FILE_NAME} declares (docs/clusters.md).",
)
@click.option(
    "--launcher-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Where your clusters are declared; default {FILE_NAME} here, else in your configuration folder.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto: the CPU for the profile cpu, an accelerator for others where there is one.",
)
@click.option(
    "--evaluation",
    type=click.Choice(["inline", "beside"]),
    default="inline",
    show_default=True,
    help="beside: a second process per worker evaluates while it trains on, for GPUs and slow metrics; the numbers are "
    "the same. Where the workers keep all cores busy it gains nothing. Expected times are those of inline.",
)
@click.option(
    "--hang-minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=HANG_SECONDS / 60,
    show_default=True,
    help="A worker whose loop stands still for so long, or five times as long as it ever did before, is ended and its "
    "job resumed. Loading and the first evaluation have to be shorter.",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Where run folders, plans, the queue and reports are.",
)
@click.option(
    "--queue",
    metavar="URL",
    help="A PostgreSQL database for the queue, without its password, for workers on many machines; default: "
    f"{QUEUE_VARIABLE}, or files below --runs.",
)
@click.option(
    "--tracking",
    metavar="URL",
    help=f"An MLflow server or a database for the view; default: {TRACKING_VARIABLE}, or {DEFAULT_TRACKING}.",
)
@click.option(
    "--retune",
    type=click.IntRange(min=2),
    metavar="N",
    help="Give every variant the best of the same N pairs of learning rates, beside the study as published.",
)
@click.option("--trials", type=click.IntRange(min=1), help="Trials of each search, where the study has searches.")
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
    protocol: str | None,
    designs: str | None,
    seeds: str | None,
    only: tuple[str, ...],
    data_path: Path | None,
    inception: Path | None,
    jobs: int | None,
    per_gpu: str | None,
    launcher_name: str,
    launcher_file: Path | None,
    device: str,
    evaluation: Literal["inline", "beside"],
    hang_minutes: float,
    runs: Path,
    queue: str | None,
    tracking: str | None,
    retune: int | None,
    trials: int | None,
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
        forbid_telemetry()
        console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
        if list_studies:
            print_studies([catalogue.study(name) for name in catalogue.NAMES], console)
            return DONE
        if study is None:
            raise InputError("name a study: --list shows them")
        declared = catalogue.study(study)
        use_stores(queue=queue, tracking=tracking)
        cluster = find_launcher(launcher_name, launcher_file)
        if inception is not None:
            # Workers inherit it.
            os.environ[INCEPTION_VARIABLE] = str(inception.absolute())
        gpus = accelerators() if cluster is None else ("0",) if cluster.accelerated else ()
        if cluster is not None and calibrated:
            raise InputError(f"--calibrate measures this machine, not {launcher_name}: leave out one of them")
        budget_seconds = None if budget is None else parse_budget(budget)
        if retune is not None and declared.searches:
            raise InputError(f"--retune: {declared.name} searches rates itself, and with --trials for longer")
        if budget_seconds is not None:
            if declared.searches or retune is not None:
                what = "--retune" if retune is not None else f"the searches of {declared.name}"
                raise InputError(f"--budget counts runs of designs, not those of {what}: leave it out")
            if only:
                raise InputError("--budget chooses what is trained: leave out --only, or --budget")
            designs, seeds = designs or "all", seeds or str(MOST_SEEDS)
        plan = _plan(declared, overrides, profile, protocol, designs, seeds, only, data_path, gpus)
        place = place_of(
            device,
            plan.profile,
            jobs,
            gpus=gpus,
            runs=runs,
            data_path=data_path,
            launcher=launcher_name,
            trainer=TRAINER,
            evaluation=evaluation,
            hang_seconds=60 * hang_minutes,
            cluster=cluster,
            per_gpu=_per_gpu(per_gpu),
        )
        searches = bool(declared.searches) and not only
        if searches or trials is not None:
            check_searches(declared, plan, launcher_name, trials, cluster)

        def estimated(plan: Plan) -> list[Task]:
            return with_estimates(tasks_of(plan), plan, place.runs, machine=place.machine, workers=place.workers)

        def timed(plan: Plan) -> list[Task]:
            """The plan's tasks with their times, measured first where that was asked for."""
            if calibrated:
                calibrate_plan(plan, estimated(plan), place, console, retry_failed=retry_failed)
            return estimated(plan)

        def one(plan: Plan, *, report: bool) -> int:
            """Trains, or only shows, one plan."""
            tasks = timed(plan)
            if not dry_run and not calibrated:
                return run_plan(declared, plan, tasks, place, console, retry_failed=retry_failed, report=report)
            print_plan(declared, plan, tasks, place=place, retry_failed=retry_failed, console=console)
            if place.cluster is not None:
                print_submission(plan, tasks, place=place, retry_failed=retry_failed, console=console)
            return DONE

        if budget_seconds is not None:
            cost = costing(
                timed(plan), place.runs, machine=place.machine, workers=place.workers, retry_failed=retry_failed
            )
            choice = fitting(declared, plan, _designs(designs, declared), budget_seconds, cost)
            for line in choice.lines:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            plan = choice.plan
        if searches and (dry_run or calibrated):
            one(plan, report=False)
            print_searches(
                declared, plan, estimated(plan)[0].expected_seconds, place=place, trials=trials, console=console
            )
            return DONE
        if searches:
            found = with_choices(declared, plan, place, console, trials)
            if isinstance(found, int):
                return found
            plan = found
        if retune is not None:
            code = one(tuning_plan(plan, retune), report=False)
            if dry_run or calibrated:
                later = len(plan.variants) * len(plan.seeds)
                console.print(f"then, at the rates that are chosen: {later} runs, less those that exist")
            if dry_run or calibrated or code != DONE:
                return code
            plan = retuned_plan(plan, retune, place.runs)
        return one(plan, report=not no_report)
    except InputError as error:
        _fail(str(error), debug)
    except OSError as error:
        _fail(f"{type(error).__name__}: {error}", debug)


def _plan(
    study: Study,
    overrides: Sequence[str],
    profile_name: str | None,
    protocol: str | None,
    designs: str | None,
    seeds: str | None,
    only: Sequence[str],
    data_path: Path | None,
    gpus: tuple[str, ...],
) -> Plan:
    parsed: dict[str, Any] = {}
    for text in overrides:
        path, value = parse_override(text)
        if path in parsed:
            raise InputError(f"{path} is overridden twice")
        parsed[path] = value
    names = [profile.name for profile in study.profiles]
    wished = profile_name or ("lsun64" if gpus and data_path and "lsun64" in names else "cpu")
    if wished not in names:
        raise nearest("profile", wished, names)
    profile = study.profile(wished)
    wanted = [name for part in only for name in part.split(",") if name]
    plan = make_plan(
        study,
        profile,
        designs=_designs_with(study, wanted) if wanted and designs is None else _designs(designs, study),
        seeds=_seeds(seeds, profile.seeds),
        overrides=parsed,
        data=_images(study, profile, parsed, data_path) if data_path else None,
        data_name=_data_name(data_path) if data_path else None,
        protocol=protocol,
    )
    return _restricted(study, plan, wanted)


def _designs_with(study: Study, names: Sequence[str]) -> list[DesignName]:
    """The first designs that together have these variants, or as many of them as any has."""
    chosen: list[DesignName] = []
    left = set(names)
    for design in available(study):
        mine = {variant_name(study, subset) for subset in DESIGNS[design](study)} if left else set()
        if left & mine:
            chosen.append(design)
            left -= mine
    return chosen or list(study.designs)


def _designs(text: str | None, study: Study) -> list[DesignName]:
    if text is None:
        return list(study.designs)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return available(study)
    for name in names:
        if name not in DESIGNS:
            raise nearest("design", name, [*DESIGNS, "all"])
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


def _per_gpu(text: str | None) -> PerGpu | None:
    if text is None:
        return None
    if text == "auto":
        return "auto"
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise InputError(f"--per-gpu {text}: give a number of workers, or auto")
    return int(text)


def _images(study: Study, profile: Profile, overrides: dict[str, Any], path: Path) -> Images:
    """The images at `path`, at the resolution that the profile and the overrides give."""
    if not path.exists():
        raise InputError(f"--data {path}: there is no such file or folder")
    from core.data.prepare import described

    own = {"data.resolution": overrides["data.resolution"]} if "data.resolution" in overrides else {}
    return described(path, overridden(profile.scaled(study.base), own).data.resolution)


def _data_name(path: Path) -> str:
    from core.data.prepare import named

    return named(path)


def _restricted(study: Study, plan: Plan, only: Sequence[str]) -> Plan:
    if not only:
        return plan
    kept = set()
    for name in only:
        variant = plan.variant(name)
        if variant is None:
            if (search := next((search for search in study.searches if search.variant == name), None)) is not None:
                raise InputError(f"'{name}' is what the search {search.name} chooses: run {study.name} without --only")
            for design in available(study):
                if name in (variant_name(study, subset) for subset in DESIGNS[design](study)):
                    raise InputError(f"the variant '{name}' is one of another design: add --design {design}")
            raise nearest("variant", name, [v for planned in plan.variants for v in (planned.name, *planned.aliases)])
        kept.add(variant.name)
    return Plan(**{**dict(plan), "variants": tuple(v for v in plan.variants if v.name in kept)})


def _fail(message: str, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    print("error: " + redacted(" ".join(message.split())), file=sys.stderr)
    sys.exit(BAD_INPUT)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command with its exit codes; whatever is wrong with the arguments ends in one line."""
    try:
        code = command.main(args=arguments, prog_name="python -m studies.run", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), debug=False)
    except (click.Abort, KeyboardInterrupt):
        print(GOES_ON, file=sys.stderr)
        sys.exit(INTERRUPTED)
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
