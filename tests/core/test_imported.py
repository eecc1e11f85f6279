"""A layer of somebody's own: its identity, how it trains, and one line for each mistake before anything is trained."""

from __future__ import annotations

import hashlib
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from core import config as cfg
from core.build import build_generator, build_layer, check_layer
from core.errors import InputError
from core.imported import described, imported
from core.job import run_job
from core.metrics import identity
from core.models.generator import Generator
from core.models.layers.emitted import rms
from core.train import main
from tests.core.conftest import small_config

LAYER = """
import torch
from torch import nn
from core.models.layers.emitted import EmittedLayer

class Shifted(EmittedLayer):
    def __init__(self, inputs, outputs, *, size=1.0, weight_std, bias_std):
        super().__init__(inputs, outputs, weight_std=weight_std, bias_std=bias_std)
        self.emitted, self.size = outputs, size
        self.weight_IO = nn.Parameter(torch.randn(inputs, outputs))

    def weight_and_bias(self, emitted_BE):
        weight = self.weight_IO.expand(len(emitted_BE), -1, -1)
        return self.gain * self.size * self.weight_std * weight, self.gain * self.size * self.bias_std * emitted_BE
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes the module `shifted`, LAYER with replacements; every call is as if of a new process."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "shifted.py"

    def written(**parts: str) -> Path:
        text = LAYER
        for old, new in parts.pop("replacing", {}).items():  # type: ignore[attr-defined]
            assert old in text
            text = text.replace(old, new)
        sys.modules.pop("shifted", None)
        file.write_text(text)
        return file

    yield written
    sys.modules.pop("shifted", None)


def inr(layer: cfg.Imported, **fields: object) -> cfg.Inr:
    return cfg.Inr(layer=layer, width=16, depth=3, **fields)


def test_its_file_is_a_part_of_a_runs_identity_and_no_torch_is_needed_to_say_so(write: Write) -> None:
    file = write()
    first = imported("shifted:Shifted", size=2.0)
    assert "shifted" not in sys.modules
    assert described(first) == "shifted:Shifted(size=2.0)"
    job = cfg.Job(config=cfg.Config(inr=inr(first)), seed=0)
    assert cfg.Job.model_validate_json(job.model_dump_json()) == job
    assert cfg.Job(config=cfg.Config(inr=inr(imported("shifted:Shifted", size=2))), seed=0).digest != job.digest
    file.write_text(f"{LAYER}\n# edited\n")
    assert cfg.Job(config=cfg.Config(inr=inr(imported("shifted:Shifted", size=2.0))), seed=0).digest != job.digest
    with pytest.raises(InputError, match=r"shifted.py was edited since this run was planned .* give the command again"):
        check_layer(job.config.inr)


@pytest.mark.parametrize("target", ["shifted", "shifted:", "shifted.py:Shifted()", "../shifted:Shifted"])
def test_a_target_is_a_module_and_a_class(target: str, write: Write) -> None:
    write()
    with pytest.raises(ValidationError):
        cfg.Imported(target=target, sha256="0" * 64)


def test_a_module_of_a_package_is_found_without_importing_the_package(tmp_path: Path, write: Write) -> None:
    (tmp_path / "theirs" / "layers").mkdir(parents=True)
    (tmp_path / "theirs" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "theirs" / "layers" / "shifted.py").write_text(LAYER)
    with pytest.raises(InputError, match=r"needs its __init__.py in every folder"):
        imported("theirs.layers.shifted:Shifted")
    (tmp_path / "theirs" / "layers" / "__init__.py").write_text("")
    importlib.invalidate_caches()
    assert imported("theirs.layers.shifted:Shifted").sha256 == imported_sha(tmp_path / "theirs/layers/shifted.py")
    for missing in ("theirs.nothing:Shifted", "nowhere:Shifted", "sys:Shifted"):
        with pytest.raises(InputError, match=r"there is no module|is no Python file"):
            imported(missing)


def imported_sha(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("init", ["deck", "unit"])
def test_it_is_built_calibrated_and_stored_as_layers_here_are(init: str, write: Write) -> None:
    write()
    config = cfg.Config(
        data=cfg.Rooms(resolution=16), inr=inr(imported("shifted:Shifted", size=3.0), init=init), hypernetwork=SMALL
    )
    check_layer(config.inr)
    torch.manual_seed(0)
    generator: Generator = build_generator(config)
    assert generator.inr.sizes[1:3] == [16, 16]
    x, numbers = torch.rand(64, 100, 16), torch.randn(64, 16)
    gains = [layer.gain for layer in generator.inr.hidden_layers]
    assert (gains == [1.0, 1.0]) == (init == "deck")
    again = build_generator(config)
    again.load_state_dict(generator.state_dict())
    one, other = (each.inr.hidden_layers[0](x, numbers) for each in (generator, again))
    assert torch.equal(one, other)
    assert rms(one) > 0


SMALL = cfg.Hypernetwork(latent_dim=8, width=16, depth=2)


def test_the_check_leaves_the_random_state_alone(write: Write) -> None:
    write()
    node = inr(imported("shifted:Shifted"))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_layer(node)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("replacing", "arguments", "message"),
    [
        ({}, {"rank": 4}, r"shifted:Shifted\(rank=4\) cannot be used: TypeError: .*unexpected keyword argument 'rank'"),
        ({"size=1.0, ": "size, "}, {}, "missing 1 required keyword-only argument: 'size'"),
        ({"class Shifted(": "class Other("}, {}, r"shifted.py has no such class"),
        ({"(EmittedLayer)": "(nn.Module)"}, {}, "is no subclass of core.models.layers.emitted.EmittedLayer"),
        ({"import torch\n": "import torch\n1 / 0\n"}, {}, r"cannot be imported: .*shifted.py:3: ZeroDivisionError"),
        ({"def weight_and_bias": "def weights"}, {}, "does not say what its weight_and_bias is"),
        ({"self.emitted, self.size = outputs, size": "self.size = size"}, {}, "has no attribute 'emitted'"),
        ({"self.emitted, self": "self.shown, self", "size=1.0": "emitted=0, size=1.0"}, {}, "no attribute 'emitted'"),
        ({"= outputs, size": "= 0, size"}, {}, "emits 0 numbers|cannot be used"),
        ({".expand(len(emitted_BE), -1, -1)": ""}, {}, "cannot be used|weight_and_bias makes"),
        ({"self.gain * self.size * self.weight_std": "self.weight_std"}, {}, "multiply weight and bias by self.gain"),
        ({"size=1.0": "size=float('nan')"}, {}, "not finite"),
        ({"size=1.0": "size=0.0"}, {}, "nothing but zeros|cannot be used"),
        (
            {"    def weight_and_bias": "    def structured(self, x, e):\n        return x\n\n    def weight_and_bias"},
            {},
            "forward computes something else than weight_and_bias says",
        ),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_trained(
    replacing: dict[str, str], arguments: dict[str, int], message: str, write: Write
) -> None:
    write(replacing=replacing)
    with pytest.raises(InputError, match=message) as refused:
        check_layer(inr(imported("shifted:Shifted", **arguments)))
    assert "\n" not in str(refused.value)


def test_a_job_with_a_layer_that_was_edited_leaves_no_outcome(write: Write, tmp_path: Path) -> None:
    file = write()
    config = cfg.Reconstruction(
        data=cfg.Rooms(resolution=8, train=4, held_out=4), images=2, iterations=2, inr=inr(imported("shifted:Shifted"))
    )
    job, where = cfg.Job(config=config, seed=0), {"runs": tmp_path / "jobs", "cache": tmp_path / "cache"}
    file.write_text(f"{LAYER}\n# edited\n")
    os.utime(file, (1, 1))
    with pytest.raises(InputError, match="was edited since"):
        list(run_job(job, **where))
    assert not list((tmp_path / "jobs").glob("*/outcome.json"))
    file.write_text(LAYER)
    assert [event.kind for event in run_job(job, **where)][-1] == "finished"


def test_an_edit_that_pythons_cache_does_not_see_is_what_runs(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = write()
    importlib.import_module("shifted")  # Leaves byte code that is trusted while time and size are the same.
    before = file.stat()
    sys.modules.pop("shifted")
    file.write_text(LAYER.replace("size=1.0", "size=7.0"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert importlib.import_module("shifted").Shifted(2, 2, weight_std=1.0, bias_std=1.0).size == 1.0
    identity._file_sha256.cache_clear()  # As in a new process.
    sys.modules.pop("shifted")
    assert build_layer(imported("shifted:Shifted"))(2, 2, weight_std=1.0, bias_std=1.0).size == 7.0


def test_layers_here_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.build.check_imported", lambda *_: pytest.fail("checked"))
    check_layer(cfg.Inr())
    assert build_layer(cfg.AdaIN()).__name__ == "AdaIN"


# --- a config from somebody else --------------------------------------------------------------------------------------


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A received folder with a config and the layer that it names, which leaves a trace; one stands in it."""
    received = tmp_path / "received"
    received.mkdir()
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(received)
    code = f"from pathlib import Path\nPath({str(tmp_path / 'PWNED')!r}).write_text('ran')\n" + LAYER
    (received / "evil.py").write_text(code)
    sha256 = hashlib.sha256(code.encode()).hexdigest()
    layer = cfg.Imported(target="evil:Shifted", arguments={}, sha256=sha256)
    small = small_config()
    config = cfg.Config(**{**dict(small), "inr": cfg.Inr(**{**dict(small.inr), "layer": layer})})
    (received / "job.json").write_text(cfg.Job(config=config, seed=0).model_dump_json())
    sys.modules.pop("evil", None)
    return received / "job.json"


