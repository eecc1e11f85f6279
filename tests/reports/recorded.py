"""Reports of fixed runs, file by file: what a reorganisation leaves as it is, whoever renders it and wherever.

`python -m tests.reports.recorded` writes them down anew, which a change of what reports say needs; the diff of
`recorded_reports.json` names the files that it changes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from reports.render import render, render_comparison
from tests.support.runs import planned, train_all
from tests.support.searches import searched

RECORD = Path(__file__).with_name("recorded_reports.json")
EVERY_DESIGN = ("ladder", "add_one_in", "leave_one_out")
LONG = re.compile(rb"\d+\.\d{9,}")
"""The last digits of what is written in full are the processor's."""


def full_runs(runs: Path) -> None:
    """All designs, three seeds; one run diverged, one failed, one did not end, one ended unmeasured."""
    train_all(
        runs,
        planned(runs, designs=EVERY_DESIGN),
        diverged={("baseline+r1", 1)},
        failed={("all-d1_g1", 2)},
        unfinished={("baseline+ns_loss", 0)},
        unmeasured={("all-inr_size", 1)},
    )


def _full(runs: Path) -> Path:
    full_runs(runs)
    return render("changes_overview", runs=runs)


def _published(runs: Path) -> Path:
    train_all(runs, planned(runs, only={"baseline", "all"}))
    return render("changes_overview", runs=runs, out=runs / "published", published=True)


def _with_searches(runs: Path) -> Path:
    train_all(runs, searched(runs))
    return render("learning_rates", runs=runs)


def _comparison(runs: Path) -> Path:
    names = {"baseline", "all", "baseline+r1"}
    longer = planned(runs, only=names, overrides={"iterations": 400, "evaluation.every": 200})
    for plan in (planned(runs, only=names), longer):
        train_all(runs, plan)
    return render_comparison("changes_overview:cpu", f"changes_overview:{longer.setting}", runs=runs)


def _of(study: str) -> Callable[[Path], Path]:
    def of(runs: Path) -> Path:
        train_all(runs, planned(runs, study, designs=("grid" if study in GRIDS else "add_one_in",)))
        return render(study, runs=runs)

    return of


GRIDS = ("inr_layers", "inr_layers_gan", "siren_vs_fourier")
REPORTS: dict[str, Callable[[Path], Path]] = {
    "full": _full,
    "published": _published,
    "comparison": _comparison,
    "learning_rates": _with_searches,
    **{study: _of(study) for study in (*GRIDS, "upsampling", "weight_clipping")},
}
"""Each makes runs in a folder, and returns that of their report."""


def sums(folder: Path) -> dict[str, str]:
    """12 hex digits of the sha256 of every file of a report, numbers in full rounded."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): _sum(file.read_bytes()) for file in files}


def _sum(content: bytes) -> str:
    rounded = LONG.sub(lambda number: b"%.6g" % float(number[0]), content)
    return hashlib.sha256(rounded).hexdigest()[:12]


def main() -> None:
    found = {}
    for name, make in REPORTS.items():
        with TemporaryDirectory() as folder:
            found[name] = sums(make(Path(folder)))
    RECORD.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
