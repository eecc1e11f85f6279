"""Records how long the runs of a study took, and how far they scatter, in `studies/reference_times.json`.

`python -m tests.choices.reference_times --record STUDY --runs DIR`
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import click

from core.errors import InputError
from core.files import write_whole
from core.folder import RunFolder
from core.machine import this_machine
from core.reading import record_of
from studies import catalogue
from studies.click_life import Command
from studies.plan import jobs_root, plan_file, read_plan
from studies.runner.tasks import tasks_of
from studies.spreads import EFFECTS, MOST_RECORDED, Spread, observed_spreads
from studies.times.calibration import read_calibration
from studies.times.estimate import REFERENCE_TIMES, recorded_times


def as_record(spread: Spread) -> dict[str, Any]:
    """A spread with what follows from it, as `Spread.recorded` reads it."""
    rounded = Spread(spread.design, round(spread.log_sd, 4), spread.pairs, spread.comparisons, spread.family)
    return {
        "design": spread.design,
        "sd": rounded.log_sd,
        "pairs": spread.pairs,
        "comparisons": spread.comparisons,
        "family": spread.family,
        "set_aside": {aside.name: round(aside.log_sd, 4) for aside in spread.set_aside},
        "seeds_needed": [list(rounded.seeds_needed(effect)) for effect in EFFECTS],
        "detectable": [list(rounded.detectable(seeds)) for seeds in range(MOST_RECORDED + 1)],
    }


def record(study: str, setting: str, runs: Path, file: Path, calibration: Path | None = None) -> int:
    """Writes the median seconds of each variant's finished runs to `file`; returns how many variants had any.

    Where the runs shared their machine with other work, their times are no reference: with `calibration`, another
    folder of runs, what was calibrated there stands instead. Variants that have no times here keep those that are on
    record of the same machine. Raises InputError for a setting that is no profile, and where times would be lost.
    """
    declared = catalogue.study(study, runs)
    if setting not in (profiles := [profile.name for profile in declared.profiles]):
        raise InputError(
            f"--setting {setting} is no profile, and times are recorded of profiles without overrides: {study} has "
            f"{', '.join(profiles)}"
        )
    source = plan_file(runs, study, setting)
    if not source.exists():
        raise InputError(f"there is no plan of {study} in {runs}: run it there first")
    plan = read_plan(source)
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    provenance: dict[str, Any] = {}
    for task in tasks_of(plan):
        folder = RunFolder(jobs_root(runs), task.digest)
        outcome = folder.outcome()
        if outcome is not None and outcome.status == "finished":
            seconds[task.variant].append(outcome.job_seconds)
            provenance = folder.read("provenance.json") or provenance
    if calibration is not None:
        measured = read_calibration(calibration)
        machine = this_machine("cpu", 1)
        times = {v.name: measured.seconds(v.config, machine, machine.cores) for v in plan.variants}
        seconds = defaultdict(list, {name: [known] for name, known in times.items() if known is not None})
    recorded = record_of(file, "restore it, or remove it") if file.exists() else {}
    spreads = observed_spreads(declared, plan, runs)
    processor, cores = provenance.get("processor", "unknown processor"), provenance.get("cores", os.cpu_count())
    here = f"{processor}, {cores} cores"
    before = recorded_times(plan, file)
    kept = {variant: known for variant, known in before.get("seconds", {}).items() if variant not in seconds}
    if kept and before.get("machine") != here:
        raise InputError(
            f"{file.name} has times of {len(kept)} variants that have none here, and of another machine: train those "
            f"as well, or remove {study} from it"
        )
    recorded.setdefault(study, {})[plan.profile] = {
        **({"spreads": before["spreads"]} if "spreads" in before else {}),
        "machine": here,
        "device": provenance.get("device"),
        "torch": provenance.get("torch"),
        "seconds": {**kept, **{name: round(median(values), 2) for name, values in seconds.items()}},
        **({"spreads": [as_record(spread) for spread in spreads]} if spreads else {}),
    }
    write_whole(file, (json.dumps(recorded, indent=1) + "\n").encode())
    return len(seconds)


@click.command(cls=Command)
@click.option("--record", "study", metavar="STUDY", required=True, help="The study whose times are recorded.")
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@click.option("--setting", default="cpu", show_default=True, help="The setting, a profile without overrides.")
@click.option(
    "--calibration",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Times as calibrated in this folder of runs, instead of those of the study's runs.",
)
def main(study: str, runs: Path, setting: str, calibration: Path | None) -> None:
    """Records how long each variant of STUDY took, for the estimates of --dry-run on fresh checkouts."""
    count = record(study, setting, runs, REFERENCE_TIMES, calibration)
    print(f"recorded the times of {count} variants in {REFERENCE_TIMES.name}")


if __name__ == "__main__":
    main()
