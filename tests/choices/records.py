"""What a choice leaves: a record as data, and the page that is made of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.files import write_whole


def write(file: Path, record: Mapping[str, Any], page: Callable[[Any], str]) -> None:
    """The record into `file`, and its page beside it."""
    write_whole(file, (json.dumps(record, indent=1) + "\n").encode())
    write_whole(file.with_suffix(".md"), page(record).encode())