@pytest.mark.parametrize("found", ["nowhere", "on the path"])
def test_a_layer_of_no_installed_package_is_not_run_unless_its_folder_is_allowed(
    found: str, config_file: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if found == "on the path":
        sys.path.insert(0, str(config_file.parent))
    arguments = ["--config", "job.json", "--out", str(tmp_path / "out"), "--cache", str(cache)]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    file = (config_file.parent if found == "on the path" else Path()) / "evil.py"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert said.count("\n") == 1 and f"would run {file} (sha256 {sha256[:12]})" in said
    assert f"--allow-code {file.parent}" in said
    assert not (tmp_path / "PWNED").exists() and not (tmp_path / "out").exists()
    assert main([*arguments, "--allow-code", "."]) == 0
    assert (tmp_path / "PWNED").exists()


def test_a_module_in_the_folder_one_stands_in_takes_the_place_of_none(tmp_path: Path) -> None:
    for name in ("click", "numpy", "pandas", "filelock", "pydantic", "json"):
        (tmp_path / f"{name}.py").write_text(f"from pathlib import Path\nPath('PWNED').write_text({name!r})\n")
    root = str(Path(__file__).parents[2])
    for module in ("studies.run", "studies.sync"):
        command = [sys.executable, "-m", module, "--help"]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "PWNED").exists()
