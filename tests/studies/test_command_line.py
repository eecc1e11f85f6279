"""The command as scripts and shells use it: exit codes, JSON, completion; and its page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from ablations.beside_deck import by_path
from ablations.designs import DESIGNS, available
from ablations.protocols import PROTOCOLS
from core import command_line
from core.config import Config, Job, Reconstruction
from core.folder import Outcome, RunFolder
from core.metrics.identity import INCEPTION_VARIABLE
from studies import catalogue, completion, names, offers, options
from studies.commands.listing import variants_of
from studies.completion import VARIABLE
from studies.overrides import as_typed, overridden, parse_override
from studies.plan import jobs_root, record_plan
from studies.planning import make_plan
from studies.run import command
from studies.runner.clusters import FILE_NAME, HERE
from studies.runner.heartbeat import HANG_SECONDS
from studies.runner.sharing import BUDGET
from studies.screen import screen
from studies.stores import DEFAULT_TRACKING, QUEUE_VARIABLE, TRACKING_VARIABLE
from studies.times.budget import MOST_SEEDS
from tests.support.commands import ROOT, answer, refused

PAGE = ROOT / "docs" / "command_line.md"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def document(*arguments: str) -> Any:
    """What --json prints, which is all that is on stdout."""
    printed = answer(*arguments, "--json")
    assert (printed.code, printed.err) == (0, "")
    return json.loads(printed.out)


# --- the page and the help --------------------------------------------------------------------------------------------


def help_text(width: int) -> str:
    context = click.Context(command, info_name="python -m studies.run", terminal_width=width, max_content_width=110)
    return command.get_help(context)


def test_the_pages_help_is_the_commands() -> None:
    (block,) = re.findall(r"```text\n(.*?)\n```", PAGE.read_text(), flags=re.DOTALL)
    assert block == help_text(100)


def test_the_help_names_what_there_is() -> None:
    """Its texts are written out, for importing what they name takes longer than a help may."""
    text = " ".join(help_text(100).split())
    for each in (DESIGNS, PROTOCOLS, HERE):
        assert ", ".join(each) in text
    assert f"fit into {BUDGET:.0%} of the memory" in text
    assert f"more seeds up to {MOST_SEEDS}." in text
    assert f"[default: {HANG_SECONDS / 60:g};" in text
    for name in (INCEPTION_VARIABLE, QUEUE_VARIABLE, TRACKING_VARIABLE, DEFAULT_TRACKING, FILE_NAME):
        assert name in text
    (hang,) = (parameter for parameter in command.params if parameter.name == "hang_minutes")
    assert hang.default == HANG_SECONDS / 60
    assert tuple(PROTOCOLS) == names.PROTOCOLS
    assert set(names.LAUNCHERS) == set(HERE)


def test_every_option_has_a_heading() -> None:
    sections = [getattr(option, "section", None) for option in command.params if isinstance(option, click.Option)]
    assert set(sections) == {options.TRAIN, options.MEASURE, options.WHERE, options.SHOW, options.HELP}
    headings = [line for line in help_text(100).splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == [f"{name}:" for name in dict.fromkeys(sections)]


# --- exit codes -------------------------------------------------------------------------------------------------------


def test_an_error_of_the_program_is_one_line_and_code_70(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str, runs: Path) -> None:
        raise KeyError(f"postgresql://ann:secret@db/{name}")

    monkeypatch.setattr(catalogue, "find", broken)
    bug = answer("changes_overview", "--dry-run")
    assert (bug.code, bug.err.count("\n")) == (70, 1)
    assert bug.err.startswith("error: this is a bug in tests/studies/test_command_line.py:")
    assert "--debug shows the trace" in bug.err and "secret" not in bug.err
    traced = answer("changes_overview", "--dry-run", "--debug")
    assert traced.code == 70
    assert "Traceback (most recent call last)" in traced.err and "in broken" in traced.err


@pytest.mark.parametrize(
    ("raised", "code"),
    [(KeyboardInterrupt(), 130), (click.Abort(), 130), (OSError(28, "No space left on device"), 2)],
)
def test_what_may_happen_to_any_command(raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def happens(name: str, runs: Path) -> None:
        raise raised

    monkeypatch.setattr(catalogue, "find", happens)
    assert answer("changes_overview").code == code


def test_debug_shows_the_trace_of_bad_input_and_of_bad_options() -> None:
    for arguments in (["changes_overvew"], ["changes_overview", "--jobs", "many"]):
        assert "Traceback" not in refused(*arguments)
        assert "Traceback" in answer(*arguments, "--debug").err


def test_the_page_has_every_exit_code() -> None:
    codes = {command_line.DONE, command_line.FAILED, command_line.BAD_INPUT, command_line.BUG, command_line.INTERRUPTED}
    codes.add(command_line.UNREAD)
    listed = re.search(r"Exit codes\n(.*?)\n\n", help_text(100), flags=re.DOTALL)
    assert listed is not None
    assert {int(line.split()[0]) for line in listed[1].splitlines()} == codes


# --- JSON -------------------------------------------------------------------------------------------------------------


def keys_of(heading: str) -> set[str]:
    """All keys that the page's table has in this row."""
    (row,) = (line for line in PAGE.read_text().splitlines() if line.startswith(f"| {heading} |"))
    return set(re.findall(r"`([a-z_]+)`", row.removeprefix(f"| {heading} |")))


