"""The command that runs a study: `python -m studies.run STUDY`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from core.command_line import DONE
from studies import completion
from studies.options import EPILOG, Asked, SectionedCommand, with_options
from studies.runner.environment import forbid_telemetry

MODULE = "studies.run"


@click.command(cls=SectionedCommand, epilog=EPILOG, context_settings={"max_content_width": 110})
@with_options
def command(**given: Any) -> int:
    """Trains what STUDY asks and has not been trained, then renders its report.

    Overrides apply to every variant, as in iterations=200 or data.resolution=32. An interrupted study goes on with the
    same command, and so does one that is running elsewhere: both share the work.
    """
    asked = Asked(**given).named
    if asked.completion_of is not None:
        print(completion.script(asked.completion_of))
        return DONE
    forbid_telemetry()
    # Each is imported here, when it is asked for: what shows something answers at once.
    if asked.list_studies:
        from studies.commands import listing

        return listing.run(asked)
    if asked.shown_config is not None:
        from studies.commands import show_config

        return show_config.run(asked)
    if asked.calibrated:
        from studies.commands import calibrate

        return calibrate.run(asked)
    if asked.dry_run:
        from studies.commands import dry_run

        return dry_run.run(asked)
    if asked.decide is not None:
        from studies.commands import decide

        return decide.run(asked)
    from studies.commands import train

    return train.run(asked)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command with its exit codes; whatever goes wrong ends in one line, and with --debug in its trace as well."""
    name = Path(sys.argv[0]).name
    command.main(
        arguments,
        prog_name=name if name == completion.PROGRAM else f"python -m {MODULE}",
        complete_var=completion.VARIABLE,
    )


if __name__ == "__main__":
    main()
