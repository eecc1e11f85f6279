"""A user's launcher file: what the clusters are called, which parts of them may be used, and how much at a time.

    [mycluster]
    kind = "slurm"
    partition = "gpu"
    account = "vision"
    gpus = 1
    cpus = 4
    memory = "16G"
    time = "04:00:00"
    workers = 16
    sbatch = ["--constraint=a100"]
    setup = ["module load cuda"]

    [myray]
    kind = "ray"
    address = "10.0.0.1:6379"
    gpus = 0.5

Then `--launcher mycluster`. No study knows any of this. Read without torch, and without asking the cluster.
"""

from __future__ import annotations

import difflib
import re
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from platformdirs import user_config_path
from pydantic import (
    AfterValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from core.config import Node, place_of
from core.errors import InputError, unknown
from core.reading import text_of

FILE_NAME = "launchers.toml"

HERE = ("inline", "local")
"""The launchers of this machine, which need no entry."""

OURS = ("array", "error", "export", "export-file", "job-name", "no-requeue", "open-mode", "output", "requeue", "signal")
"""Options of sbatch that the launcher relies on."""


def _one_line(text: str) -> str:
    if not text.strip() or "\n" in text:
        raise ValueError("must be one line that is not empty")
    return text


Line = Annotated[str, AfterValidator(_one_line)]


class SlurmCluster(Node):
    """A part of a SLURM cluster. Every worker is one element of an array job, of one task on one node.

    `workers` is the most there are at a time. `gpus` is what one worker gets; `gres` asks for something else, as
    "gpu:a100:1" or "shard:1". `warn_seconds` before the time limit a worker is told to write its checkpoint. `setup`
    are lines of bash before the worker starts, `python` what starts it, `sbatch` further options. The cluster is asked
    how it stands every `poll_seconds`.
    """

    detached: ClassVar[bool] = True
    """Whether workers outlive the command that started them."""

    kind: Literal["slurm"] = "slurm"
    partition: Line | None = None
    account: Line | None = None
    qos: Line | None = None
    gpus: int = Field(0, ge=0, le=1)
    gres: Line | None = None
    cpus: PositiveInt = 1
    memory: str | None = Field(None, pattern=r"^\d+[KMGT]?$")
    time: str | None = None
    workers: int = Field(8, ge=1, le=1000)
    warn_seconds: PositiveInt = 120
    poll_seconds: PositiveFloat = 10.0
    sbatch: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    python: Line = sys.executable

    @property
    def accelerated(self) -> bool:
        """Whether a worker gets a GPU, or a part of one."""
        return self.gpus > 0 or self.gres is not None

    @property
    def parts_of_gpus(self) -> bool:
        """Whether several workers are put on one GPU; what a `gres` means is the cluster's to know."""
        return False

    @field_validator("sbatch")
    @classmethod
    def _options(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        for option in options:
            name = re.match(r"--([a-z][a-z-]*)(=.*)?$", option)
            if name is None:
                raise ValueError(f"{option!r} is not one long option such as --constraint=a100")
            if name[1] in OURS:
                raise ValueError(f"--{name[1]} is the launcher's own")
        return options

    @model_validator(mode="after")
    def _consistent(self) -> SlurmCluster:
        if self.gpus and self.gres is not None:
            raise ValueError("gpus and gres both ask for GPUs: keep one")
        if self.time is not None and limit_seconds(self.time) < 2 * self.warn_seconds:
            raise ValueError(f"time {self.time} is less than twice warn_seconds = {self.warn_seconds}")
        return self


class RayCluster(Node):
    """A Ray. Every worker is a process of its own on some node, with what Ray reserves for it there.

    `address` is "auto" (the cluster that this machine is a node of), "host:port" of a cluster's head, or
    "ray://host:port" of its client server; without one a Ray is started on this machine for the length of the command.
    `workers` is the most there are at a time. `gpus` is a worker's share of one GPU, `memory` is reserved and not
    enforced, `resources` are those that the cluster's nodes declare, by name. `python` starts the worker, by default
    the Python that Ray runs with on the node. Workers are asked how they stand every `poll_seconds`.
    """

    detached: ClassVar[bool] = False
    """Whether workers outlive the command that started them."""

    kind: Literal["ray"] = "ray"
    address: str | None = None
    gpus: float = Field(0.0, ge=0, le=1)
    cpus: PositiveInt = 1
    memory: str | None = Field(None, pattern=r"^\d+[KMGT]$")
    resources: dict[str, PositiveFloat] = Field(default_factory=dict)
    workers: int = Field(8, ge=1, le=1000)
    poll_seconds: PositiveFloat = 1.0
    python: Line | None = None

    @property
    def accelerated(self) -> bool:
        """Whether a worker gets a GPU, or a part of one."""
        return self.gpus > 0

    @property
    def parts_of_gpus(self) -> bool:
        """Whether several workers are put on one GPU."""
        return 0 < self.gpus < 1

    @property
    def memory_bytes(self) -> int | None:
        """`memory` in bytes, its units powers of 1024."""
        if self.memory is None:
            return None
        return int(self.memory[:-1]) << (10 * (1 + "KMGT".index(self.memory[-1])))

    @field_validator("address")
    @classmethod
    def _somewhere(cls, text: str | None) -> str | None:
        if text is not None and not re.fullmatch(r"auto|(ray://)?[^\s:/]+:\d+", text):
            raise ValueError(f"{text!r} is none of auto, host:port and ray://host:port")
        return text

    @field_validator("resources")
    @classmethod
    def _their_own(cls, resources: dict[str, float]) -> dict[str, float]:
        for key, name in (("CPU", "cpus"), ("GPU", "gpus"), ("memory", "memory")):
            if key in resources:
                raise ValueError(f"{key} is what the key {name} asks for")
        return resources

    @model_validator(mode="after")
    def _consistent(self) -> RayCluster:
        if self.resources and self.address is None:
            raise ValueError("resources are those of an existing cluster: give its address")
        return self


Cluster = SlurmCluster | RayCluster

KINDS: dict[str, type[Cluster]] = {kind.model_fields["kind"].default: kind for kind in get_args(Cluster)}


def limit_seconds(text: str) -> int:
    """Seconds of a SLURM time: "90", "90:00", "1:30:00", "2-0", "2-12:00" or "2-12:00:00". Raises ValueError."""
    parts_of_text = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d\d))?(?::(\d\d))?", text)
    if parts_of_text is None:
        raise ValueError(f"time '{text}' is not one of SLURM's, such as 04:00:00 or 2-12")
    days, *parts = (int(part) if part is not None else None for part in parts_of_text.groups())
    # Alone, "90" is minutes and "90:30" minutes and seconds; after days it is hours.
    units = (60, 1, 0) if days is None and parts[2] is None else (3600, 60, 1)
    return (days or 0) * 86400 + sum(unit * (part or 0) for unit, part in zip(units, parts, strict=True))