def keys_in(data: Any, free: tuple[str, ...] = ()) -> set[str]:
    """All keys of a document; what is in `free` has keys of its own."""
    if isinstance(data, list):
        return {key for each in data for key in keys_in(each, free)}
    if not isinstance(data, dict):
        return set()
    return {key for name, part in data.items() for key in (name, *(keys_in(part, free) if name not in free else ()))}


def test_the_list_as_json(tmp_path: Path) -> None:
    study = catalogue.study("changes_overview")
    plan = make_plan(study, study.profile("cpu"), designs=["ladder"], seeds=[0, 1])
    record_plan(tmp_path / "runs", plan)
    record_plan(tmp_path / "runs", plan.replace(study="lovely", declared_in="mine/lovely.py"))
    for index, status in enumerate(("finished", "finished", "diverged", "failed")):
        folder = RunFolder(jobs_root(tmp_path / "runs"), plan.variants[index].job(0))
        folder.path.mkdir(parents=True)
        ended_so = Outcome(status=status, iteration=1, seconds=1.0, evaluation_seconds=0.0, job_seconds=1.0)
        folder.write("outcome.json", ended_so.model_dump_json())
    listed = document("--list")
    assert [each["name"] for each in listed["studies"]] == list(catalogue.NAMES)
    assert keys_in(listed) == {"version"} | keys_of("`--list`")
    mine = next(each for each in listed["studies"] if each["name"] == study.name)
    assert mine["variants"] == len(plan.variants)
    assert mine["runs"] == [{"setting": "cpu", "planned": 24, "finished": 2, "diverged": 1, "failed": 1}]
    shown = answer("--list").flat
    assert "runs here: cpu 3/24 (1 diverged, 1 failed)" in shown
    assert "baseline is: none of the ten changes" in shown and "baseline is: Linear" in shown


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_as_many_variants_are_listed_as_would_be_trained(name: str) -> None:
    study = catalogue.study(name)
    plan = make_plan(study, study.profiles[0], designs=study.designs, seeds=[0])
    assert variants_of(study) == len(plan.variants)


def test_a_dry_run_as_json() -> None:
    free = ("overrides", "designs", "differs", "config")
    shown = document("changes_overview", "--dry-run", "--seeds", "2", "--jobs", "2", "iterations=100")
    inner = {"runs", "calibration", "record"}  # The values of times_from, listed beside it.
    assert keys_in(shown, free) == {"version"} | (keys_of("`--dry-run`, `--calibrate`") - (inner - {"runs"}))
    assert (shown["setting"].startswith("cpu-"), shown["overrides"]) == (True, {"iterations": 100})
    runs = [run for variant in shown["variants"] for run in variant["runs"]]
    assert len(runs) == shown["totals"]["runs"] == shown["totals"]["new"] == 24
    assert len({run["digest"] for run in runs}) == 24
    searching = document("learning_rates", "--dry-run")
    assert keys_in(searching["searches"]) | {"searches"} == keys_of("and with searches")
    assert [search["left"] for search in searching["searches"]] == [16, 16]
    limited = document("changes_overview", "--dry-run", "--budget", "1h", "--design", "ladder")
    assert keys_in(limited["budget"]) | {"budget"} == keys_of("and with `--budget`")
    assert limited["budget"]["expected_seconds"] <= 3600


# --- --show-config ----------------------------------------------------------------------------------------------------


def test_a_config_as_json_is_what_would_be_trained() -> None:
    shown = document("changes_overview", "--show-config", "all", "iterations=100", "inr.init=deck")
    free = ("overrides", "digests", "config", "differs")
    both = {"deck", "here"}
    assert keys_in(shown, free) == {"version"} | (keys_of("`--show-config`") - both)
    config = Config.model_validate_json(json.dumps(shown["config"]))
    assert (config.iterations, shown["digests"]["0"]) == (100, Job(config=config, seed=0).digest)
    assert shown["differs"]["inr.width"] == {"deck": 256, "here": 32}
    assert shown["differs"]["batch_size"] == {"deck": 64, "here": 32}
    assert "inr.layer" not in shown["differs"]  # The deck's, with all changes, has the same.
    assert "d_per_g" not in shown["differs"]


