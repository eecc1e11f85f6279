"""On a Ray: each worker is the same command as elsewhere, started by an actor that Ray places on some node.

The actor reserves the worker's share of the node, starts the command there as a process of its own, and says how it
stands. How jobs stand is read from the run folders and the queue. Ray restarts nothing: what has to be tried again is a
job from its checkpoint, and one rule decides about that for all launchers (`studies.runner.deaths`). Actors belong to
the command that started them. A worker whose actor is gone, however it went, notices that its input ended, writes its
checkpoint and stops.

Imports ray where it is needed: a dry run and other launchers do without.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import InputError
from core.files import emptied
from core.machine import cores
from core.metrics.identity import INCEPTION_VARIABLE
from core.processes import ROOT, SAFE_PATH, path_of, python
from core.words import last_line, visible
from studies.runner.environment import forbid_telemetry, share_of_machine
from studies.runner.heartbeat import Silence
from studies.runner.launchers.crew import End, OwnCrew, Slot
from studies.runner.order import TrainingOrder
from studies.runner.worker import TRAINER_VARIABLE
from studies.stores import QUEUE_VARIABLE

if TYPE_CHECKING:
    from studies.runner.clusters import RayCluster

ROOM_SECONDS = 20.0
"""After so long without room for a worker it is said what none of the nodes has."""
KNOCK_SECONDS = 10.0
"""For so long the address of a cluster may take to answer."""
KILL_SECONDS = 10.0
"""For so long a node may take to answer that it killed a worker."""
GONE_SECONDS = 180.0
"""Silence after which a worker on another host, whose actor is gone, is gone too. A node that is cut off gives up after
a minute, and its workers within another one (`studies.runner.worker.PARENT_GONE_GRACE_SECONDS`)."""

OBJECT_STORE_BYTES = 80 * 1024**2
"""Of a Ray that this command starts: near the least that Ray takes, since nothing is handed over by it."""

INSTALL = "pip install 'ray>=2.60,<3'"


def reserved(cluster: RayCluster) -> dict[str, Any]:
    """Ray's reservation for each worker, as options of an actor."""
    amounts = {
        "num_cpus": cluster.cpus,
        "num_gpus": cluster.gpus or None,
        "memory": cluster.memory_bytes,
        "resources": cluster.resources or None,
    }
    return {name: value for name, value in amounts.items() if value is not None}


def carried() -> dict[str, str]:
    """The part of this environment that a worker on another machine needs: where weights and the queue are."""
    plain = (QUEUE_VARIABLE, TRAINER_VARIABLE)
    mine = {name: value for name, value in os.environ.items() if name in plain or name.startswith("PG")}
    if INCEPTION_VARIABLE in os.environ:
        mine[INCEPTION_VARIABLE] = str(Path(os.environ[INCEPTION_VARIABLE]).absolute())
    return mine


def arguments(module: str, order_file: Path | str, name: str) -> list[str]:
    """Those with which Python is a worker of an order."""
    return python(module, str(order_file), name, "--follow-parent")[1:]


def actors_path(cluster: RayCluster) -> str:
    """PYTHONPATH of an actor, in which Ray replaces ${...} by what the node has, and by nothing where it has none."""
    if cluster.address is None:
        return path_of(os.environ.get("PYTHONPATH", ""))
    # An empty entry would be the working folder: with the stroke behind it the last one is the same, or the root.
    return f"{ROOT}{os.pathsep}${{PYTHONPATH}}{os.sep}"


def request(cluster: RayCluster, order: TrainingOrder) -> str:
    """What Ray would be asked for `order.workers` workers, as text."""
    where = cluster.address or "started on this machine for the length of the command"
    options = ", ".join(f"{name}={value!r}" for name, value in reserved(cluster).items())
    orders = shlex.quote(str(order.runs / "queue" / "orders"))
    gpu = "CUDA_VISIBLE_DEVICES=<what Ray shares out>" if order.device == "cuda" else "CUDA_VISIBLE_DEVICES="
    worker = arguments(order.module, f"{orders}/<order>.json", "<order>-<number>")
    return (
        f"Ray {where}\nactors: {order.workers}, each with {options}\n"
        f"each starts: {gpu} OMP_NUM_THREADS={order.threads} "
        f"{' '.join([shlex.quote(cluster.python or 'python'), *worker])}"
    )


