"""The life of every command: streams that take any sign, and one line with an exit code, whatever went wrong."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.errors import InputError
from core.files import is_full
from core.words import degrade_streams, first_words, one_line, open_streams

DONE, FAILED, BAD_INPUT, BUG, INTERRUPTED, UNREAD = 0, 1, 2, 70, 130, 141
"""70 is the `EX_SOFTWARE` of sysexits.h, 130 what shells give a command that Ctrl-C ended."""

GOES_ON = "interrupted: the same command goes on from there"

REMEDIES = {
    errno.EISDIR: ": choose another place",
    errno.EEXIST: ": choose another place",
    errno.ENOENT: ": make its folder, or choose another place",
    errno.ENAMETOOLONG: ": choose a shorter name",
    errno.ELOOP: ": a link is in the way; choose another place",
    errno.EMFILE: ": raise the limit of open files (ulimit -n)",
    errno.EAGAIN: ": end what else runs here (ulimit -u)",
}

NOT_YOURS = (errno.EACCES, errno.EPERM, errno.EROFS)


def code_of(
    body: Callable[[], int | None],
    *,
    hidden: Callable[[str], str] = str,
    interrupted: str = "interrupted",
    debug: bool = False,
) -> int:
    """Calls `body` and returns its exit code, DONE for None, or that of its error, of which one line goes to stderr.

    `hidden` takes secrets out of that line, `interrupted` is the line after Ctrl-C. With `debug` errors show their
    trace as well.
    """
    open_streams()
    degrade_streams()
    try:
        try:
            code = body() or DONE
        except SystemExit as end:  # As argparse ends a help.
            if end.code not in (None, DONE):
                _let_go()
                raise
            code = DONE
        sys.stdout.flush()
    except KeyboardInterrupt:
        say_error(interrupted, bare=True)
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader has enough, as in `--list | head`.
        code = UNREAD
    except Exception as error:
        if debug:
            with suppress(OSError, ValueError):
                print(hidden(traceback.format_exc()), file=sys.stderr, end="")
        text, code = end_of(error, debug=debug)
        say_error(hidden(text))
    _let_go()
    return code


def _let_go() -> None:
    """Lets Python end in peace: it would try once more, in its own words, to write what a stream could not take."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say_error(text: str, *, bare: bool = False) -> None:
    """One line on stderr, which may be gone."""
    with suppress(OSError, ValueError):
        print(one_line(text) if bare else f"error: {one_line(text)}", file=sys.stderr, flush=True)


def end_of(error: Exception, *, debug: bool = False) -> tuple[str, int]:
    """The line for an error, and the exit code."""
    match error:
        case InputError():
            return str(error), BAD_INPUT
        case OSError():
            return of_system(error), BAD_INPUT
        case MemoryError():
            return f"more memory is asked for than there is ({first_words(error)}): ask for less", BAD_INPUT
    hint = "" if debug else "; --debug shows the trace"
    return f"this is a bug in {place_of(error)}: {first_words(error)}{hint}", BUG


def of_system(error: OSError) -> str:
    """An error of the system: the file, what is wrong, and the remedy where there is one."""
    file = " and ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    what = error.strerror or first_words(error)
    if error.errno == errno.ENOTDIR and error.filename is not None:
        there = in_the_way(Path(error.filename))
        return f"{there} is a file where a folder is wanted: move it away, or choose another place"
    if is_full(error):
        remedy = ": free space and give the same command again"
    elif error.errno in NOT_YOURS:
        remedy = ": choose another folder, or have its owner allow it (umask 002 shares one within a group)"
    else:
        remedy = REMEDIES.get(error.errno or 0, "")
    return f"{file}: {what}{remedy}" if file else f"{what}{remedy}"


def in_the_way(path: Path) -> Path:
    """The first of the folders above that is none."""
    above = [each for each in reversed(path.parents) if each.exists() and not each.is_dir()]
    return above[0] if above else path


def place_of(error: BaseException) -> str:
    """The innermost line of this program's own code that the error passed."""
    root = Path(__file__).parents[1]
    mine = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(root)]
    mine = [frame for frame in mine if ".venv" not in frame.filename] or mine
    return f"{Path(mine[-1].filename).relative_to(root)}:{mine[-1].lineno}" if mine else "an unknown place"
