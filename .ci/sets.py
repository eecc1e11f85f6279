"""The tests that need a real engine, as CI runs them.

A set runs whole where the change touches what it covers, else its shortest test alone; with ENGINES=1 all run whole.
Without ENGINES nothing is installed: a set whose engine is not here is skipped. With it the engine is got first, where
it can be had. What was skipped is said, and why; a set that fails is tried once more.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

ROOT = Path(__file__).parents[1]
TRIES = 2
GETTING = 300.0
"""Seconds that an engine may take to be downloaded and installed."""

PATIENCE = 60.0
"""Seconds that a set has to end what it started, once its time is over."""


class Set(NamedTuple):
    """One set: `make get-NAME` gets its engine, `make test-NAME` runs it, with ONLY=a test's name that test alone."""

    name: str
    shortest: str
    seconds: float
    """A try that takes longer has failed."""
    covers: tuple[str, ...]
    """Patterns of paths; a `*` stays within its folder."""


# What every engine is used by: the command, its workers and what they share, how all of it is installed and tested.
ALL: tuple[str, ...] = (
    *("studies/run.py", "studies/commands/*.py", "studies/options.py", "studies/plan*.py"),
    *("studies/search_records.py", "studies/runner/*.py", "studies/stores.py", "studies/run_state.py"),
    *("studies/mlflow_view/*.py", "studies/times/*.py"),
    *("core/folder.py", "core/locks.py", "core/processes.py"),
    *(".ci/*", "Makefile", "pyproject.toml", "requirements*.lock"),
    *("tests/studies/conftest.py", "tests/support/commands.py"),
)
CLUSTERS: tuple[str, ...] = (
    *ALL,
    *("studies/runner/launchers/__init__.py", "studies/runner/launchers/crew.py", "tests/support/fake_job.py"),
    *("tests/engines/test_slurm_launcher.py", "tests/engines/test_ray_launcher.py"),
    *("tests/studies/test_clusters.py", "tests/studies/test_local_launcher.py"),
)

SETS = (
    Set(
        "postgres",
        shortest="test_the_workers_of_a_search_keep_its_budget",
        seconds=600,
        covers=(
            *ALL,
            *("studies/sync.py", "studies/runner/launchers/local.py", "studies/runner/launchers/crew.py"),
            "tests/support/postgres.py",
            *("tests/engines/test_postgres.py", "tests/studies/test_run_cli.py", "tests/studies/test_sweep.py"),
            "tests/studies/test_end_to_end.py",
        ),
    ),
    Set(
        "slurm",
        shortest="test_a_study_with_searches_runs_on_the_cluster",
        seconds=900,
        covers=(
            *CLUSTERS,
            *("studies/runner/launchers/slurm.py", "studies/runner/launchers/slurm_script.py"),
            *("tests/engines/slurm.sh", "tests/studies/test_sweep.py"),
        ),
    ),
    Set(
        "ray",
        shortest="test_two_workers_at_a_time_share_the_gpu_that_ray_gives_them",
        seconds=600,
        covers=(
            *CLUSTERS,
            "studies/runner/launchers/ray.py",
        ),
    ),
    Set(
        "browser",
        shortest="test_the_printed_link_opens_variants_with_their_seeds_averaged",
        seconds=600,
        covers=(
            *ALL,
            *("studies/ui.py", "studies/sync.py", "reports/html.py", "reports/page.py", "reports/render.py"),
            *("tests/engines/test_mlflow_ui.py", "tests/engines/test_hostile_pages.py", "tests/engines/screenshots.py"),
            *("tests/support/browser.py", "tests/support/hostile_pages.py", "tests/support/hostile_words.py"),
        ),
    ),
)


class Result(NamedTuple):
    """What became of a set; `tries` are the seconds of each."""

    name: str
    tests: str
    outcome: str
    tries: tuple[float, ...] = ()

    @property
    def failed(self) -> bool:
        return self.outcome.startswith("failed")


def is_touched(one: Set, changed: Sequence[str]) -> bool:
    """Whether any of these paths, as git writes them, is covered by the set."""
    # A leading slash holds a pattern to the whole path.
    return any(PurePosixPath(f"/{path}").match(f"/{pattern}") for path in changed for pattern in one.covers)


def git(*arguments: str, root: Path = ROOT) -> str | None:
    """What git says; None where it fails or is not there."""
    try:
        said = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return said.stdout if said.returncode == 0 else None


