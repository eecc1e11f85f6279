"""A user's launcher file: what may stand in it, when it is read, and what a command says of it."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from core.errors import InputError
from studies import offers
from studies.run import command, main
from studies.runner.clusters import RayCluster, SlurmCluster, find_launcher, limit_seconds

SMALL = ("changes_overview", "iterations=10", "evaluation.every=5", "--only", "baseline", "--seeds", "2")
NAMED = ("--launcher-file", "launchers.toml")


def write_launchers(folder: Path, *lines: str) -> Path:
    """A launcher file with an entry [mine]."""
    file = folder / "launchers.toml"
    file.write_text("\n".join(["[mine]", *lines]) + "\n")
    return file


SLURM, RAY = 'kind = "slurm"', 'kind = "ray"'


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([SLURM, 'partitoin = "gpu"'], "did you mean 'partition'"),
        (['kind = "slurn"'], "did you mean 'slurm'"),
        (['kind = "rey"'], "did you mean 'ray'"),
        (['partition = "gpu"'], "kind is missing"),
        ([SLURM, "gpus = 1", 'gres = "gpu:1"'], "keep one"),
        ([SLURM, "gpus = 2"], "gpus: Input should be less than or equal to 1"),
        ([SLURM, 'time = "3 hours"'], "not one of SLURM's"),
        ([SLURM, 'time = "00:03"'], "less than twice warn_seconds"),
        ([SLURM, 'memory = "16 GB"'], "memory"),
        ([SLURM, 'sbatch = ["--requeue"]'], "--requeue is the launcher's own"),
        ([SLURM, 'sbatch = ["--export=NONE"]'], "--export is the launcher's own"),
        ([SLURM, 'sbatch = ["-C a100"]'], "not one long option"),
        ([SLURM, 'sbatch = ["--comment=a\\n#SBATCH --array=0-9"]'], "not one long option"),
        ([SLURM, "workers = 0"], "workers"),
        ([SLURM, "= 3"], "no TOML"),
        ([SLURM, "[local]", SLURM], "launcher of that name already"),
        ([SLURM, "", "[other]", SLURM, 'time = "x"'], "[other]"),
        ([RAY, 'adress = "auto"'], "did you mean 'address'"),
        ([RAY, 'address = "somewhere"'], "none of auto, host:port and ray://host:port"),
        ([RAY, 'address = "http://host:8265"'], "none of auto"),
        ([RAY, "gpus = 1.5"], "gpus: Input should be less than or equal to 1"),
        ([RAY, "gpus = -0.5"], "gpus: Input should be greater than or equal to 0"),
        ([RAY, "cpus = 0"], "cpus"),
        ([RAY, 'memory = "16"'], "memory"),
        ([RAY, "workers = 0"], "workers"),
        ([RAY, 'partition = "gpu"'], "partition"),
        ([RAY, 'python = ""'], "one line that is not empty"),
        ([RAY, "resources = { a100 = 1 }"], "give its address"),
        ([RAY, 'address = "auto"', "resources = { a100 = 0 }"], "greater than 0"),
        ([RAY, 'address = "auto"', "resources = { GPU = 1 }"], "the key gpus asks for"),
    ],
)
def test_a_bad_launcher_file_is_one_line(lines: list[str], message: str, tmp_path: Path) -> None:
    file = write_launchers(tmp_path, *lines)
    with pytest.raises(InputError) as error:
        find_launcher("mine", file)
    assert message in str(error.value)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--launcher", "mina", *NAMED], "did you mean 'mine'"),
        (["--launcher", "mine", *NAMED, "--calibrate"], "measures this machine"),
        (["--launcher", "mine", *NAMED, "--device", "cuda"], "add gpus = 1"),
        (["--launcher", "mine", "--launcher-file", "nowhere.toml"], "nowhere.toml"),
        (["--launcher", "mine"], "what it declares is run: --launcher-file launchers.toml allows that"),
        (["--launcher", "slurm"], "what it declares is run: --launcher-file launchers.toml allows that"),
        (["--launcher", "ray", *NAMED], 'no entry [ray] with kind = "ray"'),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_launchers(tmp_path, SLURM)
    with pytest.raises(SystemExit) as exit:
        main([*SMALL, *arguments])
    assert exit.value.code == 2
    assert message in capsys.readouterr().err


def test_the_working_folders_file_is_read_only_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be anybody's, and what it declares is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    here = write_launchers(tmp_path, SLURM, "workers = 4", 'setup = ["touch ran"]')
    with pytest.raises(InputError, match=r"^there is no launcher 'mine': launchers.toml in this folder is not read"):
        find_launcher("mine", None)
    context = click.Context(command, info_name="studies.run")
    assert list(offers.launchers(context, command, "m")) == ["local", "inline"]
    own = tmp_path / "config" / "inr-gan-ablations"
    own.mkdir(parents=True)
    write_launchers(own, SLURM, "workers = 3")
    clusters = [find_launcher("mine", file) for file in (None, here, Path(here.name))]
    assert [cluster.workers for cluster in clusters if cluster] == [3, 4, 4]
    with pytest.raises(InputError, match=r"launchers\.toml in this folder is not read unasked"):
        find_launcher("other", None)
    assert find_launcher("local", None) is None
    # A configuration folder that is a relative path would be in the working folder.
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")
    with pytest.raises(InputError, match="not read unasked"):
        find_launcher("mine", None)


def test_an_entry_may_have_the_name_of_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r'launchers.toml has no entry \[ray\] with kind = "ray"'):
        find_launcher("ray", None)
    (tmp_path / "launchers.toml").write_text('[ray]\nkind = "ray"\n')
    assert find_launcher("ray", Path("launchers.toml")) == RayCluster()


def test_times_are_slurms() -> None:
    texts = ("90", "90:30", "1:30:00", "2-0", "2-12:30", "2-12:30:10")
    assert [limit_seconds(text) for text in texts] == [5400, 5430, 5400, 172800, 217800, 217810]


def test_an_unknown_launcher_is_one_line_and_only_slurms_workers_outlive_the_command() -> None:
    assert [cluster.detached for cluster in (SlurmCluster(), RayCluster())] == [True, False]
    with pytest.raises(InputError, match="did you mean 'local'"):
        find_launcher("locl", None)
