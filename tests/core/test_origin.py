"""What is recorded of the code is the code's own, whatever lies around it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import origin
from core.processes import ROOT

COPIED = ("core/__init__.py", "core/home.py", "core/origin.py", "core/processes.py")
SHOWN = "import json; from core import origin; print(json.dumps([origin.version(), *origin.commit()]))"


def git(folder: Path, *arguments: str) -> str:
    whose = ("-c", "user.name=somebody", "-c", "user.email=some@body")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *whose, *arguments]
    return subprocess.run(command, env=clean, capture_output=True, text=True, check=True).stdout.strip()


def copied(folder: Path) -> Path:
    """Enough of the code to ask it where it comes from."""
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def committed(folder: Path, message: str = "ours") -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)


def checkout(folder: Path) -> Path:
    """Enough of the code in a repository of its own."""
    git(copied(folder), "init", "-q", ".")
    committed(folder)
    return folder


def installed(site: Path) -> Path:
    """A folder of packages in which this one is version 7.8.9."""
    info = site / "inr_gan_ablations-7.8.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: inr-gan-ablations\nVersion: 7.8.9\n")
    return site


def asked(folder: Path, **variables: str) -> list[object]:
    """Version, commit and whether it was changed, as the code in `folder` says it."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), **variables}
    command = [sys.executable, "-P", "-c", SHOWN]
    said = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True).stdout
    found: list[object] = json.loads(said)
    return found


@pytest.fixture
def above(tmp_path: Path) -> Iterator[Path]:
    """Somebody's own repository."""
    git(tmp_path, "init", "-q", ".")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "theirs")
    return tmp_path


def test_the_version_is_that_of_the_project() -> None:
    assert origin.version() == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_a_repository_above_an_installed_package_is_not_the_codes(above: Path) -> None:
    site = installed(copied(above / ".venv" / "lib" / "site-packages"))
    assert asked(site) == ["7.8.9", None, None]
    committed(above, "all of it")
    assert asked(site) == ["7.8.9", None, None]


def test_another_installation_is_not_the_codes(tmp_path: Path) -> None:
    site, code = installed(tmp_path / "site"), copied(tmp_path / "code")
    assert asked(code, PYTHONPATH=os.pathsep.join(map(str, (code, site)))) == [None, None, None]


def test_a_checkout_says_its_own_commit_wherever_it_is_asked_from(tmp_path: Path, above: Path) -> None:
    code = copied(tmp_path / "inside" / "code")
    (code / "pyproject.toml").write_text('[project]\nname = "inr-gan-ablations"\nversion = "1.2.3"\n')
    git(code, "init", "-q", ".")
    assert asked(code) == ["1.2.3", None, None]  # Nothing is tracked.
    committed(code)
    mine = git(code, "rev-parse", "HEAD")
    elsewhere = {"GIT_DIR": str(above / ".git"), "GIT_WORK_TREE": str(above), "GIT_INDEX_FILE": str(above / "index")}
    assert asked(code, **elsewhere)[1] == mine != git(above, "rev-parse", "HEAD")
    (code / "core" / "new.py").touch()
    assert asked(code)[1:] == [mine, True]


def test_only_what_may_run_makes_a_checkout_a_changed_one(tmp_path: Path) -> None:
    ours = checkout(tmp_path / "ours")
    (ours / "runs.db").write_bytes(b"a database")
    assert asked(ours)[2] is False
    (ours / "core" / "origins.py").write_text("")
    assert asked(ours)[2] is True
    (ours / "core" / "origins.py").unlink()
    (ours / "more").mkdir()
    (ours / "more" / "notes").write_text("who knows what a folder has")
    assert asked(ours)[2] is True
    shutil.rmtree(ours / "more")
    (ours / "core" / "__init__.py").write_text("x = 1\n")
    assert asked(ours)[2] is True


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_clone_of_another_user_is_read(tmp_path: Path) -> None:
    code = checkout(tmp_path / "code")
    for path in (code, *code.rglob("*")):
        os.chown(path, 12345, 12345)
    with pytest.raises(subprocess.CalledProcessError):
        git(code, "rev-parse", "HEAD")
    assert asked(code)[1:] != [None, None]


def test_what_a_received_checkout_has_configured_is_not_run(tmp_path: Path) -> None:
    code = checkout(tmp_path / "code")
    hook = code / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    git(code, "config", "core.fsmonitor", f"touch {tmp_path}/monitored; false")
    for name in ("x", "a=b"):
        git(code, "config", f"filter.{name}.clean", f"touch {tmp_path}/filtered; cat")
        (code / ".gitattributes").write_text(f"*.py filter={name}\n")
        (code / "core" / "origin.py").touch()
        assert asked(code)[1] is not None
    assert [file.name for file in tmp_path.iterdir()] == ["code"]


