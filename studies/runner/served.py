"""The files of a view's runs where a server keeps them, see `studies.artifacts`. Its users load mlflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.errors import InputError
from studies.artifacts import sound_id

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Served:
    """The files of runs where a server, or a database on one, says."""

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self.client, self.uri = client, uri

    def names(self, run_id: str) -> set[str]:
        """See `Artifacts`."""
        return set(self._below(run_id, None))

    def _below(self, run_id: str, folder: str | None) -> Iterator[str]:
        for entry in self.client.list_artifacts(run_id, folder):
            if entry.is_dir:
                yield from self._below(run_id, entry.path)
            elif entry.file_size != 0:
                yield entry.path

    def put(self, run_id: str, name: str, content: bytes) -> None:
        """See `Artifacts`."""
        with TemporaryDirectory() as folder:
            file = Path(folder, Path(name).name)
            file.write_bytes(content)
            self.client.log_artifact(run_id, str(file), name.rpartition("/")[0] or None)

    def remove(self, run_id: str, name: str) -> None:
        """See `Artifacts`."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        location = self.client.get_run(run_id).info.artifact_uri
        get_artifact_repository(location, tracking_uri=self.uri).delete_artifacts(name)


def is_local(location: str) -> bool:
    """Whether files that MLflow notes to be there are in a file system of this machine."""
    return urlsplit(location).scheme in ("", "file")


def check_own(location: str, run_id: str) -> None:
    """Raises InputError where a server says that a run's files are in a folder of this machine that is no run's: files
    would be replaced and removed there."""
    if is_local(location) and not location.endswith(f"/{sound_id(run_id)}/artifacts"):
        raise InputError(f"MLflow says that the files of run {run_id} are in {location}, which is no folder of a run")