@contextmanager
def connected(cluster: RayCluster) -> Iterator[Any]:
    """The module ray, connected to the cluster, or to a Ray of this machine's that lives as long as this."""
    forbid_telemetry()
    try:
        import ray
    except ModuleNotFoundError:
        raise InputError(f'kind = "ray" needs Ray, which is not installed: install the extra, {INSTALL}') from None
    # An actor imports this module, and leaves it to its worker to end when the actor goes: Ray would kill it.
    environment = {
        "PYTHONPATH": actors_path(cluster),
        SAFE_PATH: "1",
        "RAY_kill_child_processes_on_worker_exit": "0",
    }
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": {"env_vars": environment},
    }
    if cluster.address is None:
        options |= {
            "address": "local",
            "num_cpus": cores(),
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
        }
    else:
        options["address"] = cluster.address
    if cluster.address is None or not cluster.address.startswith("ray://"):  # A client has no folder there.
        options["job_config"] = _without_folder(ray)
    with _own_signals():
        try:
            if cluster.address is not None and cluster.address != "auto":
                _knock(cluster.address)
            ray.init(**options)
        except Exception as error:  # Ray raises plain ones too, as where its node does not start in time.
            where = cluster.address or "on this machine"
            raise InputError(f"Ray {where} is not there for us: {_line(error)}") from None
    try:
        yield ray
    finally:
        with _own_signals():
            ray.shutdown()


def _without_folder(ray: Any) -> Any:
    """A job config with which actors do not look for modules in the command's working folder."""

    class Job(ray.job_config.JobConfig):  # type: ignore[misc]
        def _runtime_env_has_working_dir(self) -> bool:
            # Ray asks no more than this before it adds the folder, and has no option for it.
            return True

    return Job()


