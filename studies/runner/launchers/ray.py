"""On a Ray: each worker is the same command as elsewhere, started by an actor that Ray places on some node.

The actor reserves the worker's share of the node, starts the command there as a process of its own, and says how it
stands. How jobs stand is read from the run folders and the queue. Ray restarts nothing: what has to be tried again is a
job from its checkpoint, and one rule decides about that for all launchers (`studies.runner.deaths`). Actors belong to
the command that started them. A worker whose actor is gone, however it went, notices that its input ended, writes its
checkpoint and stops.

Imports ray where it is needed: a dry run, and whoever has other launchers, does without.
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
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import InputError
from core.files import emptied, make_folder
from core.folder import RunFolder
from core.machine import cores
from core.metrics.identity import INCEPTION_VARIABLE
from core.processes import ROOT, SAFE_PATH, path_of, python
from core.words import last_line, visible
from studies.plan import jobs_root
from studies.runner.environment import forbid_telemetry, share_of_machine
from studies.runner.heartbeat import Silence, forget
from studies.runner.launchers.crew import End, Slot, settle_death
from studies.runner.order import NO_ROOM, WorkersLost
from studies.runner.stores import Unreachable
from studies.stores import QUEUE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from studies.runner.launchers.declared import RayCluster
    from studies.runner.order import Shared, Work

TICK_SECONDS = 0.2
ORPHANS_SECONDS = 10.0

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

UNUSABLE_INPUT = 2

INSTALL = "pip install 'ray>=2.60,<3'"


def reserved(cluster: RayCluster) -> dict[str, Any]:
    """What Ray is asked to reserve for each worker, as options of an actor."""
    asked = {
        "num_cpus": cluster.cpus,
        "num_gpus": cluster.gpus or None,
        "memory": cluster.memory_bytes,
        "resources": cluster.resources or None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def carried() -> dict[str, str]:
    """What a worker on another machine needs of this process's environment: where weights and the queue are."""
    mine = {name: value for name, value in os.environ.items() if name == QUEUE_VARIABLE or name.startswith("PG")}
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


class Ray:
    """Has Ray place as many workers as jobs wait for and as the cluster's entry allows, and replaces those that die.

    A job whose worker died goes back into the queue and is resumed, until its deaths are alike or without end
    (`studies.runner.deaths`). Losing a node counts against no job. Stopping the command stops the workers.
    """

    def __init__(self, cluster: RayCluster) -> None:
        self.cluster = cluster

    def asks(self, order: Work) -> str:
        """See `studies.runner.launchers.ClusterLauncher`."""
        where = self.cluster.address or "started on this machine for the length of the command"
        options = ", ".join(f"{name}={value!r}" for name, value in reserved(self.cluster).items())
        executable = shlex.quote(self.cluster.python or "python")
        orders = shlex.quote(str(order.runs / "queue" / "orders"))
        gpu = "CUDA_VISIBLE_DEVICES=<what Ray shares out>" if order.device == "cuda" else "CUDA_VISIBLE_DEVICES="
        worker = " ".join([executable, *arguments(order.module, f"{orders}/<order>.json", "<order>-<number>")])
        return (
            f"Ray {where}\nactors: {order.workers}, each with {options}\n"
            f"each starts: {gpu} OMP_NUM_THREADS={order.threads} {worker}"
        )

    def run(
        self, order: Work, *, stop: Callable[[], bool], tick: Callable[[], None], say: Callable[[str], None]
    ) -> None:
        """See `studies.runner.launchers.Launcher`."""
        with _connected(self.cluster) as ray:
            crew = _Crew(ray, self.cluster, order, say)
            looked = orphans = float("-inf")
            asked = False
            try:
                while True:
                    tick()
                    now = time.monotonic()
                    if stop() and not asked:
                        asked = True
                        crew.stop()
                    elif now - looked >= self.cluster.poll_seconds:
                        looked = now
                        try:
                            crew.look()
                            if asked and not crew.alive:
                                return
                            crew.bury()
                            if not asked and now - orphans >= ORPHANS_SECONDS and crew.all_live():
                                orphans = now
                                crew.queue.release_orphans()
                            if not asked and not crew.fill():
                                return
                        except Unreachable:
                            # Asked to stop while the queue is gone: workers are told, and write their checkpoints.
                            if not stop():
                                raise
                    time.sleep(TICK_SECONDS)
            finally:
                crew.kill()


@contextmanager
def _connected(cluster: RayCluster) -> Iterator[Any]:
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
    """What keeps the command's working folder from being the first place in which actors look for modules."""

    class Job(ray.job_config.JobConfig):  # type: ignore[misc]
        def _runtime_env_has_working_dir(self) -> bool:
            # Ray asks no more than this before it adds the folder, and has no option for it.
            return True

    return Job()


