"""Launchers provide the processes that work off an order: this one, others of this machine, or those of a cluster that
the user has declared (`studies.runner.clusters`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from studies.runner.clusters import Cluster, RayCluster, SlurmCluster
from studies.runner.launchers.inline import work_here
from studies.runner.launchers.local import LocalCrew
from studies.runner.launchers.ray import RayCrew, connected, request
from studies.runner.launchers.slurm import Fleet
from studies.runner.launchers.slurm_script import Submission, script
from studies.runner.order import TrainingOrder


def launch(
    order: TrainingOrder, *, stop: Callable[[], bool], tick: Callable[[], None], say: Callable[[str], None]
) -> None:
    """Has the order's launcher work it off; returns when all of its jobs have ended, whichever command trained them, or
    after `stop()`.

    It calls `tick` a few times a second from the caller's thread and says notable things by `say`. Raises InputError
    where the jobs cannot be trained here, and `WorkersLost`.
    """
    match order.cluster:
        case None if order.launcher == "inline":
            work_here(order, stop=stop, tick=tick)
        case None:
            LocalCrew(order, say).run(stop=stop, tick=tick)
        case SlurmCluster() as cluster:
            Fleet(cluster, order, say).run(stop=stop, tick=tick)
        case RayCluster() as cluster:
            with connected(cluster) as ray:
                RayCrew(ray, cluster, order, say).run(stop=stop, tick=tick)
        case _:
            assert_never(order.cluster)


def submission(cluster: Cluster, order: TrainingOrder) -> str:
    """What the cluster would be asked for `order.workers` workers, as text. Asks nothing, and imports no ray."""
    match cluster:
        case SlurmCluster():
            return script(cluster, Submission(order), order.workers)
        case RayCluster():
            return request(cluster, order)
        case _:
            assert_never(cluster)