def canary(folder: Path, name: str) -> str:
    """A program that leaves a file of its name in `folder` when it is run."""
    file = folder / "bin" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\ntouch {folder}/ran-{name}\nexit 1\n")
    file.chmod(0o755)
    return str(file)


def ran(folder: Path) -> list[str]:
    return sorted(file.name.removeprefix("ran-") for file in folder.glob("ran-*"))


def without_an_object(code: Path, missing: str) -> None:
    """Makes the checkout a partial clone that lacks what `missing` names, which git fetches when it needs it."""
    name = git(code, "rev-parse", missing)
    (code / ".git" / "objects" / name[:2] / name[2:]).unlink()
    for key, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
    ):
        git(code, "config", key, value)


@pytest.mark.parametrize("missing", ["HEAD", "HEAD^{tree}", "HEAD:core"])
@pytest.mark.parametrize(
    "remote",
    [
        {"url": "{here}", "uploadpack": "{canary}"},
        {"url": "ssh://somewhere/else"},
        {"url": "ext::{canary}"},
        {"url": "git://127.0.0.1:1/else"},
        {"url": "https://127.0.0.1:1/else"},
        {"url": "{here}", "vcs": "canary"},
    ],
    ids=lambda remote: remote["url"].split(":")[0] + "-".join(remote),
)
def test_what_a_received_checkout_lacks_is_not_fetched(remote: dict[str, str], missing: str, tmp_path: Path) -> None:
    code = checkout(tmp_path / "code")
    without_an_object(code, missing)
    helper = canary(tmp_path, "git-remote-canary")
    words = {"here": str(code), "canary": canary(tmp_path, "fetched")}
    for key, value in remote.items():
        git(code, "config", f"remote.origin.{key}", value.format(**words))
    for key in ("core.sshCommand", "core.gitProxy", "core.askPass", "credential.helper", "core.alternateRefsCommand"):
        git(code, "config", key, canary(tmp_path, key))
    for name in ("file", "ext", "ssh", "git", "https", "canary"):
        git(code, "config", f"protocol.{name}.allow", "always")
    git(code, "config", "fetch.bundleURI", "https://127.0.0.1:1/bundle")
    path = os.pathsep.join((str(Path(helper).parent), os.environ["PATH"]))
    assert asked(code, PATH=path)[0] is None
    assert ran(tmp_path) == []
    assert not (code / ".git" / "FETCH_HEAD").exists()


PROGRAMS = """
    alias.status core.editor core.fsmonitor core.pager core.sshCommand diff.external diff.x.command diff.x.textconv
    filter.x.clean filter.x.process filter.x.smudge gpg.program gpg.ssh.program interactive.diffFilter merge.x.driver
    pager.status sequence.editor uploadpack.packObjectsHook
"""

SETTINGS = """
    filter.x.required=true log.showSignature=true status.submoduleSummary=true diff.submodule=diff
    status.renames=copies gc.auto=1
"""


def test_no_program_that_a_received_checkout_names_is_run(tmp_path: Path) -> None:
    code = copied(tmp_path / "code")
    git(code, "init", "-q", ".")
    inner = code / "inner"
    git(code, "init", "-q", "inner")
    git(inner, "commit", "-q", "--allow-empty", "-m", "theirs")
    (code / ".gitattributes").write_text("*.py diff=x filter=x merge=x\n")
    committed(code)
    for folder in (code, inner):
        hooks = folder / ".git" / "hooks"
        for hook in ("post-index-change", "reference-transaction", "pre-auto-gc", "fsmonitor-watchman"):
            shutil.copy(canary(tmp_path, f"hook-{hook}"), hooks / hook)
        for key in PROGRAMS.split():
            git(folder, "config", key, canary(tmp_path, key))
        for setting in (f"core.hooksPath={hooks}", *SETTINGS.split()):
            git(folder, "config", *setting.split("="))
    for file in ("core/origin.py", "core/home.py"):
        (code / file).write_text((code / file).read_text() + "# changed\n")
    (code / "core" / "home.py").rename(code / "core" / "house.py")
    (code / "core" / "home.py").write_text((code / "core" / "house.py").read_text())
    (inner / "new").touch()
    for file in tmp_path.glob("ran-*"):  # What building it has run.
        file.unlink()
    found = asked(code)
    assert found[1] is not None and found[2] is True
    assert ran(tmp_path) == []


def test_a_filter_whose_name_is_no_utf8_is_not_run(tmp_path: Path) -> None:
    code = checkout(tmp_path / "code")
    with (code / ".git" / "config").open("ab") as stream:
        stream.write(b'[filter "\xff"]\n\tclean = ' + canary(tmp_path, "filter").encode() + b"\n")
    (code / ".gitattributes").write_bytes(b"*.py filter=\xff\n")
    (code / "core" / "origin.py").touch()
    assert asked(code)[1] is not None
    assert ran(tmp_path) == []
