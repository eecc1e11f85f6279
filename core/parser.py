"""The commands of this room: argparse's parser, with the manners of all commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from core.arguments import MOST, check_given, whole_number
from core.command_line import code_of
from core.errors import InputError


class Parser(argparse.ArgumentParser):
    """Raises InputError in place of ending the process, and takes `--debug`."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks of errors")

    def _print_message(self, message: str, file: Any = None) -> None:
        # argparse keeps it to itself where nothing could be written.
        print(message, end="", file=file or sys.stderr)

    def error(self, message: str) -> NoReturn:
        """What argparse says, with where the options are listed."""
        raise InputError(f"{message} ({self.prog} --help)")


def given_to(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """What the arguments say. Raises InputError."""
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
