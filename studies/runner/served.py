"""The files of runs where a server keeps them; apart from those beside a database, which are known without mlflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Served:
    """The files of runs where a server, or a database on one, says."""

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self.client, self.uri = client, uri

    def names(self, run_id: str) -> set[str]:
        """See `studies.runner.artifacts.Artifacts`."""
        return set(self._below(run_id, None))

    def _below(self, run_id: str, folder: str | None) -> Iterator[str]:
        for entry in self.client.list_artifacts(run_id, folder):
            if entry.is_dir:
                yield from self._below(run_id, entry.path)
            elif entry.file_size != 0:
                yield entry.path

    def put(self, run_id: str, name: str, content: bytes) -> None:
        """See `studies.runner.artifacts.Artifacts`."""
        with TemporaryDirectory() as folder:
            file = Path(folder, Path(name).name)
            file.write_bytes(content)
            self.client.log_artifact(run_id, str(file), name.rpartition("/")[0] or None)

    def remove(self, run_id: str, name: str) -> None:
        """See `studies.runner.artifacts.Artifacts`."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        location = self.client.get_run(run_id).info.artifact_uri
        get_artifact_repository(location, tracking_uri=self.uri).delete_artifacts(name)
