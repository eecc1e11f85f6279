"""The batch script of workers on a SLURM cluster, and by which names the same command finds them again."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
from dataclasses import dataclass
from pathlib import Path

from core.metrics.identity import INCEPTION_VARIABLE
from core.processes import ROOT, SAFE_PATH, is_found_by, python
from studies.runner.clusters import SlurmCluster
from studies.runner.environment import NO_TELEMETRY, THREADS
from studies.runner.launchers.crew import KILLS_OF_A_PLACE
from studies.runner.order import TOLD_TO_STOP, TrainingOrder

BEFORE_LISTENING = (128 + signal.SIGUSR1, 128 + signal.SIGTERM)
"""Exit codes of a worker that was told to stop before it could listen."""


@dataclass(frozen=True)
class Submission:
    """Where an order's workers, and other commands of the same study in the same setting, find what is theirs."""

    order: TrainingOrder

    @property
    def name(self) -> str:
        """The name of the jobs, by which the same command finds them again."""
        return f"inr-gan-{self.order.study}-{_digest(f'{self.order.runs} {self.order.setting} {self.order.module}')}"

    @property
    def order_name(self) -> str:
        """The name of the order that the workers read."""
        return f"{self.name}-{_digest(' '.join(self.order.digests))}"

    @property
    def order_file(self) -> Path:
        """Where `TrainingOrder.write` puts that order."""
        return self.order.runs / "queue" / "orders" / f"{self.order_name}.json"

    @property
    def folder(self) -> Path:
        """Scripts, logs, and how workers ended."""
        return self.order.runs / "queue" / "slurm" / self.name


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def script(cluster: SlurmCluster, submission: Submission, count: int) -> str:
    """The batch script of `count` workers."""
    folder = shlex.quote(str(submission.folder))
    options = {
        "job-name": submission.name,
        "array": f"0-{count - 1}",
        "output": shlex.quote(f"{submission.folder}/%A_%a.txt"),
        "open-mode": "append",
        "export": "ALL",
        "requeue": None,
        "signal": f"USR1@{cluster.warn_seconds}",
        "ntasks": 1,
        "cpus-per-task": cluster.cpus,
    }
    wishes = {
        "mem": cluster.memory,
        "gres": f"gpu:{cluster.gpus}" if cluster.gpus else cluster.gres,
        "time": cluster.time,
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
    }
    options |= {name: value for name, value in wishes.items() if value is not None}
    lines = [f"#SBATCH --{name}" + ("" if value is None else f"={value}") for name, value in options.items()]
    lines += [f"#SBATCH {option}" for option in cluster.sbatch]
    setup = ["", *cluster.setup] if cluster.setup else []
    exports = dict.fromkeys(THREADS, str(submission.order.threads)) | NO_TELEMETRY
    if submission.order.device == "cpu":
        exports["CUDA_VISIBLE_DEVICES"] = ""
    if INCEPTION_VARIABLE in os.environ:
        exports[INCEPTION_VARIABLE] = str(Path(os.environ[INCEPTION_VARIABLE]).absolute())
    exports[SAFE_PATH] = "1"
    path = "$others" if is_found_by(cluster.python) else f"{shlex.quote(str(ROOT))}${{others:+:$others}}"
    worker = shlex.join(python(submission.order.module, str(submission.order_file), executable=cluster.python))
    early = "|".join(str(code) for code in BEFORE_LISTENING)
    body = f"""
export {" ".join(f"{name}={shlex.quote(value)}" for name, value in exports.items())}
# An empty entry would be the working folder.
others=$(tr -s : <<<":${{PYTHONPATH:-}}:")
others=${{others#:}}
others=${{others%:}}
export PYTHONPATH={path}

# SLURM_JOB_ID is the whole array's in the last of its elements.
element="${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
# One name for each start: an element that was requeued is another worker.
name="slurm-$element.${{SLURM_RESTART_COUNT:-0}}"

# srun passes USR1 on to the worker; TERM would make it kill the worker.
trap 'kill -USR1 "$worker" 2>/dev/null' USR1 TERM
srun --ntasks=1 --cpus-per-task={cluster.cpus} {worker} "$name" &
worker=$!
# A signal ends `wait` before the worker has.
while :; do wait "$worker"; kill -0 "$worker" 2>/dev/null || break; done
wait "$worker"
code=$?
# What is in its place may be a link.
rm -f {folder}/"$name.ended"
echo "$code" >{folder}/"$name.ended"

# Told to stop with work left, or before it could listen, which is not tried without end.
case "$code" in
  {TOLD_TO_STOP}) again=yes ;;
  {early}) [ "${{SLURM_RESTART_COUNT:-0}}" -lt {KILLS_OF_A_PLACE} ] && again=yes || again=no ;;
  *) again=no ;;
esac
# Anything but RUNNING was cancelled, or is being requeued already.
if [ $again = yes ] && [ "$(squeue --noheader --array --job="$element" --format=%T)" = RUNNING ]; then
  scontrol requeue "$element"
fi
exit "$code"
"""
    return "\n".join(["#!/bin/bash", *lines, *setup, body])
