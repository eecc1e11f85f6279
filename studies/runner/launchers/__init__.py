"""Launchers provide the processes that work off an order: one module each.

Those of this machine are found by their names here; those of a cluster belong to a kind of entry in the user's launcher
file (`studies.runner.launchers.declared`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import assert_never

from core.errors import InputError, unknown
from studies.runner.launchers.declared import (
    FILE_NAME,
    KINDS,
    Cluster,
    RayCluster,
    SlurmCluster,
    declared,
    launcher_file,
    unasked,
)
from studies.runner.order import ClusterLauncher, Launcher

LAUNCHERS: Mapping[str, str] = MappingProxyType({"inline": "Inline", "local": "Local"})
"""Module here, and the class in it. A module is imported when it is asked for."""


def launcher(name: str, cluster: Cluster | None = None) -> Launcher:
    """The launcher of that name, or the one of `cluster`. Raises InputError with the nearest name."""
    if cluster is not None:
        return on_cluster(cluster)
    find_launcher(name, None)
    module = importlib.import_module(f"studies.runner.launchers.{name}")
    made: Launcher = getattr(module, LAUNCHERS[name])()
    return made


def on_cluster(cluster: Cluster) -> ClusterLauncher:
    """The launcher of a declared cluster."""
    match cluster:
        case SlurmCluster():
            from studies.runner.launchers.slurm import Slurm

            return Slurm(cluster)
        case RayCluster():
            from studies.runner.launchers.ray import Ray

            return Ray(cluster)
        case _:
            assert_never(cluster)


def find_launcher(name: str, file: Path | None) -> Cluster | None:
    """The cluster that is declared by that name, None for a launcher of this machine; imports neither.

    `file` is the user's launcher file, their own where it is None. Raises InputError where nothing has that name.
    """
    if name in LAUNCHERS and file is None:
        return None
    found, beside = launcher_file(file), unasked(file)
    clusters = declared(found, LAUNCHERS)
    if name in clusters:
        return clusters[name]
    if name in LAUNCHERS:
        return None
    if name in KINDS:
        missing = f'{found or FILE_NAME} has no entry [{name}] with kind = "{name}" (docs/clusters.md)'
        raise InputError(f"--launcher {name}: {beside or missing}")
    if beside:
        raise InputError(f"there is no launcher '{name}': {beside}")
    known = [*LAUNCHERS, *clusters]
    where = f"{found} declares" if found else f"a file {FILE_NAME} would declare"
    raise unknown("launcher", name, known, f"there are {', '.join(known)}; {where} clusters")
