"""Names of files as text that JSON, hashes and people can take, and back again: a name may be any bytes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from core.words import of_path

BYTE = re.compile(r"\\x([0-9a-f]{2})")

BACKSLASH = r"\x5c"


def stored(name: str) -> str:
    r"""The name with bytes that are no UTF-8 written out, as caf\xe9.png; no two names become one.

    A name of text stays as it is. In one that would be read back as another its backslashes are written out, too.
    """
    name = of_path(name)
    if _is_text(name) and BYTE.search(name) is None:
        return name
    return "".join(BACKSLASH if sign == "\\" else sign if _is_text(sign) else _written_out(sign) for sign in name)


def original(name: str) -> str:
    """The name that was `stored`, as the system's calls take it."""
    whole = BYTE.sub(lambda match: bytes([int(match[1], 16)]).decode(errors="surrogateescape"), name)
    return os.fsdecode(whole.encode(errors="surrogateescape"))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _written_out(sign: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in sign.encode(errors="surrogateescape"))


def _as_path(given: object) -> Path:
    if isinstance(given, str):
        return Path(original(given))
    if not isinstance(given, Path):
        raise ValueError("a path is wanted")
    return given


StoredPath = Annotated[
    Path,
    PlainSerializer(lambda path: stored(str(path)), return_type=str, when_used="json"),
    PlainValidator(_as_path),
]
"""A path in a file that we write, whatever its bytes."""
