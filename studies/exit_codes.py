"""How the commands end, for scripts; `--help` lists what each means."""

from __future__ import annotations

DONE, FAILED, BAD_INPUT, BUG, INTERRUPTED = 0, 1, 2, 70, 130
"""70 is the `EX_SOFTWARE` of sysexits.h, 130 what shells give a command that Ctrl-C ended."""

GOES_ON = "interrupted: the same command goes on from there"
