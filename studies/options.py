"""The options of the study command under their headings. Loads click alone, so that `--help` comes at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from core.arguments import MOST_WORKERS
from core.command_line import GOES_ON
from studies import completion
from studies.click_life import Amount, Command, Count

EPILOG = """\b
Exit codes
  0    all runs have a result (a diverged run is a result)
  1    a run failed, or the report did
  2    bad input, or a full disk: what was trained stays, the same command goes on from there
  70   an error of this program; --debug shows where
  130  interrupted: the same command goes on from there
  141  nobody read on, as in "| head -1"

\b
Examples
  python -m studies.run changes_overview
  python -m studies.run changes_overview --design all --seeds 5 --dry-run
  python -m studies.run changes_overview iterations=200 --only baseline --seeds 0,
  python -m studies.run changes_overview --show-config all inr.init=unit
  python -m studies.run --study my/study.py iterations=200

docs/command_line.md has the rest: overrides, --json, completion.
"""

FIRST_VARIANT = "baseline"
"""What `--show-config` shows where it names no variant."""


LEAST_MINUTES = 0.01
"""Above it a worker has the time to beat at all."""

MOST_TRIALS, MOST_MINUTES = 100_000, 1_000_000
"""What nobody means to exceed: a machine would be asked for more than it has, or a clock for more than it counts."""


class Sectioned(click.Option):
    """An option that `--help` lists under the heading `section`."""

    def __init__(self, *arguments: Any, section: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.section = section


class SectionedCommand(Command):
    """A command whose help has its options under headings, in the order of their declaration."""

    interrupted = GOES_ON

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`--show-config` may name a variant; what has an equals sign is an override behind it.

        For completion an option that still lacks its value is left out: what stands before it is known all the same.
        """
        if ctx.resilient_parsing and args and args[-1].startswith("-"):
            args = args[:-1]
        following = [*args, "-"][1:]
        named = [
            f"{word}={FIRST_VARIANT}" if word == "--show-config" and (after.startswith("-") or "=" in after) else word
            for word, after in zip(args, following, strict=True)
        ]
        return super().parse_args(ctx, named)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One block of options a heading."""
        shown = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        for section, options in groupby(shown, key=lambda option: getattr(option, "section", HELP)):
            with formatter.section(section):
                formatter.write_dl([record for option in options if (record := option.get_help_record(ctx))])


TRAIN = "What to train"
MEASURE = "How to measure"
WHERE = "Where to train and what to keep"
SHOW = "Show, and train nothing"
HELP = "Help"
"""The headings, in their order."""


def option(section: str, *flags: str, **settings: Any) -> Any:
    """A field of `Asked` that this option of the command fills."""
    return field(metadata={"flags": flags, "settings": {"cls": Sectioned, "section": section, **settings}})


def _folder(**settings: Any) -> click.Path:
    return click.Path(path_type=Path, file_okay=False, **settings)


def _file() -> click.Path:
    return click.Path(path_type=Path, dir_okay=False)


# Names and numbers of other modules stand here as text, for loading those takes longer than the help may; a test holds
# them to be the modules' own.


@dataclass(frozen=True)
class Asked:
    """What the command was given: its two arguments, and each of its options, in the order of its help."""

    study: str | None
    overrides: tuple[str, ...]
    study_given: str | None = option(
        TRAIN,
        "--study",
        metavar="NAME|FILE",
        shell_complete=completion.studies,
        help="The same as STUDY: a name, or a Python file of yours that declares STUDY (docs/extending.md).",
    )
    profile: str | None = option(
        TRAIN,
        "--profile",
        metavar="NAME",
        shell_complete=completion.declared("profiles"),
        help="The scale: cpu, or lsun64 for the deck's. Default: cpu; lsun64 where there is an accelerator (an NVIDIA "
        "device file, or CUDA_VISIBLE_DEVICES) and --data is given.",
    )
    designs: str | None = option(
        TRAIN,
        "--design",
        metavar="NAMES",
        shell_complete=completion.declared("designs"),
        help="Comma list of ladder, add_one_in, leave_one_out, screening, shapley, grid; 'all' for all that the study "
        "has.",
    )
    seeds: str | None = option(
        TRAIN, "--seeds", metavar="N|LIST", help="A number of seeds, or a comma list: 3 is 0,1,2 and '7,' is only 7."
    )
    only: tuple[str, ...] = option(
        TRAIN,
        "--only",
        metavar="VARIANT",
        multiple=True,
        shell_complete=completion.declared("variants"),
        help="Only this variant of any design (a comma list, or given repeatedly).",
    )
    controls: bool = option(
        TRAIN,
        "--controls",
        is_flag=True,
        help="Also the study's control arms: trained for longer, so that updates of G or real images are equal.",
    )
    data_path: Path | None = option(
        TRAIN,
        "--data",
        type=click.Path(path_type=Path),
        help="Real images: a set that `python -m core.data prepare` made, or a folder, a zip or an LMDB.",
    )
    budget: str | None = option(
        TRAIN,
        "--budget",
        metavar="TIME",
        help="Train what fits this wall time, as in 30m or 2h: the claims' variants, at least 3 seeds, then whole "
        "designs, then more seeds up to 10. --design and --seeds limit the choice.",
    )
    decide: str | None = option(
        TRAIN,
        "--decide",
        metavar="TIME|until=F",
        help="Add seeds where they decide, look by look, for this wall time (2h), or until each change helps, hurts or "
        "is within a factor F (until=1.15); both: '2h,until=1.15'. --seeds N is the most a variant may have.",
    )
    retune: int | None = option(
        TRAIN,
        "--retune",
        type=Count(2, MOST_TRIALS),
        metavar="N",
        help="Give every variant the best of the same N pairs of learning rates, beside the study as published.",
    )
    trials: int | None = option(
        TRAIN,
        "--trials",
        metavar="N",
        type=Count(1, MOST_TRIALS),
        help="Trials of each search, where the study has searches.",
    )
    retry_failed: bool = option(TRAIN, "--retry-failed", is_flag=True, help="Train runs that failed before once more.")
    protocol: str | None = option(
        MEASURE,
        "--protocol",
        metavar="NAME",
        shell_complete=completion.protocols,
        help="Measure every variant by this protocol, not by the profile's metric: deck-2020, clean-50k, embedded, "
        "imagenet.",
    )
    inception: Path | None = option(
        MEASURE,
        "--inception",
        type=_file(),
        help="Inception's weights, a file, where they cannot be fetched; the variable INR_GAN_INCEPTION does the same.",
    )
    evaluation: Literal["inline", "beside"] = option(
        MEASURE,
        "--evaluation",
        type=click.Choice(["inline", "beside"]),
        default="inline",
        show_default=True,
        help="beside: a second process per worker evaluates while it trains on, for GPUs and slow metrics; the "
        "numbers are the same. Where the workers keep all cores busy it gains nothing. Expected times are those of "
        "inline.",
    )
    no_report: bool = option(MEASURE, "--no-report", is_flag=True, help="Train only.")
    jobs: int | None = option(
        WHERE,
        "--jobs",
        "-j",
        metavar="N",
        type=Count(1, MOST_WORKERS),
        help="Workers at a time; default one per core, or per GPU.",
    )
    device: str = option(
        WHERE,
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="auto: the CPU for the profile cpu, an accelerator for others where there is one.",
    )
    per_gpu: str | None = option(
        WHERE,
        "--per-gpu",
        metavar="N|auto",
        help="Workers that share each GPU, one by default. auto: one until it has measured what it takes, then as "
        "many as fit into 90% of the memory, at most one per core and --jobs in all. The numbers are the same.",
    )
    launcher_name: str = option(
        WHERE,
        "--launcher",
        default="local",
        show_default=True,
        metavar="NAME",
        shell_complete=completion.declared("launchers"),
        help="inline, local, or a cluster of yours that launchers.toml declares (docs/clusters.md).",
    )
    launcher_file: Path | None = option(
        WHERE,
        "--launcher-file",
        type=_file(),
        help="Where your clusters are declared; default launchers.toml in your configuration folder. What it declares "
        "is run, so one that lies here is not read unless it is named.",
    )
    hang_minutes: float = option(
        WHERE,
        "--hang-minutes",
        metavar="MINUTES",
        type=Amount(LEAST_MINUTES, MOST_MINUTES),
        default=30,
        show_default=True,
        help="A worker whose loop stands still for so long, or five times as long as it ever did before, is ended and "
        "its job resumed. Loading and the first evaluation have to be shorter.",
    )
    runs: Path = option(
        WHERE,
        "--runs",
        type=_folder(),
        default=Path("runs"),
        show_default=True,
        help="Where run folders, plans, the queue and reports are.",
    )
    queue: str | None = option(
        WHERE,
        "--queue",
        metavar="URL",
        help="A PostgreSQL database for the queue, without its password, for workers on many machines; default: "
        "INR_GAN_QUEUE, or files below --runs.",
    )
    tracking: str | None = option(
        WHERE,
        "--tracking",
        metavar="URL",
        help="An MLflow server or a database for the view; default: MLFLOW_TRACKING_URI, or sqlite:///mlflow.db.",
    )
    list_studies: bool = option(
        SHOW, "--list", is_flag=True, help="The studies, the deck's claims, and which runs are here."
    )
    dry_run: bool = option(SHOW, "--dry-run", is_flag=True, help="What would be trained, and for how long.")
    calibrated: bool = option(
        SHOW,
        "--calibrate",
        is_flag=True,
        help="Measure what a job of each config takes here where no finished run says so, then do as --dry-run.",
    )
    shown_config: str | None = option(
        SHOW,
        "--show-config",
        metavar="[VARIANT]",
        shell_complete=completion.declared("variants"),
        help="A variant's whole config after profile, data and overrides, one path = value a line, beside the deck's. "
        "Default: baseline.",
    )
    as_json: bool = option(
        SHOW,
        "--json",
        is_flag=True,
        help="With one of these: as JSON on stdout (docs/command_line.md has the keys), and nothing else there.",
    )
    completion_of: Literal["bash", "zsh", "fish"] | None = option(
        HELP,
        "--completion",
        type=click.Choice(["bash", "zsh", "fish"]),
        help="A script for your shell that completes all of this: eval it (docs/command_line.md).",
    )
    debug: bool = option(HELP, "--debug", is_flag=True, help="Show tracebacks of errors.")

    @property
    def named(self) -> Asked:
        """The same with the study where it belongs: behind `--study` the first argument is an override."""
        if self.study_given is None:
            return self
        overrides = self.overrides if self.study is None else (self.study, *self.overrides)
        return replace(self, study=self.study_given, overrides=overrides, study_given=None)

    @property
    def only_looks(self) -> bool:
        """Whether it shows something and trains nothing."""
        return self.dry_run or self.calibrated

    @property
    def wanted(self) -> list[str]:
        """The variants that it is limited to, from one or more comma lists."""
        return [name for part in self.only for name in part.split(",") if name]


Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def with_options(function: Decorated) -> Decorated:
    """Gives a command the arguments and options of `Asked`."""
    paths = completion.declared("overrides")
    decorated: Any = function
    for each in reversed([each for each in fields(Asked) if each.metadata]):
        decorated = click.option(*each.metadata["flags"], each.name, **each.metadata["settings"])(decorated)
    decorated = click.argument("overrides", nargs=-1, metavar="[path=value ...]", shell_complete=paths)(decorated)
    result: Decorated = click.argument("study", required=False, shell_complete=completion.studies)(decorated)
    return result
