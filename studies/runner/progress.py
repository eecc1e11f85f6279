"""What a person sees while jobs run: a live table on a terminal, plain lines elsewhere. Read from the run folders."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from core.events import Evaluated, Event, event_adapter
from core.folder import RunFolder
from core.words import visible
from studies.durations import clock, span
from studies.plan import jobs_root
from studies.run_state import log_tail, outcome_mark
from studies.runner.tasks import Task

MOST_ADDED = 2**22
"""Bytes of a record that are taken in at one look; the rest at the next."""
LOOK_SECONDS = 0.5
SUMMARY_SECONDS = 30.0
LEAST_SHOWN = 3
"""So many running jobs are shown on however low a terminal."""

STARTS_SAID = 4
"""More jobs that start together are said in one line."""

BARRED = 100
"""From so many columns on every job has its bar."""

STYLES = {"finished": "green", "diverged": "yellow", "failed": "bold red"}


class EventTail:
    """Follows one events.jsonl, reading only what was added; starts over where a resumed job has cut the file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self.iteration = 0
        self.value: float | None = None
        self.metric = ""
        self.evaluation_seconds = 0.0
        self._times: deque[tuple[int, float]] = deque(maxlen=8)

    def follow(self) -> None:
        """Takes in the complete lines that were added since the last call."""
        try:
            stat = self._file.stat()
        except FileNotFoundError:
            return
        identity = (stat.st_dev, stat.st_ino)
        if identity != self._identity or stat.st_size < self._offset:
            self._identity, self._offset = identity, 0
            self._times.clear()
        if stat.st_size == self._offset:
            return
        with self._file.open("rb") as stream:
            stream.seek(self._offset)
            added = stream.read(MOST_ADDED)
        complete = added[: added.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.splitlines():
            try:
                self._take(event_adapter.validate_json(line))
            except ValueError:
                self._offset = 0  # Cut and grown again between two looks: the next one reads it whole.
                return

    def _take(self, event: Event) -> None:
        self.iteration = event.iteration
        # A job may measure more than one thing; the first is what it is about.
        if isinstance(event, Evaluated) and self.metric in ("", event.metric):
            self.value, self.metric = event.value, event.metric
            self.evaluation_seconds = event.evaluation_seconds
        if not self._times or self.iteration > self._times[-1][0]:
            self._times.append((self.iteration, event.seconds))

    @property
    def speed(self) -> float | None:
        """Iterations a second over the last events."""
        if len(self._times) < 2 or self._times[-1][1] <= self._times[0][1]:
            return None
        (first, began), (last, ended) = self._times[0], self._times[-1]
        return (last - first) / (ended - began)

    def left(self, iterations: int, every: int) -> float | None:
        """Seconds until the last iteration, evaluations included."""
        if self.speed is None:
            return None
        evaluations = iterations // every - self.iteration // every
        return (iterations - self.iteration) / self.speed + evaluations * self.evaluation_seconds


class StudyProgress:
    """Shows the jobs of one command. Call `look` often; it does something twice a second."""

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        runs: Path,
        workers: int,
        running: Callable[[], Collection[str]],
        console: Console,
    ) -> None:
        self._tasks = {task.digest: task for task in tasks}
        self._folders = {task.digest: RunFolder(jobs_root(runs), task.digest) for task in tasks}
        self._marks = {digest: outcome_mark(folder) for digest, folder in self._folders.items()}
        self._tails: dict[str, EventTail] = {}
        self._started: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self.ended: dict[str, str] = {}
        self._again: set[str] = set()
        self._workers, self._running_of, self._console = workers, running, console
        self._began = self._looked = self._summarised = time.monotonic()
        self._live: Live | None = None
        self._stopping = False
        self._now: list[str] = []

    def __enter__(self) -> StudyProgress:
        if self._console.is_interactive:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.look(now=True)
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._tasks:
            self.say(self.summary())

    def say(self, line: str, style: str = "") -> None:
        """A line for the record, above the live table where there is one."""
        text = Text.assemble((f"[{clock(time.monotonic() - self._began)}] ", "dim"), (visible(line), style))
        self._console.print(text, soft_wrap=True, highlight=False)

    def stopping(self) -> None:
        """Says once that workers were asked to stop."""
        if not self._stopping:
            self._stopping = True
            self.say("stopping: running jobs write a checkpoint; press Ctrl-C again to end at once")

    def look(self, now: bool = False) -> None:
        """Reads what is new in the run folders and shows it, at most every half second unless `now`."""
        moment = time.monotonic()
        if not now and moment - self._looked < LOOK_SECONDS:
            return
        self._looked = moment
        running = [digest for digest in self._running_of() if digest in self._tasks]
        begun = [digest for digest in running if digest not in self._started]
        self._started.update(dict.fromkeys(begun, moment))
        if self._live is None:
            self._say_starts(begun)
        for digest in self._tasks:
            if digest not in self.ended and outcome_mark(self._folders[digest]) != self._marks[digest]:
                self._end(digest, moment)
        self._now = [digest for digest in running if digest not in self.ended]
        for digest in self._now:
            self._tail(digest).follow()
        if self._live is not None:
            self._live.update(self._view(), refresh=True)
        elif moment - self._summarised >= SUMMARY_SECONDS and len(self.ended) < len(self._tasks):
            self._summarised = moment
            self.say(self.summary())

    def summary(self) -> str:
        """One line on the study: "12/33 done, 1 diverged, 0 failed, 3 resumed or retried, 2 running, about 5 min left".

        What had to be resumed from a checkpoint or tried again is not mentioned where there is none.
        """
        states = list(self.ended.values())
        done = len(states) - states.count("failed")
        parts = [f"{done}/{len(self._tasks)} done"]
        parts += [f"{states.count(state)} {state}" for state in ("diverged", "failed")]
        if self._again:
            parts.append(f"{len(self._again)} resumed or retried")
        if len(states) < len(self._tasks):
            parts.append(f"{len(self._now)} running")
        if len(states) < len(self._tasks) and not self._stopping:
            left = self.seconds_left()
            parts.append("time left unknown" if left is None else f"about {span(left)} left")
        return ", ".join(parts)

    def seconds_left(self) -> float | None:
        """Of the whole command, from the speed of running jobs and what jobs took or were expected to take."""
        known = [self._took[digest] for digest in self._took]
        for digest in self._now:
            left = self._left(digest)
            if left is not None:
                known.append(time.monotonic() - self._started[digest] + left)
        mean = sum(known) / len(known) if known else None
        remaining = []
        for digest, task in self._tasks.items():
            if digest in self.ended:
                continue
            left = self._left(digest) if digest in self._now else task.expected_seconds
            left = left if left is not None else task.expected_seconds if task.expected_seconds is not None else mean
            if left is None:
                return None
            remaining.append(left)
        # Where workers share GPUs there may come to be more than there were at first.
        workers = max(self._workers, len(self._now))
        return max(sum(remaining) / max(1, min(workers, len(remaining))), *remaining) if remaining else 0.0

    def _tail(self, digest: str) -> EventTail:
        return self._tails.setdefault(digest, EventTail(self._folders[digest].events_file))

    def _left(self, digest: str) -> float | None:
        config = self._tasks[digest].job.config
        return self._tail(digest).left(config.iterations, config.evaluation.every)

    def _name(self, digest: str) -> str:
        task = self._tasks[digest]
        return f"{task.variant} · seed {task.seed}"

    def _end(self, digest: str, moment: float) -> None:
        if (outcome := self._folders[digest].outcome()) is None:
            return
        self.ended[digest] = outcome.status
        self._took[digest] = outcome.job_seconds
        if outcome.resumed or outcome.attempts > 1:
            self._again.add(digest)
        tail = self._tail(digest)
        tail.follow()
        match outcome.status:
            case "finished":
                value = f"{tail.metric} {tail.value:.4g}" if tail.value is not None else "no value"
                what = f"finished  {self._name(digest)}: {value}"
            case "diverged":
                what = f"diverged  {self._name(digest)}: {outcome.reason or 'no reason given'}"
            case _:
                what = f"FAILED    {self._name(digest)}: {outcome.reason or 'no reason given'}"
        self.say(f"{what} ({span(outcome.job_seconds)}, {len(self.ended)}/{len(self._tasks)})", STYLES[outcome.status])
        if outcome.status == "failed":
            for line in log_tail(self._folders[digest]):
                self._console.print(Text(f"    {line}"), soft_wrap=True, highlight=False)
            self._console.print(
                Text(f"    whole log: {self._folders[digest].log_file}"), soft_wrap=True, highlight=False
            )

    def _say_starts(self, digests: Sequence[str]) -> None:
        """A line for each job, or one for many: on a terminal the table shows them."""
        if len(digests) <= STARTS_SAID:
            for digest in digests:
                self.say(f"start     {self._name(digest)}")
            return
        seeds: dict[str, list[str]] = {}
        for digest in digests:
            seeds.setdefault(self._tasks[digest].variant, []).append(str(self._tasks[digest].seed))
        named = [f"{variant} {','.join(of)}" for variant, of in list(seeds.items())[:STARTS_SAID]]
        more = len(seeds) - STARTS_SAID
        words = "; ".join(named) + (f"; and {more} variants more" if more > 0 else "")
        self.say(f"start     {len(digests)} runs: {words}")

    def _view(self) -> RenderableType:
        foot = self._foot()
        lines = len(self._console.render_lines(foot, pad=False))
        # Of the height the heading, the foot and the line of those left out; the last line stays free for the cursor.
        room = max(LEAST_SHOWN, self._console.height - lines - 3)
        shown = self._now if len(self._now) <= room else self._now[: room - 1]
        parts: list[RenderableType] = [self._jobs(shown)] if shown else []
        if len(shown) < len(self._now):
            parts.append(Text(f"and {len(self._now) - len(shown)} more running", "dim"))
        return Group(*parts, foot)

    def _jobs(self, digests: Sequence[str]) -> Table:
        """One line a job. Variants' names give way where columns are few, and there are bars where they are many."""
        metrics = {tail.metric for digest in digests if (tail := self._tail(digest)).metric}
        common = metrics.pop() if len(metrics) == 1 else None
        barred = self._console.width >= BARRED
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold", expand=False)
        table.add_column("variant", min_width=10)
        if barred:
            table.add_column("", no_wrap=True, width=16)
        for name in ("seed", "iteration", "it/s", common or "metric", "left"):
            table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
        for digest in digests:
            task, tail = self._tasks[digest], self._tail(digest)
            left, iterations = self._left(digest), task.job.config.iterations
            value = "" if tail.value is None else f"{tail.value:.4g}"
            table.add_row(
                Text(task.variant, no_wrap=True, overflow="ellipsis"),
                *([ProgressBar(total=iterations, completed=tail.iteration, width=16)] if barred else []),
                str(task.seed),
                f"{tail.iteration}/{iterations}",
                f"{tail.speed:.1f}" if tail.speed else "",
                value if common or not value else f"{tail.metric} {value}",
                span(left) if left is not None else "",
            )
        return table

    def _foot(self) -> RenderableType:
        """The study's bar and its line, which goes on below where columns are few."""
        foot = Table.grid(padding=(0, 2))
        foot.add_column(no_wrap=True)
        foot.add_column(overflow="fold")
        bar = ProgressBar(total=len(self._tasks), completed=len(self.ended), width=16)
        foot.add_row(bar, Text(self.summary()))
        return foot