def _knock(address: str) -> None:
    """Raises OSError where nobody answers: Ray would try for minutes."""
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


class _Process:
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
class _Slot(Slot):
    """The actor in it is replaced when it or its worker dies.

    `asked` is the answer that is awaited from the actor, `node` where it is, None until Ray has found room. `lost` says
    how the actor went; its worker may still write its checkpoint then.
    """

    actor: Any = None
    asked: Any = None
    since: float = 0.0
    node: str | None = None
    lost: End | None = None


class _Crew:
    """The workers of one order, each in its slot."""

    def __init__(self, ray: Any, cluster: RayCluster, order: Work, say: Callable[[str], None]) -> None:
        self.ray, self.cluster, self.order, self.say = ray, cluster, order, say
        self.queue: Shared = order.queue()
        self.id = uuid.uuid4().hex[:8]
        self.file = order.write(self.id)
        self.actors = ray.remote(_Process).options(max_restarts=0, **reserved(cluster))
        self.slots = [_Slot(index) for index in range(order.workers)]
        self.silence = Silence(order.hang_seconds)
        self.gone = Silence(GONE_SECONDS)
        self.started = 0
        self.last_death = ""
        self.said_no_room = False

    @property
    def alive(self) -> list[_Slot]:
        """Slots with an actor, placed or waiting for room."""
        return [slot for slot in self.slots if slot.actor is not None]

    # --- how many there should be -------------------------------------------------------------------------------------

    def fill(self) -> bool:
        """Starts workers for jobs that wait beyond what idle workers will claim. False when all has ended."""
        waiting = len(self.queue.waiting(self.order.digests))
        running = self.queue.running(self.order.digests)
        busy = [slot for slot in self.slots if slot.node is not None or slot.lost is not None]
        if not waiting and not running and not busy:
            return False
        idle = sum(self.queue.held_by(slot.name) is None for slot in self.alive)
        usable = [s for s in self.slots if s.actor is None and s.lost is None and not s.deaths.given_up]
        if waiting and not usable and not self.alive and not busy:
            raise WorkersLost(f"workers keep dying, {self.last_death}")
        for slot in usable[: max(0, waiting - idle)]:
            self.start(slot)
        return True

    def start(self, slot: _Slot) -> None:
        """Asks Ray for an actor; the worker starts when there is room for it."""
        self.started += 1
        slot.name = f"{self.id}-{self.started}"
        logs = self.order.runs / "queue" / "logs"
        make_folder(logs)
        slot.log, slot.hung, slot.since = logs / f"{slot.name}.txt", None, time.monotonic()
        slot.actor = self.actors.remote()
        self.ask(slot)

    def stop(self) -> None:
        """Asks the workers to write their checkpoints and end; those that wait for room are not needed any more."""
        for slot in self.alive:
            if slot.node is None:
                self.dismiss(slot)
            else:
                slot.actor.terminate.remote()

    # --- what happened to workers -------------------------------------------------------------------------------------

    def all_live(self) -> bool:
        """Whether no worker has an end that is still to be heard of, by which its job's deaths are counted."""
        placed = [slot for slot in self.alive if slot.node is not None]
        return all(self.silence.alive(self.queue.worker_lock(slot.name)) for slot in placed)

    def ask(self, slot: _Slot) -> None:
        if slot.node is not None:
            slot.asked = slot.actor.code.remote()
            return
        order = self.order
        worker = arguments(order.module, self.file, slot.name)
        slot.asked = slot.actor.start.remote(
            self.cluster.python, worker, str(slot.log), order.threads, order.device, carried()
        )

    def look(self) -> None:
        """Takes in how workers stand. Raises InputError where one found the input unusable, and where there will be no
        room for any."""
        awaited = {slot.asked: slot for slot in self.alive}
        if not awaited:
            return
        ready, _ = self.ray.wait(list(awaited), num_returns=len(awaited), timeout=0)
        for slot in (awaited[answer] for answer in ready):
            self.hear(slot)
        for slot in self.alive:
            lock = self.queue.worker_lock(slot.name)
            if slot.hung is None and (silent := self.silence.too_long(lock)) is not None:
                slot.hung = silent
                slot.actor.kill.remote()
        self.look_for_room()

    def hear(self, slot: _Slot) -> None:
        """Takes in an actor's answer and asks anew."""
        errors = self.ray.exceptions
        try:
            answer = self.ray.get(slot.asked)
        except errors.ActorUnavailableError:
            self.ask(slot)
            return
        except errors.RayActorError as error:
            self.lose(slot, error)
            return
        except errors.RayTaskError as error:
            self.dismiss(slot)
            self.last_death = _line(error)
            slot.deaths.note(killed=False, recorded=False)
            self.say(f"worker {slot.number} cannot be started: {self.last_death}")
            return
        if slot.node is None:
            slot.node = answer
        elif answer is not None:
            self.dismiss(slot)
            self.reap(slot, answer)
            return
        self.ask(slot)

    def lose(self, slot: _Slot, error: Any) -> None:
        """The actor is gone. Its worker ends itself, which may take a while; `bury` waits for that."""
        living = {node["NodeID"] for node in self.ray.nodes() if node["Alive"]}
        if error.actor_init_failed:
            slot.lost = End("cannot be started", killed=False)
        elif slot.node not in living:
            slot.lost = End("was lost with its node", killed=True, lost=True)
        else:
            slot.lost = End("was ended by Ray", killed=True)
        self.last_death = _line(error)
        self.say(f"worker {slot.number} {slot.lost.how}: {self.last_death}")
        slot.actor = slot.asked = slot.node = None

    def bury(self) -> None:
        """Looks after the jobs of workers that were lost, once those train no more."""
        for slot in self.slots:
            if slot.lost is None:
                continue
            lock, claim = self.queue.worker_lock(slot.name), self.queue.held_by(slot.name)
            if claim is None:
                lives = self.gone.alive(lock)
            else:
                lives = self.gone.trained(lock, RunFolder(jobs_root(self.order.runs), claim.digest).lock_file)
            if lives:
                continue
            end, slot.lost = replace(slot.lost, words=slot.said), None
            self.mourn(slot, end)

    def reap(self, slot: _Slot, code: int) -> None:
        """Looks after a worker that ended by itself or by a signal."""
        if code == UNUSABLE_INPUT:
            raise InputError(slot.last_words)
        if code == 0:
            self.remove_empty_log(slot)
            return
        end = End.of(code, slot.said)
        if slot.hung is not None:
            end = End.of_hang(slot.said)
            self.say(f"worker {slot.number} was silent for {slot.hung:.0f} s: it was ended")
        elif code == NO_ROOM:
            # As many as share the GPU may meet it, again and again: that is nothing against the slot.
            end = End("found no memory left on its part of a GPU", killed=True, words=slot.said)
        self.last_death = f"the log is {slot.log}: {slot.last_words}"
        self.mourn(slot, end)

    def mourn(self, slot: _Slot, end: End) -> None:
        """A worker is dead: its job is resumed, or given up."""
        if (told := settle_death(self.order, self.queue, slot.name, end, slot.deaths)) is not None:
            self.say(f"worker {slot.number} {told}")
        self.remove_empty_log(slot)

    def look_for_room(self) -> None:
        """Says once what no node has. Raises InputError where none will have it."""
        waits = [s for s in self.alive if s.node is None and time.monotonic() - s.since > ROOM_SECONDS]
        if not waits or self.said_no_room:
            return
        self.said_no_room = True
        cluster = self.cluster
        asked = {"CPU": float(cluster.cpus), "GPU": cluster.gpus, "memory": float(cluster.memory_bytes or 0)}
        asked |= cluster.resources
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if any(all(node.get(name, 0.0) >= amount for name, amount in asked.items()) for node in nodes):
            return
        wanted = ", ".join(f"{name} {amount:g}" for name, amount in asked.items() if amount)
        if cluster.address is None:
            raise InputError(f"this machine has no room for a worker with {wanted}: ask for less in the entry")
        self.say(f"no node of Ray {cluster.address} has {wanted}: {len(waits)} workers wait for one")

    # --- their traces -------------------------------------------------------------------------------------------------

    def dismiss(self, slot: _Slot) -> None:
        """Gives the actor's share of its node back."""
        self.ray.kill(slot.actor)
        slot.actor = slot.asked = slot.node = None

    def remove_empty_log(self, slot: _Slot) -> None:
        with suppress(FileNotFoundError):
            if slot.log.stat().st_size == 0:
                slot.log.unlink()

    def kill(self) -> None:
        """No worker outlives the launcher, whatever ended it: one that cannot be reached ends without its actor."""
        killed = {slot.actor.kill.remote(): slot for slot in self.alive if slot.node is not None}
        if killed:
            answered, _ = self.ray.wait(list(killed), num_returns=len(killed), timeout=KILL_SECONDS)
            ended = [killed[answer] for answer in answered]
            for slot in ended:
                forget(self.queue.worker_lock(slot.name))
            with suppress(Unreachable):  # Whoever reaches the queue next finds them.
                for slot in ended:
                    # Not lost: it says nothing of the job.
                    if (claim := self.queue.held_by(slot.name)) is not None:
                        self.queue.release(claim, again=True)
        for slot in self.alive:
            self.dismiss(slot)
            self.remove_empty_log(slot)
        self.file.unlink(missing_ok=True)


def _line(error: BaseException) -> str:
    """The last line of what Ray says: it tells the reason, after where it happened."""
    return visible(last_line(str(error)) or type(error).__name__)[:300]
