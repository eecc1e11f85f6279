"""Words that somebody else chose, and small files that somebody else wrote, for hypothesis to draw from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite

NASTY = (
    "",
    " ",
    ".",
    "..",
    "../../outside/thesis",
    "/etc/passwd",
    "a/b\\c",
    '"><script>window.pwned = 1</script>',
    "<img src=x onerror='window.pwned = 1'>",
    '" onmouseover="window.pwned = 1" x="',
    "</td></table><svg/onload=window.pwned=1>",
    "<!-- <b> --> &lt;script&gt; &#x3c;script&#x3e;",
    "](javascript:window.pwned=1)",
    "[a](javascript:window.pwned=1)",
    "![a](https://example.invalid/x.png)",
    "<https://example.invalid>",
    "`code` ``more`` ```",
    "# heading\n\n- item\n\n```sh\nrm -r /\n```\n\n| a | b |\n|---|---|",
    "> quote\n>\n> more",
    "$\\frac$",
    "$x_1$ \\input{/etc/passwd} \\write18{id} % ~ & # _ ^",
    '#eval("1") #read("/etc/passwd") *bold* _it_ @ref <label> $ x $',
    "[red]not red[/red] [/] [link=https://example.invalid]x[/link]",
    "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "a\nb\r\nc\x0bd\x85e\u2028f",
    "\x00nul",
    "gpj.\u202efdp\u2066x\u200e",
    "caf\udce9",
    '=HYPERLINK("https://example.invalid","x")',
    "@SUM(1)",
    "%41%2F%00?x=1#y;z",
    "';drop table runs;--",
    "台所 مطبخ מטבח रसोई 🍳",
    "e\u0301\u0308" * 40,
    "x" * 300,
    "nan",
    "{0.__class__}",
    "%s %d %(x)s",
)
"""Each is mark-up, a path, a command or a sign that acts, for somebody."""


def words() -> SearchStrategy[str]:
    """One of those, some together, or anything."""
    one = st.sampled_from(NASTY)
    return st.one_of(one, st.lists(one, min_size=2, max_size=3).map("".join), st.text(max_size=40))


def values() -> SearchStrategy[Any]:
    """What a JSON file may have in the place of anything."""
    numbers = st.sampled_from((0, -1, 1, 0.5, 10**30, -(10**30), 1e308, float("nan"), float("inf"), True, None))
    return st.one_of(words(), numbers, st.lists(words(), max_size=2), st.dictionaries(words(), words(), max_size=2))


def places(data: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in JSON data."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [at, *(place for key, value in inside for place in places(value, (*at, key)))]


def replaced(data: Any, at: tuple[str | int, ...], value: Any) -> Any:
    """The data with the value in that place."""
    if not at:
        return value
    first, *rest = at
    copy: Any = dict(data) if isinstance(data, dict) else list(data)
    copy[first] = replaced(data[first], tuple(rest), value)
    return copy


Change = Callable[[Path], None]
"""Something that was done to a file."""


@composite
def changes(draw: DrawFn, content: bytes) -> Change:
    """One thing that may be wrong with a file of this content."""
    kind = draw(st.sampled_from(("value", "value", "value", "key", "line", "bytes", "bytes", "link", "folder", "pipe")))
    lines = content.split(b"\n")
    number = draw(st.integers(0, len(lines) - 1))
    match kind:
        case "value" | "key" if content[:1] in (b"{", b"["):
            whole, line = content, None
            try:
                data = json.loads(content)
            except ValueError:  # one object a line
                line = number if lines[number] else 0
                data = json.loads(lines[line])
            at = draw(st.sampled_from(places(data)))
            if kind == "key" and isinstance(data, dict):
                data = {**data, draw(words()): draw(values())}
            else:
                data = replaced(data, at, draw(values()))
            made = json.dumps(data, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
            whole = made if line is None else b"\n".join([*lines[:line], made, *lines[line + 1 :]])
            return lambda file: _write(file, whole)
        case "line":
            other = draw(st.sampled_from((b"", b"{", b"\xff\xfe", b"null", b"[]", b'{"kind": "losses"}', b"\x00" * 20)))
            return lambda file: _write(file, b"\n".join([*lines[:number], other, *lines[number + 1 :]]))
        case "link":
            return _link
        case "folder":
            return _folder
        case "pipe":
            return _pipe
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, len(content)))
    between = draw(st.binary(max_size=20))
    return lambda file: _write(file, content[:start] + between + content[end:])


def _write(file: Path, content: bytes) -> None:
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def _link(file: Path) -> None:
    """To a file outside: what lies beside the folder of runs."""
    file.unlink()
    file.symlink_to(outside_of(file) / "precious.txt")


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _pipe(file: Path) -> None:
    """Whoever opens it waits for ever."""
    file.unlink()
    os.mkfifo(file)


def outside_of(file: Path) -> Path:
    """The folder beside that of the runs that `file` is in."""
    return next(parent for parent in file.parents if (parent / "outside").is_dir()) / "outside"
