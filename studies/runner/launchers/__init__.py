"""Launchers provide the processes that work off an order: one module each.

Those of this machine go by their names; those of a cluster belong to a kind of entry in the user's launcher file
(`studies.runner.clusters`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, assert_never

from studies.runner.clusters import Cluster, RayCluster, SlurmCluster, find_launcher
from studies.runner.launchers.inline import Inline
from studies.runner.launchers.local import Local
from studies.runner.launchers.ray import Ray
from studies.runner.launchers.slurm import Slurm
from studies.runner.order import TrainingOrder


class Launcher(Protocol):
    """Works off `order` and returns when all of its jobs have ended, whoever trained them, or after `stop()`.

    It calls `tick` a few times a second from the caller's thread and says notable things by `say`. Raises InputError
    where the jobs cannot be trained here, and `WorkersLost`.
    """

    def run(
        self, order: TrainingOrder, *, stop: Callable[[], bool], tick: Callable[[], None], say: Callable[[str], None]
    ) -> None: ...


def launcher(name: str, cluster: Cluster | None = None) -> Launcher:
    """The launcher of that name, or the one of `cluster`. Raises InputError with the nearest name."""
    if cluster is not None:
        return on_cluster(cluster)
    find_launcher(name, None)
    return Inline() if name == "inline" else Local()


def on_cluster(cluster: Cluster) -> Slurm | Ray:
    """The launcher of a declared cluster; its `asks` is what the cluster would be asked for an order, as text."""
    match cluster:
        case SlurmCluster():
            return Slurm(cluster)
        case RayCluster():
            return Ray(cluster)
        case _:
            assert_never(cluster)