def _knock(address: str) -> None:
    """Raises OSError where nothing answers, for which Ray would wait for minutes."""
    host, _, port = address.removeprefix("ray://").partition(":")
    with socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS):
        pass


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself, which asks this command to stop."""
    mine = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in mine.items():
                signal.signal(number, handler)


class WorkerProcess:
    """The actor: a worker's process on the node that Ray chose, and how it stands."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        executable: str | None,
        arguments: Sequence[str],
        log: str,
        threads: int,
        device: Literal["cpu", "cuda"],
        carried: dict[str, str],
    ) -> str:
        """Starts the worker, once, and returns the node's id."""
        import ray

        if self.process is None:
            shared_out = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            gpus = (shared_out,) if device == "cuda" else ()
            own = executable or sys.executable
            share = share_of_machine(0, threads=threads, gpus=gpus, executable=own)
            with emptied(Path(log)) as stream:
                self.process = subprocess.Popen(
                    [own, *arguments],
                    env={**share, **carried},
                    stdin=subprocess.PIPE,
                    stdout=stream,
                    stderr=stream,
                    start_new_session=True,
                )
        return str(ray.get_runtime_context().get_node_id())

    def code(self) -> int | None:
        """The exit code, None while the worker lives."""
        assert self.process is not None
        return self.process.poll()

    def terminate(self) -> None:
        """Asks the worker to stop."""
        if self.process is not None:
            self.process.terminate()

    def kill(self) -> None:
        """Ends the worker, and returns when it has ended."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass
class RaySlot(Slot):
    """The actor in it is replaced when it or its worker dies.

    `answer` is awaited from the actor, `node` is where it is, None until Ray has found room. `loss` says how the actor
    went.
    """

    actor: Any = None
    answer: Any = None
    since: float = 0.0
    node: str | None = None
    loss: End | None = None


class RayCrew(OwnCrew[RaySlot]):
    """Workers that actors start, wherever Ray finds room: as many as jobs wait for and as the cluster's entry allows.

    Losing a node counts against no job.
    """

    def __init__(self, ray: Any, cluster: RayCluster, order: TrainingOrder, say: Callable[[str], None]) -> None:
        super().__init__(order, say, [RaySlot(index) for index in range(order.workers)])
        self.ray, self.cluster = ray, cluster
        self.look_seconds = cluster.poll_seconds
        self.actors = ray.remote(WorkerProcess).options(max_restarts=0, **reserved(cluster))
        self.gone = Silence(GONE_SECONDS)
        self.polled = float("-inf")
        self.said_no_room = False

    def start(self, slot: RaySlot) -> None:
        """Asks Ray for an actor; the worker starts when there is room for it."""
        slot.actor, slot.since, slot.state = self.actors.remote(), time.monotonic(), "starts"
        self._ask(slot)

    def ask_to_stop(self) -> None:
        """See `OwnCrew`. Workers that wait for room are not needed any more."""
        for slot in self.alive:
            if slot.state == "starts":
                self._dismiss(slot)
                slot.state = "empty"
            else:
                slot.actor.terminate.remote()

    def kill(self, slot: RaySlot) -> None:
        """See `OwnCrew`."""
        slot.actor.kill.remote()

    def take_in(self) -> None:
        """See `Crew`: of other machines it is asked no oftener than the cluster's `poll_seconds`."""
        if time.monotonic() - self.polled >= self.cluster.poll_seconds:
            self.polled = time.monotonic()
            super().take_in()

    def ends(self) -> Iterator[tuple[RaySlot, int | End]]:
        """See `OwnCrew`. Raises InputError where there will be no room for any."""
        awaited = {slot.answer: slot for slot in self.alive}
        ready = self.ray.wait(list(awaited), num_returns=len(awaited), timeout=0)[0] if awaited else []
        for slot in (awaited[answer] for answer in ready):
            end = self._end_of(slot)
            if end is not None:
                self._dismiss(slot)
                yield slot, end
        self._look_for_room()
        for slot in self.slots:
            if slot.loss is not None and not self._still_trains(slot):
                end, slot.loss = replace(slot.loss, words=slot.lines), None
                yield slot, end

    def kill_all(self) -> list[RaySlot]:
        """See `OwnCrew`. A worker that cannot be reached ends without its actor."""
        killed = {slot.actor.kill.remote(): slot for slot in self.alive if slot.state == "works"}
        answered = self.ray.wait(list(killed), num_returns=len(killed), timeout=KILL_SECONDS)[0] if killed else []
        for slot in self.alive:
            self._dismiss(slot)
        return [killed[answer] for answer in answered]

    def _ask(self, slot: RaySlot) -> None:
        """Has the actor start its worker, or say how that stands."""
        if slot.state == "works":
            slot.answer = slot.actor.code.remote()
            return
        order = self.order
        worker = arguments(order.module, self.file, slot.name)
        slot.answer = slot.actor.start.remote(
            self.cluster.python, worker, str(slot.log), order.threads, order.device, carried()
        )

    def _end_of(self, slot: RaySlot) -> int | End | None:
        """How the worker has ended, as its actor says, which is asked anew where it has not."""
        errors = self.ray.exceptions
        try:
            answer = self.ray.get(slot.answer)
        except errors.ActorUnavailableError:
            self._ask(slot)
            return None
        except errors.RayActorError as error:
            self._lose(slot, error)
            return None
        except errors.RayTaskError as error:
            return End("cannot be started", killed=False, words=[_line(error)], reason=_line(error))
        if slot.state == "starts":
            slot.node, slot.state = answer, "works"
        elif answer is not None:
            code: int = answer
            return code
        self._ask(slot)
        return None

    def _lose(self, slot: RaySlot, error: Any) -> None:
        """The actor is gone. Its worker ends itself, which may take a while."""
        living, reason = {node["NodeID"] for node in self.ray.nodes() if node["Alive"]}, _line(error)
        if error.actor_init_failed:
            slot.loss = End("cannot be started", killed=False, reason=reason)
        elif slot.node not in living:
            slot.loss = End("was lost with its node", killed=True, lost=True, reason=reason)
        else:
            slot.loss = End("was ended by Ray", killed=True, reason=reason)
        self.say(f"worker {slot.number} {slot.loss.how}: {reason}")
        slot.actor = slot.answer = slot.node = None
        slot.state = "lost"

    def _still_trains(self, slot: RaySlot) -> bool:
        lock, claim = self.queue.worker_lock(slot.name), self.queue.held_by(slot.name)
        if claim is None:
            return self.gone.alive(lock)
        return self.gone.trained(lock, self.folder_of(claim.digest).lock_file)

    def _look_for_room(self) -> None:
        """Says once what no node has. Raises InputError where none will have it."""
        waits = [s for s in self.alive if s.state == "starts" and time.monotonic() - s.since > ROOM_SECONDS]
        if not waits or self.said_no_room:
            return
        self.said_no_room = True
        cluster = self.cluster
        amounts = {"CPU": float(cluster.cpus), "GPU": cluster.gpus, "memory": float(cluster.memory_bytes or 0)}
        amounts |= cluster.resources
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if any(all(node.get(name, 0.0) >= amount for name, amount in amounts.items()) for node in nodes):
            return
        wanted = ", ".join(f"{name} {amount:g}" for name, amount in amounts.items() if amount)
        if cluster.address is None:
            raise InputError(f"this machine has no room for a worker with {wanted}: ask for less in the entry")
        self.say(f"no node of Ray {cluster.address} has {wanted}: {len(waits)} workers wait for one")

    def _dismiss(self, slot: RaySlot) -> None:
        """Gives the actor's share of its node back."""
        self.ray.kill(slot.actor)
        slot.actor = slot.answer = slot.node = None


def _line(error: BaseException) -> str:
    """The last line of what Ray says: it tells the reason, after where it happened."""
    return visible(last_line(str(error)) or type(error).__name__)[:300]
