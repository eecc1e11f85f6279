"""The files that runs have in MLflow: those and the pictures of a run folder, and those of a report."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.files import check_inside
from core.folder import MOST_RECORD, RESULTS, RunFolder, State
from core.pictures import read_grid
from core.reading import bytes_of

IMAGES = ("samples", "interpolations", "real")
"""The pictures of a run folder that are shown, by their keys in MLflow."""
ATTACHED = ("job.json", "protocol.json", "provenance.json")
SMALL_IMAGE = 256
"""The larger side of the pictures in MLflow's lists, as its `log_image` makes them."""


@dataclass(frozen=True)
class Picture:
    """A picture as MLflow's page shows it, with a slider over the steps of its key."""

    key: str
    step: int
    file: Path

    def prefix(self, sign: str = "+") -> str:
        """What its names begin with; earlier versions of MLflow had another sign."""
        return f"images/{self.key}{sign}step{sign}{self.step}{sign}"

    def names(self, digest: str, started: int) -> tuple[str, str]:
        """Those of the picture and of the small one, in a run of the job `digest` that began then.

        MLflow wants a UUID in the name; it is the same every time, so that nothing is there twice.
        """
        own = uuid.uuid5(uuid.NAMESPACE_OID, f"{digest}/{self.key}/{self.step}")
        name = f"{self.prefix()}timestamp+{started}+{own}"
        return f"{name}.png", f"{name}+compressed.webp"

    def is_in(self, names: Collection[str]) -> bool:
        """Whether it is there, whole and small."""
        endings = {name[-4:] for name in names if name.startswith((self.prefix(), self.prefix("%")))}
        return endings >= {".png", "webp"}

    def contents(self, resolution: int) -> tuple[bytes, bytes]:
        """The picture and the small one of MLflow's lists. Raises Damaged."""
        whole = read_grid(self.file, resolution)
        scale = SMALL_IMAGE / max(whole.size)
        small = whole.resize((max(1, int(whole.width * scale)), max(1, int(whole.height * scale))))
        whole.save(png := io.BytesIO(), "PNG")
        small.save(webp := io.BytesIO(), "WEBP")
        return png.getvalue(), webp.getvalue()


def missing(folder: RunFolder, state: State, names: Collection[str]) -> tuple[list[Path], list[Picture]]:
    """The files and pictures of a run folder that are not among the `names` that the run has. Pictures of a run that
    has no result are still to come."""
    files = [file for name in ATTACHED if name not in names and (file := folder.path / name).exists()]
    pictures = _pictures(folder) if state in RESULTS else []
    return [file for file in files if file.stat().st_size], [each for each in pictures if not each.is_in(names)]


def _pictures(folder: RunFolder) -> list[Picture]:
    """The first, a middle and the last grid of samples, and what else is shown beside the last."""
    grids = sorted(file for file in folder.samples.glob("*.png") if file.stem.isdigit())
    if not grids:
        return []
    shown = dict.fromkeys((grids[0], grids[len(grids) // 2], grids[-1]))
    further = [(key, file) for key in IMAGES[1:] if (file := folder.samples / f"{key}.png").exists()]
    last = int(grids[-1].stem)
    return [*(Picture("samples", int(grid.stem), grid) for grid in shown), *(Picture(k, last, f) for k, f in further)]


def attached_files(folder: RunFolder) -> dict[str, bytes]:
    """The files of a run folder that go with its run, by name. Raises Damaged."""
    with suppress(FileNotFoundError):
        folder.job()
    contents = {}
    for name in ATTACHED:
        with suppress(FileNotFoundError):
            contents[name] = bytes_of(folder.path / name, folder.remedy, MOST_RECORD)
    return contents


# --- reports ----------------------------------------------------------------------------------------------------------

OF_REPORTS = (
    *("report.md", "report.pdf", "report.html", "results.csv", "protocols.json", "verdicts.json", "runs.jsonl"),
    *("figures/*.svg", "figures/*.png", "figures/*.gif", "tables/*.tex"),
)
"""What a report consists of; whatever else is in its folder is somebody's own."""

MOST_OF_REPORT = 2**26
"""Of one of these files."""


def report_files(folder: Path) -> dict[str, Path]:
    """All files of the report in a folder, in order, by name. Raises InputError for a link that leads out of it."""
    files = sorted(file for pattern in OF_REPORTS for file in folder.glob(pattern) if file.is_file())
    return {file.relative_to(folder).as_posix(): check_inside(folder, file) for file in files}


def report_content(file: Path) -> bytes:
    """That of a file of a report. Raises Damaged for one that is larger than any."""
    return bytes_of(file, "render the report again", MOST_OF_REPORT)


def report_digest(folder: Path) -> str:
    """16 hex digits of the sha256 of a report's files and their names: equal input renders equal bytes."""
    digest = hashlib.sha256()
    for name, file in report_files(folder).items():
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256(report_content(file)).digest())
    return digest.hexdigest()[:16]


def has_report(folder: Path, names: Collection[str], content_of: Callable[[str], bytes] | None) -> bool:
    """Whether these are the names, and the contents where they can be asked for, of the files of the report in
    `folder`. Of a server's files the names alone are known, and empty ones have none."""
    for name, file in report_files(folder).items():
        if content_of is None:
            if name not in names and file.stat().st_size:
                return False
        elif name not in names or content_of(name) != report_content(file):
            return False
    return True
