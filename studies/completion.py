"""Completion in shells: the scripts that shells load, and what may follow on a line.

Loads click alone, since a shell waits for it at every press of Tab; what a study declares is read once and kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from click.shell_completion import CompletionItem

from core.errors import InputError
from core.processes import in_shell
from studies import catalogue

if TYPE_CHECKING:
    import click

    from ablations.schema import Study

PROGRAM = "inr-gan-study"
"""The command's name where the project is installed; elsewhere the scripts define a function of that name."""

VARIABLE = "_INR_GAN_STUDY_COMPLETE"
"""How the scripts ask, as click's do."""

PROTOCOLS = ("deck-2020", "clean-50k", "embedded")
LAUNCHERS = ("local", "inline")
COMBINING = ("screening", "shapley")
"""Designs whose variants are many and called after what they combine: nobody types those names."""


def studies(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The studies' names, and files where a path has been begun."""
    if "/" in incomplete or incomplete.startswith("."):
        return [CompletionItem(incomplete, type="file")]
    return _beginning(incomplete, catalogue.NAMES)


def profiles(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The profiles of the study on the line."""
    return _beginning(incomplete, _words(ctx)["profiles"])


def protocols(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The protocols there are."""
    return _beginning(incomplete, PROTOCOLS)


def launchers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The launchers of this machine and the clusters that the user has declared."""
    from studies.runner.clusters import declared, launcher_file

    try:
        clusters = list(declared(launcher_file(ctx.params.get("launcher_file"))))
    except InputError:
        clusters = []
    return _beginning(incomplete, [*LAUNCHERS, *clusters])


def designs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The designs of the study on the line, behind the commas of a list too."""
    return _in_list(incomplete, _words(ctx)["designs"])


def variants(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The variants of the study's designs and claims, behind the commas of a list too where there may be one."""
    offered = _words(ctx)["variants"]
    return _in_list(incomplete, offered) if param.multiple else _beginning(incomplete, offered)


def overrides(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Paths of the study's config, one level at a time, and behind the equals sign what may stand there."""
    known = _words(ctx)["paths"]
    path, equals, _ = incomplete.partition("=")
    if equals:
        return _beginning(incomplete, [f"{path}={word}" for word in known.get(path) or ()])
    depth = path.count(".")
    offered = []
    for name, takes in known.items():
        if name.startswith(path) and name.count(".") == depth:
            offered += [f"{name}="] if takes is not None else []
            offered += [f"{name}."] if any(other.startswith(f"{name}.") for other in known) else []
    return _beginning(incomplete, offered)


class Words(TypedDict):
    """What may follow the name of a study; a path has the words that may stand there, None where no
    word may: for a node, and for what a change varies."""

    profiles: list[str]
    designs: list[str]
    variants: list[str]
    paths: dict[str, list[str] | None]


NOTHING = Words(profiles=[], designs=[], variants=[], paths={})


def _words(ctx: click.Context) -> Words:
    """Of the study on the line, kept until a file that declares changes: reading declarations takes half a second."""
    name = ctx.params.get("study_given") or ctx.params.get("study")
    if name not in catalogue.NAMES:
        return NOTHING
    kept = _kept_file(name)
    try:
        read: Words = json.loads(kept.read_bytes())
        return read
    except (OSError, ValueError):
        words = words_of(catalogue.study(name))
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(words), encoding="utf-8")
        aside.replace(kept)
    return words


def words_of(study: Study) -> Words:
    """What may follow the name of `study`."""
    from ablations.designs import DESIGNS, available, variant_name
    from ablations.paths import places

    named = [design for design in available(study) if design not in COMBINING]
    names = [variant_name(study, subset) for design in named for subset in DESIGNS[design](study, ())]
    claimed = [name for claim in study.claims for name in claim.variants]
    varied = [edit.path for change in study.changes for edit in change.edits]
    paths: dict[str, list[str] | None] = {}
    for path, there in places(type(study.base)).items():
        free = not any(other == path or other.startswith(f"{path}.") for other in varied)
        words = list(dict.fromkeys(word for place in there for word in place.words))
        paths[path] = words if free and any(place.takes_value for place in there) else None
    return Words(
        profiles=[profile.name for profile in study.profiles],
        designs=[*available(study), "all"],
        variants=list(dict.fromkeys([*names, *claimed])),
        paths=paths,
    )


def _kept_file(study: str) -> Path:
    """Where a study's words are kept, named by the state of all files that they come from."""
    root = Path(__file__).parents[1]
    sources = [*(root / "studies").glob("*.py"), *(root / "ablations").glob("*.py"), root / "core" / "config.py"]
    states = [f"{file} {file.stat().st_mtime_ns}" for file in sorted(sources)]
    state = hashlib.sha256("\n".join(states).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "inr-gan-ablations" / f"{study}-{state}.json"


def _beginning(incomplete: str, names: Iterable[str]) -> list[CompletionItem[str]]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _in_list(incomplete: str, names: Iterable[str]) -> list[CompletionItem[str]]:
    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    return [CompletionItem(f"{before}{comma}{n}") for n in names if n.startswith(last) and n not in given]


# Bash takes = for the end of a word, click's own scripts let it: these read the line themselves. None of them puts a
# space behind what is to go on, a path.
_BASH = """\
%(function)s() {
    local IFS=$'\\n' line type value words cut
    line="${COMP_LINE:0:COMP_POINT}"
    IFS=' ' read -ra words <<< "$line"
    [[ "$line" == *' ' ]] && words+=('')
    cut="${words[-1]%%"${words[-1]##*[=:]}"}"
    COMPREPLY=()
    while IFS=',' read -r type value; do
        case "$type" in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                [[ "$value" == *[=.] ]] && compopt -o nospace
                COMPREPLY+=("${value#"$cut"}") ;;
        esac
    done < <(%(variable)s=bash_complete COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) %(command)s)
}
type %(program)s >/dev/null 2>&1 || %(program)s() { %(command)s "$@"; }
complete -o nosort -F %(function)s %(program)s
"""

_ZSH = """\
#compdef %(program)s
%(function)s() {
    local -a lines whole parts
    local type value help
    lines=("${(@f)$(%(variable)s=zsh_complete COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) %(command)s)}")
    for type value help in $lines; do
        case $type in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain) if [[ $value == *[=.] ]]; then parts+=("$value"); else whole+=("$value"); fi ;;
        esac
    done
    (( $#parts )) && compadd -S '' -V unsorted -a parts
    (( $#whole )) && compadd -V unsorted -a whole
}
whence %(program)s >/dev/null || %(program)s() { %(command)s "$@" }
compdef %(function)s %(program)s
"""

_FISH = """\
function %(function)s
    for line in (env %(variable)s=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) %(command)s)
        set -l parts (string split -m 1 "," $line)
        switch $parts[1]
            case dir
                __fish_complete_directories (commandline -t)
            case file
                __fish_complete_path (commandline -t)
            case plain
                echo $parts[2]
        end
    end
end
type -q %(program)s; or function %(program)s; %(command)s $argv; end
complete --no-files --command %(program)s --arguments "(%(function)s)"
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script(shell: str) -> str:
    """What that shell has to eval. Raises KeyError for a shell other than bash, zsh and fish."""
    names = {
        "program": PROGRAM,
        "function": "_inr_gan_study_completion",
        "variable": VARIABLE,
        "command": in_shell("studies.run", "main"),
    }
    return SCRIPTS[shell] % names
