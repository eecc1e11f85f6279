"""Where the files of a view's runs are: beside its database file, or where a server keeps them.

MLflow notes with every run where its files are, as it was when the run was made. In a database file that note is never
followed, for such a file is moved, copied and handed on together with its folder: the files are in `mlruns` beside it,
wherever that is, and the notes are made to say so, relative to it. Whoever serves the file from its folder finds them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from stat import S_ISREG

from core.errors import InputError
from core.files import check_inside, write_whole

FOLDER = "mlruns"
"""MLflow's name for it."""

ID = re.compile(r"[A-Za-z0-9][\w-]{0,63}", re.ASCII)
"""Those of experiments and runs, which come from databases: they become names of folders."""


class Beside:
    """The files of one experiment in `mlruns` in the folder `root`; `movable` where the notes are relative to it."""

    def __init__(self, root: Path, experiment_id: str, *, movable: bool = True) -> None:
        self.root, self.experiment_id, self.movable = root, sound_id(experiment_id), movable

    def note(self, run_id: str) -> str:
        """What MLflow's row of the run says of its files."""
        folder = f"{FOLDER}/{self.experiment_id}/{sound_id(run_id)}/artifacts"
        # Encoded: MLflow decodes what it takes for a path.
        return folder if self.movable else (self.root / folder).as_uri()

    def note_of_experiment(self, now: str) -> str:
        """What the row of the experiment, which says `now`, should say: what is somebody's own choice stays."""
        ours = f"{FOLDER}/{self.experiment_id}"
        return ours if self.movable and re.fullmatch(rf"(file:)?/.*/{ours}", now, re.DOTALL) else now

    def names(self, run_id: str) -> set[str]:
        """The names of a run's files, with slashes, without empty files: those of a power cut."""
        root = self._folder(run_id)
        return {
            Path(folder, name).relative_to(root).as_posix()
            for folder, _, names in os.walk(root)
            for name in names
            if (status := Path(folder, name).lstat()).st_size and S_ISREG(status.st_mode)
        }

    def content(self, run_id: str, name: str) -> bytes:
        """That of a file that is there."""
        return self._file(run_id, name).read_bytes()

    def put(self, run_id: str, name: str, content: bytes) -> None:
        """Writes a file whole, in the place of an earlier one."""
        file = self._file(run_id, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content, lasting=False)

    def remove(self, run_id: str, name: str) -> None:
        """Removes a file."""
        self._file(run_id, name).unlink(missing_ok=True)

    def _folder(self, run_id: str) -> Path:
        runs = check_inside(self.root, self.root / FOLDER)
        return check_inside(runs, runs / self.experiment_id / sound_id(run_id) / "artifacts")

    def _file(self, run_id: str, name: str) -> Path:
        folder = self._folder(run_id)
        file = folder / name
        check_inside(folder, file.parent)
        return file


def sound_id(name: str) -> str:
    """The id of a run or an experiment. Raises InputError for one that is none of MLflow's."""
    if not ID.fullmatch(name):
        raise InputError(
            f"MLflow's database has a run or an experiment with the id {name!r}, which is none of MLflow's"
        )
    return name
