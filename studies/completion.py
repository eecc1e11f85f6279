"""Completion in shells: the scripts that shells load, and what may follow on a line.

Loads click alone, since a shell waits for it at every press of Tab. What depends on declarations is in
`studies.offers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

import click
from click.shell_completion import CompletionItem

from core.processes import in_shell
from studies.names import NAMES, PROTOCOLS

PROGRAM = "inr-gan-study"
"""The command's name where the project is installed; elsewhere the scripts define a function of that name."""

VARIABLE = "_INR_GAN_STUDY_COMPLETE"
"""How the scripts ask, as click's do."""

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def studies(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The studies' names, and files where a path has been begun."""
    if "/" in incomplete or incomplete.startswith("."):
        return [CompletionItem(incomplete, type="file")]
    return _beginning(incomplete, NAMES)


def protocols(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The protocols there are."""
    return _beginning(incomplete, PROTOCOLS)


def declared(kind: Literal["profiles", "designs", "variants", "overrides", "launchers"]) -> Completion:
    """The words of that name in `studies.offers`, which is loaded when a shell asks."""
    return partial(_declared, kind)


def _declared(kind: str, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    from studies import offers

    return _beginning(incomplete, getattr(offers, kind)(ctx, param, incomplete))


def _beginning(incomplete: str, words: Iterable[str]) -> list[CompletionItem[str]]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


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
