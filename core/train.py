"""`python -m core.train --config FILE --out DIR` runs one job in its folder."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from core import config as cfg
from core.arguments import MOST_SEED, MOST_WORKERS, Parser, code_with, given_to, number
from core.command_line import GOES_ON
from core.errors import InputError
from core.imported import check_allowed
from core.job import read_job, run_job
from core.machine import check_device
from core.metrics.identity import INCEPTION_VARIABLE
from core.words import takes


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one job folder and prints its events as they happen; a folder that has begun goes on where it was."""
    return code_with(_run, arguments, interrupted=GOES_ON)


def _run(arguments: Sequence[str]) -> None:
    parser = Parser(prog="python -m core.train", description=main.__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON: a config, or a job with config and seed")
    parser.add_argument("--out", type=Path, required=True, help="the job's folder is made below this one")
    parser.add_argument(
        "--seed",
        type=number(0, MOST_SEED - 1),
        help="of a file that holds a config alone (default: 0); a job has its own",
    )
    parser.add_argument("--data", type=Path, help="folder or zip of images, where the config asks for images")
    parser.add_argument("--inception", type=Path, help=f"Inception's weights, a file (or {INCEPTION_VARIABLE})")
    parser.add_argument(
        "--allow-code",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="run a layer's file from this folder where the config names one; without it layers are those of installed "
        "packages alone, for a config may be somebody else's",
    )
    parser.add_argument("--cache", type=Path, help="where prepared data is kept (default: OUT/cache)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=number(most=MOST_WORKERS), default=1)
    parser.add_argument(
        "--evaluation",
        choices=["inline", "beside"],
        default="inline",
        help="beside: train on while another process evaluates. The numbers are the same; it gains nothing where all "
        "cores or the GPU are busy without it (default: inline)",
    )
    parser.add_argument("--evaluation-device", help="of the process beside, as cpu or cuda:1 (default: DEVICE)")
    given = given_to(parser, arguments)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    check_device(given.device, gpus)
    if given.evaluation_device is not None:
        check_device(given.evaluation_device, gpus, "--evaluation-device")
    job = read_job(given.config, given.seed)
    _check_used(given, job.config)
    if given.inception is not None:
        os.environ[INCEPTION_VARIABLE] = str(given.inception)
    check_allowed(job.config, given.allow_code, near=[given.config.parent, Path()])
    events = run_job(
        job,
        runs=given.out,
        device=given.device,
        data_path=given.data,
        cache=given.cache or given.out / "cache",
        threads=given.threads,
        evaluation=given.evaluation,
        evaluation_device=given.evaluation_device,
    )
    for event in events:
        line = event.model_dump_json()
        print(line if takes(sys.stdout, line) else json.dumps(json.loads(line)), flush=True)


def _check_used(given: argparse.Namespace, config: cfg.AnyConfig) -> None:
    """Raises InputError for an option that a job of this config would take no notice of."""
    if given.data is not None and not isinstance(config.data, cfg.Images):
        raise InputError(f"--data {given.data}: the config's data are {config.data.kind}, which are made: leave it out")
    if given.inception is not None and not cfg.asks_inception(config):
        raise InputError(
            f"--inception {given.inception}: nothing that the config measures asks Inception: leave it out"
        )
    if given.evaluation == "beside" and config.task == "reconstruction":
        raise InputError("--evaluation beside: a reconstruction's error is found as it is fitted: leave it out")


if __name__ == "__main__":
    sys.exit(main())