def launcher_file(given: Path | None) -> Path | None:
    """The file that was given, else the user's own; None without any.

    What a cluster declares is run, its `setup` and its `python`. So a file that only lies in the working folder, which
    may be anybody's, is not read: see `unasked`.
    """
    if given is not None:
        return given
    own = user_config_path("inr-gan-ablations") / FILE_NAME
    # XDG_CONFIG_HOME may be a relative path, which would be the working folder again.
    return own if own.is_absolute() and own.is_file() else None


def unasked(given: Path | None) -> str | None:
    """What to say of a launcher file in the working folder that nobody named; None where there is none."""
    if given is not None or not Path(FILE_NAME).is_file():
        return None
    return (
        f"{FILE_NAME} in this folder is not read unasked, for what it declares is run: "
        f"--launcher-file {FILE_NAME} allows that"
    )


def declared(file: Path | None) -> dict[str, Cluster]:
    """The entries of a launcher file by name, none without a file; those of this machine's launchers cannot be given.

    Raises InputError that names file, entry and key, with the nearest known one.
    """
    if file is None:
        return {}
    try:
        entries = tomllib.loads(text_of(file, "write it in UTF-8"))
    except OSError as error:
        raise InputError(f"cannot read launcher file {file}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"launcher file {file} is no TOML: {error}") from None
    return {name: _entry(f"{file} [{name}]", name, entry) for name, entry in entries.items()}


def _entry(where: str, name: str, entry: Any) -> Cluster:
    if not isinstance(entry, dict):
        raise InputError(f'{where}: entries are tables, such as [mycluster] with kind = "slurm" below it')
    if name in HERE:
        raise InputError(f"{where}: there is a launcher of that name already, choose another")
    if "kind" not in entry:
        raise InputError(f"{where}: kind is missing: {' or '.join(KINDS)}")
    try:
        if entry["kind"] not in KINDS:
            raise unknown("kind", str(entry["kind"]), list(KINDS))
        kind = KINDS[entry["kind"]]
        for key in entry:
            if key not in kind.model_fields:
                raise unknown("key", key, list(kind.model_fields))
        # TOML has arrays where the model has tuples.
        return kind.model_validate({k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        at = f"{place_of(first['loc'])}: " if first["loc"] else ""
        raise InputError(f"{where}: {at}{first['msg'].removeprefix('Value error, ')}") from None


def find_launcher(name: str, file: Path | None) -> Cluster | None:
    """The cluster that is declared by that name, None for a launcher of this machine.

    `file` is the user's launcher file, their own where it is None. Raises InputError where nothing has that name.
    """
    if name in HERE and file is None:
        return None
    read, beside = launcher_file(file), unasked(file)
    clusters = declared(read)
    if name in clusters:
        return clusters[name]
    if name in HERE:
        return None
    if name in KINDS:
        missing = f'{read or FILE_NAME} has no entry [{name}] with kind = "{name}" (docs/clusters.md)'
        raise InputError(f"--launcher {name}: {beside or missing}")
    known = [*HERE, *clusters]
    near = difflib.get_close_matches(name, known, n=1)
    where = f"{read} declares" if read else f"a file {FILE_NAME} would declare"
    hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}; {where} clusters"
    raise InputError(f"there is no launcher '{name}': {beside or hint}")
