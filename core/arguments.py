"""Arguments of commands, whoever parses them: something stands where a value should, and a number is one that can be
meant. Commands of this room are parsed by argparse, with the manners of all commands."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from core.command_line import code_of
from core.errors import InputError
from core.words import visible

MOST = 10**9
"""No count that anybody means is larger."""

MOST_SEED = 2**31
"""A seed is below this, which every library takes."""

MOST_WORKERS = 10_000
"""Of processes or threads: no machine has cores for more."""

NOTHING = " \t\r\n,"
"""A value of these alone is a list of nothing."""


def check_given(arguments: Sequence[str]) -> None:
    """Raises InputError where an argument is empty, as a shell makes one of a variable that is not set.

    Taken as it is, an empty list would mean everything, and an empty path this folder.
    """
    before = ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name.startswith("-") and not value.strip(NOTHING):
            place = name
        elif not argument.strip(NOTHING):
            place = before
        else:
            before = argument
            continue
        where = f"what stands behind {visible(place)} is" if place else "the first argument is"
        empty = value if equals else argument
        raise InputError(f"{where} empty ('{empty}'): give a value, or leave it out (is a variable unset?)")


def whole_number(text: str, least: int | None = None, most: int = MOST) -> int:
    """A whole number in plain digits. Raises ValueError, which says what would be one."""
    if re.fullmatch(r"-?[0-9]{1,30}", text) is None or not (-MOST if least is None else least) <= int(text) <= most:
        span = f"up to {most:,}" if least is None else f"from {least:,} to {most:,}"
        raise ValueError(f"'{visible(text)}' is no whole number {span}")
    return int(text)


def amount(text: str, above: float, most: float) -> float:
    """A finite number in plain digits. Raises ValueError, which says what would be one."""
    plain = re.fullmatch(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", text)
    if plain is None or not math.isfinite(float(text)) or not above < float(text) <= most:
        raise ValueError(f"'{visible(text)}' is no number above {above:g} and up to {most:,.0f}")
    return float(text)


class Parser(argparse.ArgumentParser):
    """Raises InputError in place of ending the process, and takes `--debug`."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks of errors")

    def _print_message(self, message: str, file: Any = None) -> None:
        # argparse keeps it to itself where nothing could be written.
        print(message, end="", file=file or sys.stderr)

    def error(self, message: str) -> NoReturn:
        """Argparse's message, with where the options are listed."""
        raise InputError(f"{message} ({self.prog} --help)")


def given_to(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """The parsed arguments. Raises InputError."""
    check_given(arguments)
    return parser.parse_args(arguments)


def code_with(
    body: Callable[[Sequence[str]], int | None], arguments: Sequence[str] | None, *, interrupted: str = "interrupted"
) -> int:
    """The exit code of a command that takes its arguments, those of the process where None are given."""
    given = sys.argv[1:] if arguments is None else arguments
    return code_of(lambda: body(given), interrupted=interrupted, debug="--debug" in given)


def number(least: int = 1, most: int = MOST) -> Callable[[str], int]:
    """The type of an argument that is a whole number between two."""

    def read(text: str) -> int:
        try:
            return whole_number(text, least, most)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read
