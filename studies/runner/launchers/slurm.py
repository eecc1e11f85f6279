"""On a SLURM cluster: an array job of workers, each the same command as elsewhere, sharing run folders and queue.

How jobs stand is read from the run folders and the queue, how workers stand from `squeue`; `sacct` needs a database of
accounts that many clusters lack. Elements of the array bring themselves back: one that is told to stop, because its
time ends or somebody more urgent needs the node, writes its checkpoint, puts its job into the queue and asks to be
requeued; SLURM requeues those whose node is lost. So work goes on while no command watches it.

submitit is not used: it hands over pickled callables where a worker is one readable command, it requeues only what it
has pickled, and it learns the state of jobs from sacct. What is left of it is the batch script (`slurm_script`).
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.command_line import BAD_INPUT
from core.errors import InputError
from core.files import make_folder, write_whole
from core.locks import FileLock, is_held
from core.reading import last_text
from core.words import last_line, visible
from studies.runner.clusters import SlurmCluster
from studies.runner.launchers.crew import Crew, End, Streak
from studies.runner.launchers.slurm_script import BEFORE_LISTENING, Submission, script
from studies.runner.order import TOLD_TO_STOP, TrainingOrder, WorkersLost
from studies.stores import QUEUE_VARIABLE

COMMAND_SECONDS = 60.0
"""A controller that says nothing for so long does not answer."""

ENDED = frozenset(
    ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED")
) | {"TIMEOUT"}
"""States that an element does not leave by itself."""

UNREACHABLE = ("Unable to contact", "timed out", "Connection refused", "Zero Bytes", "temporarily")
"""In what sbatch says where the same command may work later."""

THE_JOBS_OWN = frozenset(("FAILED", "OUT_OF_MEMORY"))
"""Ends that the next attempt at the same job would meet again."""


@dataclass(frozen=True)
class Element:
    """An element of an array as `squeue` shows it."""

    id: str
    state: str
    restarts: int
    reason: str

    @property
    def worker(self) -> str:
        return f"slurm-{self.id}.{self.restarts}"

    @property
    def array(self) -> str:
        return self.id.split("_")[0]


class Fleet(Crew):
    """The workers of one order on the cluster, as this command sees them: others may watch them, too.

    There are as many as jobs wait for and as the cluster's entry allows; those that are lost are replaced. Stopping the
    command leaves them on the cluster, where work goes on; the same command attaches to them.

    `alive` are elements by their ids, `place` is the streak of all of them, `ends_seen` are names of files with exit
    codes that this command has taken in.
    """

    def __init__(self, cluster: SlurmCluster, order: TrainingOrder, say: Callable[[str], None]) -> None:
        super().__init__(order, say)
        self.cluster = cluster
        self.look_seconds = cluster.poll_seconds
        self.submission = Submission(order)
        self.folder = self.submission.folder
        make_folder(self.folder)
        self.marker = self.folder / f"{uuid.uuid4().hex[:8]}.attached"
        self.submitting = FileLock(self.folder / "submit.lock")
        self.alive: dict[str, Element] = {}
        self.ends_seen: set[str] = set()
        self.hung: set[str] = set()
        self.place = Streak()
        self.cancelled = self.silent = False
        self.refused = ""
        self.unended: int | None = None

    def run(self, *, stop: Callable[[], bool], tick: Callable[[], None]) -> None:
        """See `Crew`. Tells other commands that this one watches, too."""
        with FileLock(self.marker):
            self.attach()
            super().run(stop=stop, tick=tick)

    # --- the life of the launcher -------------------------------------------------------------------------------------

    def attach(self) -> None:
        """Finds workers that an earlier command left. Raises InputError where this is no cluster."""
        missing = [name for name in ("sbatch", "squeue", "scancel") if shutil.which(name) is None]
        if missing:
            raise InputError(f"{missing[0]} is not here: give this command on a machine that submits to the cluster")
        try:
            elements = self.elements()
        except NoAnswer as error:
            raise InputError(f"the cluster's controller does not answer: {error}") from None
        self.alive = {element.id: element for element in elements if element.state not in ENDED}
        with self.submitting:
            for worker, code in self.new_ends():
                # Nobody watched; what else ended meanwhile says nothing of how things are now.
                if _crashed(code) and self.queue.held_by(worker) is not None:
                    self.on_death(worker, self.end_of(worker, code))
            self.release_ended(elements)
        if self.is_alone():
            self.tidy()
        if self.alive:
            arrays = self.arrays()
            called = f"array job{'s' * (len(arrays) > 1)} {', '.join(arrays)}"
            self.say(f"{len(self.alive)} workers are on the cluster already, {called}")

    def take_in(self) -> None:
        """Nothing: the cluster is asked as often as the queue."""

    def look(self) -> bool:
        """See `Crew`. Takes in what happened to workers before; takes back those that nothing is left for."""
        with self.submitting:
            self.collect_exits()
            try:
                elements = self.elements()
                self.compare(elements)
                self.release_ended(elements)
                self.silent = False
            except NoAnswer as error:
                if not self.silent:
                    self.say(f"the cluster's controller does not answer, workers go on without it: {error}")
                self.silent = True
            self.end_hung()
            self.release_orphans()
            is_left = self.fill()
        if not is_left and self.is_alone():
            self.cancel([element.id for element in self.alive.values() if element.state == "PENDING"])
            self.submission.order_file.unlink(missing_ok=True)
            self.tidy()
        return is_left

    def has_stopped(self) -> bool:
        """See `Crew`. Work goes on without the command: it says what stays behind."""
        if self.alive:
            arrays = " ".join(self.arrays())
            self.say(f"{len(self.alive)} workers go on without this command; `scancel {arrays}` ends them")
        return True

    def close(self) -> None:
        """See `Crew`."""
        self.marker.unlink(missing_ok=True)

    def is_alone(self) -> bool:
        """Whether no other command is attached to these workers."""
        return not any(is_held(marker) for marker in self.folder.glob("*.attached") if marker != self.marker)

    def tidy(self) -> None:
        """Removes exit codes and empty logs of workers that have ended."""
        for file in (*self.folder.glob("*.ended"), *self.folder.glob("*.txt")):
            element = file.stem.removeprefix("slurm-").split(".")[0]
            if element not in self.alive and (file.suffix == ".ended" or file.stat().st_size == 0):
                file.unlink(missing_ok=True)

    # --- what happened to workers -------------------------------------------------------------------------------------

    def new_ends(self) -> list[tuple[str, int]]:
        """Workers whose exit codes this command reads for the first time, with these."""
        ends = []
        for file in sorted(self.folder.glob("*.ended")):
            code = last_text(file, 100).strip()
            if file.name not in self.ends_seen and code.isdigit():
                self.ends_seen.add(file.name)
                ends.append((file.stem, int(code)))
        return ends

    def collect_exits(self) -> None:
        """Reads the exit codes that workers left. Raises InputError where one found the input unusable."""
        for worker, code in self.new_ends():
            if code == BAD_INPUT:
                self.cancel(list(self.alive))
                raise InputError(self.last_words(worker))
            if _crashed(code):
                self.on_death(worker, self.end_of(worker, code))
            elif code in BEFORE_LISTENING:
                self.last_death = "they are told to stop before they have begun"
                self.place.note(killed=True, recorded=False)
            elif code == 0 and self.queue.waiting(self.order.digests) and not self.queue.has_claimed(worker):
                self.last_death = f"they find no job though some wait: do they see the same {QUEUE_VARIABLE} and files?"
                self.place.note(killed=False, recorded=False)

    def end_hung(self) -> None:
        """Ends workers whose loops hang: to the cluster they are processes that run."""
        for element in self.alive.values():
            if element.state != "RUNNING":
                continue
            silent = self.silence.too_long(self.queue.worker_lock(element.worker))
            if silent is not None:
                self.say(f"worker {element.id} was silent for {silent:.0f} s: it was ended")
                self.cancel(["--signal=KILL", element.id])
                self.hung.add(element.worker)
                self.ends_seen.add(f"{element.worker}.ended")
                self.on_death(element.worker, End.of_hang(self.lines(element.worker)))

    def compare(self, elements: Sequence[Element]) -> None:
        """Compares what the cluster shows with what it showed before."""
        now = {element.id: element for element in elements}
        for before in self.alive.values():
            element = now.get(before.id)
            if element is None:
                self.say(f"worker {before.id} is not on the cluster any more")
            elif element.state == "CANCELLED":
                self.cancelled = True
                self.say(f"worker {before.id} was cancelled on the cluster")
            elif element.state in ENDED and not self.exit_file(element.worker).exists():
                self.ends_seen.add(f"{element.worker}.ended")
                if element.state in THE_JOBS_OWN:
                    killed, words = element.state == "OUT_OF_MEMORY", self.lines(element.worker)
                    self.on_death(element.worker, End(f"ended as {element.state}", killed=killed, words=words))
                elif element.state != "COMPLETED":
                    self.say(f"worker {element.id} ended as {element.state}: its job will be resumed")
            elif element.restarts > before.restarts:
                self.say(f"worker {element.id} was requeued ({element.restarts}. time), {_state(element)}")
        self.alive = {element.id: element for element in elements if element.state not in ENDED}

    def release_ended(self, elements: Sequence[Element]) -> None:
        """Has the jobs of workers put back that are over as far as the cluster knows, by their node's loss or their
        time limit, and left no exit code: on another host they seem alive for as long as they may be silent.
        """
        now, gone = {element.id: element for element in elements}, []
        for file in self.queue.worker_lock("any").parent.glob("slurm-*.heartbeat"):
            worker = file.stem
            ended = self.exit_file(worker)
            if (not ended.exists() or ended.name in self.ends_seen) and self.is_over(worker, now):
                gone.append(worker)
        if gone:
            self.queue.release_orphans(gone)

    def is_over(self, worker: str, now: Mapping[str, Element]) -> bool:
        """Whether the cluster has ended this start of an element of ours, or knows it no longer."""
        id, _, start = worker.removeprefix("slurm-").rpartition(".")
        if id not in now:
            return self.log(worker).exists()
        return int(start) < now[id].restarts or now[id].state in ENDED

    def exit_file(self, worker: str) -> Path:
        """Where the worker's script leaves its exit code, which says more than the state that the cluster shows."""
        return self.folder / f"{worker}.ended"

    def on_death(self, worker: str, end: End) -> None:
        """A worker crashed: its job is resumed, or given up."""
        self.last_death = f"the log is {self.log(worker)}: {self.last_words(worker)}"
        # For other commands that watch: a death counts once.
        write_whole(self.exit_file(worker), b"counted\n")
        if (line := self.release_lost(worker, end, self.place)) is not None:
            self.say(f"worker {worker} {line}")

    def end_of(self, worker: str, code: int) -> End:
        """How a worker ended whose script left this code: a shell's, with 128 added to the number of a signal."""
        return End.of(128 - code if 128 < code < 128 + signal.NSIG else code, self.lines(worker))

    # --- how many there should be -------------------------------------------------------------------------------------

    def fill(self) -> bool:
        """Submits workers for jobs that wait beyond what idle workers will claim. False when all has ended."""
        waiting = len(self.queue.waiting(self.order.digests))
        running = len(self.queue.running(self.order.digests))
        if not waiting and not running:
            return False
        if self.unended is not None and waiting + running < self.unended:
            self.place = Streak()
        self.unended = waiting + running
        # One that hung may not end at all, as where its node waits for a file system.
        useful = [element for element in self.alive.values() if element.worker not in self.hung]
        idle = sum(self.queue.held_by(element.worker) is None for element in useful)
        missing = min(waiting - idle, self.order.workers - len(useful))
        if missing <= 0 or self.silent:
            return True
        if not self.place.given_up and not self.cancelled:
            self.submit(missing)
        elif not useful:
            if self.cancelled:
                raise WorkersLost("the workers were cancelled on the cluster: the same command submits new ones")
            raise WorkersLost(f"workers keep dying, {self.last_death}")
        return True

    def submit(self, count: int) -> None:
        """Hands one array to the cluster. Raises InputError with what sbatch says."""
        self.order.write(self.submission.order_name)
        file = self.folder / "submitted.sh"
        write_whole(file, script(self.cluster, self.submission, count).encode())
        try:
            job = _asked("sbatch", "--parsable", str(file)).strip().split(";")[0]
        except NoAnswer as error:
            # What works goes on, with as many workers as the cluster allows.
            if not self.alive and not any(words in str(error) for words in UNREACHABLE):
                raise InputError(f"the cluster refuses the workers: {error}; the script is {file}") from None
            if str(error) != self.refused:
                self.refused = str(error)
                self.say(f"{count} more workers were not accepted, which is tried again: {error}")
            return
        self.say(f"submitted {count} workers as array job {job}")
        self.alive |= {f"{job}_{index}": Element(f"{job}_{index}", "PENDING", 0, "None") for index in range(count)}

    # --- asking the cluster -------------------------------------------------------------------------------------------

    def elements(self) -> list[Element]:
        """All elements of this name that the controller remembers, ended ones for some minutes."""
        shown = "JobArrayID:64,State:32,RestartCnt:16,Reason:256"
        text = _asked(
            "squeue", "--me", f"--name={self.submission.name}", "--array", "--states=all", "--noheader", "-O", shown
        )
        rows = (line.split(maxsplit=3) for line in text.splitlines() if line.strip())
        return [Element(row[0], row[1], int(row[2]), row[3].strip() if len(row) > 3 else "None") for row in rows]

    def cancel(self, ids: Sequence[str]) -> None:
        """Ends these elements; one that has ended by itself is none the worse."""
        if ids:
            subprocess.run(["scancel", *ids], capture_output=True, timeout=COMMAND_SECONDS, check=False)

    def arrays(self) -> list[str]:
        """The array jobs that the living workers belong to."""
        return sorted({element.array for element in self.alive.values()}, key=int)

    def log(self, worker: str) -> Path:
        """What the workers in this element's place printed."""
        return self.folder / f"{worker.removeprefix('slurm-').rsplit('.', 1)[0]}.txt"

    def lines(self, worker: str) -> list[str]:
        """Its lines that are not SLURM's own."""
        printed = last_text(self.log(worker)).splitlines()
        return [line for line in printed if line.strip() and not line.startswith(("srun: ", "slurmstepd"))]

    def last_words(self, worker: str) -> str:
        """The last of these."""
        return visible(lines[-1]) if (lines := self.lines(worker)) else "it printed nothing"


class NoAnswer(RuntimeError):
    """A command of SLURM's failed; the message is its last line."""


def _asked(*command: str) -> str:
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoAnswer(str(error)) from None
    if ended.returncode != 0:
        raise NoAnswer(visible(last_line(ended.stderr)) or f"{command[0]} ended with code {ended.returncode}")
    return ended.stdout


def _crashed(code: int) -> bool:
    return code not in (0, BAD_INPUT, TOLD_TO_STOP, *BEFORE_LISTENING)


def _state(element: Element) -> str:
    reason = "" if element.reason in ("None", "") else f", {element.reason}"
    return f"now {element.state}{reason}"
