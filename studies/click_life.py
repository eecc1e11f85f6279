"""Commands that click parses, with the manners of all commands: one line of error, exit codes, numbers that can be
meant, no empty values, and no passwords on the screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from core.arguments import MOST, amount, check_given, whole_number
from core.command_line import code_of
from core.errors import InputError
from core.words import degraded
from studies.stores import redacted


class Command(click.Command):
    """A command whose process ends as `core.command_line.code_of` says, with what it returns as its exit code.

    It has `--debug`, which shows tracebacks, whether it declares that or not.
    """

    interrupted = "interrupted"
    """The line after Ctrl-C."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if not any(parameter.name == "debug" for parameter in self.params):
            self.params.append(
                click.Option(["--debug"], is_flag=True, expose_value=False, help="Show tracebacks of errors.")
            )

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        """See click."""
        with unread():
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """See click."""
        with unread():
            return super().invoke(ctx)

    def get_help(self, ctx: click.Context) -> str:
        """See click, which writes UTF-8 to a stream that says it is ASCII."""
        return degraded(super().get_help(ctx), sys.stdout)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Ends the process, unless `standalone_mode` is off: then it returns the exit code and raises InputError."""
        given = list(sys.argv[1:] if args is None else args)

        def body() -> int | None:
            check_given(given)
            try:
                code: int | None = super(Command, self).main(
                    given, prog_name, complete_var, standalone_mode=False, **extra
                )
            except click.ClickException as error:
                raise InputError(remedied(error)) from error
            except click.Abort as error:
                if isinstance(error.__cause__, EOFError):
                    raise error.__cause__ from None
                raise KeyboardInterrupt from None
            return code

        if standalone_mode:
            sys.exit(code_of(body, hidden=redacted, interrupted=self.interrupted, debug="--debug" in given))
        return body()


@contextmanager
def unread() -> Iterator[None]:
    """Keeps click from ending a command whose output nobody reads as it ends one that failed: it looks at the errno."""
    try:
        yield
    except BrokenPipeError:
        raise BrokenPipeError from None


def remedied(error: click.ClickException) -> str:
    """What click says, with where the options are listed."""
    message = error.format_message().rstrip(".")
    helps = "Did you mean" in message or "Possible options" in message
    return message if helps else f"{message}: --help lists the options"


class Count(click.IntRange):
    """A whole number from one that the help names up to one that nobody exceeds."""

    def __init__(self, least: int = 1, most: int = MOST) -> None:
        super().__init__(min=least)
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click.ParamType."""
        if isinstance(value, int):
            return value
        try:
            return whole_number(str(value), self.least, self.most)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Amount(click.FloatRange):
    """A number above one that the help names and up to one that nobody exceeds."""

    def __init__(self, above: float, most: float) -> None:
        super().__init__(min=above, min_open=True)
        self.above, self.most = above, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click.ParamType."""
        if isinstance(value, int | float):
            return value
        try:
            return amount(str(value), self.above, self.most)
        except ValueError as error:
            self.fail(str(error), param, ctx)