def test_the_baseline_is_shown_where_no_variant_is_named() -> None:
    for arguments in (["--show-config"], ["--show-config", "iterations=7"], ["iterations=7", "--show-config"]):
        shown = answer("changes_overview", *arguments).out.splitlines()
        assert ", baseline: none of the ten changes" in shown[0]
        (line,) = (line for line in shown if line.startswith("iterations = "))
        assert line.split("#")[1].strip() == "deck: 20000"
        assert "loss = wasserstein" in shown
    assert "did you mean 'all'" in refused("changes_overview", "--show-config", "al")


@pytest.mark.parametrize("config", [Config(), Reconstruction()], ids=["gan", "reconstruction"])
def test_every_shown_value_can_be_typed_as_an_override(config: Config | Reconstruction) -> None:
    values = by_path(config.model_dump(mode="json"))
    typed = dict(parse_override(f"{path}={as_typed(value)}") for path, value in values.items())
    assert typed == values
    assert overridden(config, typed) == config


# --- completion -------------------------------------------------------------------------------------------------------


def completed(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bash is offered at the end of this line."""
    words = line.split(" ")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    monkeypatch.setenv(VARIABLE, "bash_complete")
    return [offer.removeprefix("plain,") for offer in answer().out.split()]


def test_what_may_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    def offered(line: str) -> list[str]:
        return completed(f"inr-gan-study {line}", monkeypatch)

    assert offered("") == list(catalogue.NAMES)
    assert offered("chan") == ["changes_overview"]
    assert offered("changes_overview --des") == ["--design"]
    assert offered("changes_overview --profile ") == ["cpu", "lsun64"]
    assert offered("changes_overview --design ladder,s") == ["ladder,screening", "ladder,shapley"]
    assert offered("changes_overview --only baseline,all-r") == ["baseline,all-residual_weight", "baseline,all-r1"]
    assert offered("changes_overview --show-config all-n") == ["all-ns_loss"]
    assert offered("--protocol c") == ["clean-50k"]
    assert offered("changes_overview --launcher i") == ["inline"]
    assert offered("changes_overview hypernetwork.l") == ["hypernetwork.latent_dim="]
    assert offered("changes_overview evaluation.met") == ["evaluation.metric=", "evaluation.metric."]
    assert offered("changes_overview inr.init=") == ["inr.init=deck", "inr.init=unit"]
    assert offered("inr_layers precision=t") == ["precision=tf32"]
    assert offered("changes_overview loss=") == [], "a change varies it"
    assert offered("no_such_study inr.") == []


NEEDED: dict[str, dict[str, Any]] = {
    # A study's fine images are of more pixels than those, not than the ones that data have by default.
    "data": {"data.resolution": 16},
    "looks.view": {
        "fine": {"kind": "scenes"},
        "discriminator": {"kind": "pooled"},
        "data": {"kind": "rooms", "resolution": 16},
    },
    "fine": {"data": {"kind": "rooms", "resolution": 16}},
    "evaluation.octaves": {"data": {"kind": "rooms", "resolution": 16}},
    "evaluation.scales": {"data": {"kind": "rooms", "resolution": 16}},
}
"""What an override at a path needs beside it."""


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_all_that_is_offered_is_accepted(name: str) -> None:
    study = catalogue.study(name)
    plan = make_plan(study, study.profiles[0], designs=available(study)[:3], seeds=[0])
    config = next(variant.config for variant in plan.variants)
    for path, values in offers.words_by_path(study).items():
        for value in values or ():
            typed = dict([parse_override(f"{path}={value}")])
            if path in by_path(config.model_dump(mode="json")) and value not in ("images", "clean_fid"):
                overridden(config, NEEDED.get(path, {}) | typed)


BASH = """
eval "$({python} -m studies.run --completion bash)"
compopt() {{ printf '%s ' compopt "$@"; echo; }}
COMP_LINE='inr-gan-study changes_overview inr.init=u'; COMP_POINT=${{#COMP_LINE}}; _inr_gan_study_completion
echo "${{COMPREPLY[*]}}"
COMP_LINE='inr-gan-study changes_overview hypernetwork.la'; COMP_POINT=${{#COMP_LINE}}; _inr_gan_study_completion
echo "${{COMPREPLY[*]}}"
inr-gan-study --seeds
"""


def test_bash_runs_its_script() -> None:
    """Bash takes = for the end of a word: what is offered is what stands behind it."""
    shown = subprocess.run(
        ["bash", "-c", BASH.format(python=sys.executable)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.stdout.splitlines() == ["unit", "compopt -o nospace ", "hypernetwork.latent_dim="]
    assert shown.stderr.startswith("error: Option '--seeds' requires an argument")
    assert shown.returncode == 2


def test_the_console_scripts_are_functions_that_there_are() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert completion.PROGRAM in scripts
    for target in scripts.values():
        module, _, function = target.partition(":")
        source = ROOT.joinpath(*module.split(".")).with_suffix(".py")
        assert f"\ndef {function}(" in source.read_text()


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_a_file_has_colours_where_asked_for_and_nothing_that_moves(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[1;36mchanges_overview" in answer("--list").out) == coloured
    assert not screen().is_interactive