def changed_paths(root: Path = ROOT) -> tuple[str, list[str] | None]:
    """Since when, and which paths have changed since, committed or not; None where git cannot say.

    The change begins where the branch left origin's main. A commit of main itself has left nothing: there it is what
    the last commit brought.
    """
    head = git("rev-parse", "HEAD", root=root)
    base = git("merge-base", "HEAD", "origin/main", root=root)
    if base is None or base == head:
        base = git("rev-parse", "--verify", "HEAD~1", root=root)
    new = git("ls-files", "-z", "--others", "--exclude-standard", root=root)
    if base is None or new is None:
        return "unknown", None
    # A file that was renamed has left its old place too.
    old = git("diff", "-z", "--name-only", "--no-renames", base.strip(), root=root)
    return base.strip()[:7], None if old is None else sorted({*old.split("\0"), *new.split("\0")} - {""})


def ended(command: Sequence[str], seconds: float, output: IO[str] | None = None) -> int | None:
    """The exit code of a command; None where its time was over and it was ended, with all it had started."""
    process = subprocess.Popen(
        command, cwd=ROOT, start_new_session=True, stdout=output, stderr=None if output is None else subprocess.STDOUT
    )
    try:
        return process.wait(max(seconds, 0))
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            # As by Ctrl-C, so that pytest stops the servers that it started.
            os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def missing(one: Set, seconds: float) -> str | None:
    """Why what the set needs is not here, or None; with ENGINES it is got first, where that can be had."""
    wanted = ["make", f"get-{one.name}", "INSTALL=1"] if os.environ.get("ENGINES") else ["make", f"have-{one.name}"]
    with tempfile.TemporaryFile("w+") as output:
        code = ended(wanted, seconds, output)
        output.seek(0)
        said = [line.strip() for line in output if line.strip() and not line.startswith("make")]
    if code is None:
        return f"what it needs was not there after {seconds:.0f} s"
    if code == 0:
        return None
    return said[-1].removeprefix("error: ") if said else f"{' '.join(wanted[:2])} failed"


def command(one: Set, whole: bool) -> list[str]:
    """Runs the set, or its shortest test."""
    return ["make", f"test-{one.name}", *([] if whole else [f"ONLY={one.shortest}"])]


def run(one: Set, whole: bool, until: float) -> Result:
    """Runs a set, a second time where it fails. `until` is when the time of all sets is over."""
    tests = "all" if whole else "the shortest"
    print(f"\n--- {one.name}: {tests}", flush=True)
    if until - time.monotonic() > 0 and (reason := missing(one, min(GETTING, until - time.monotonic()))) is not None:
        return Result(one.name, tests, f"skipped: {reason}")
    tries: list[float] = []
    outcome = "failed: no time was left"
    while len(tries) < TRIES and (left := until - time.monotonic()) > 0:
        began = time.monotonic()
        code = ended(command(one, whole), min(one.seconds, left))
        tries.append(time.monotonic() - began)
        if code == 0:
            outcome = "passed" if len(tries) == 1 else "passed at the second try: the first failed"
            break
        outcome = "failed" if code is not None else "failed: it did not end in time"
        print(f"--- {one.name}: {outcome}, after {tries[-1]:.0f} s", flush=True)
    return Result(one.name, tests, outcome, tuple(tries))


def table(results: Sequence[Result]) -> str:
    """One line a set."""
    rows = [
        (one.name, one.tests, " + ".join(f"{seconds:.0f} s" for seconds in one.tries) or "-", one.outcome)
        for one in results
    ]
    heads = ("set", "tests", "took", "outcome")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (heads, *rows)
    )


def main(arguments: Sequence[str]) -> int:
    """Runs all sets, says what became of each, and returns 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2100, help="the time that all sets together have")
    until = time.monotonic() + parser.parse_args(arguments).seconds - PATIENCE
    since, changed = changed_paths()
    everything = os.environ.get("ENGINES", "") not in ("", "touched") or changed is None
    why = f"{len(changed)} paths have changed since {since}" if changed is not None else "git tells no earlier commit"
    print(f"\nengines: {'every set whole, ' if everything else ''}{why}", flush=True)
    results = [run(one, everything or is_touched(one, changed or ()), until) for one in SETS]
    print(f"\n{table(results)}", flush=True)
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
