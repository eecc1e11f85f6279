"""What the places of workers have in common, wherever the workers are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from core.reading import last_text
from core.words import visible
from studies.runner.deaths import DeathsOfPlace


@dataclass
class Slot:
    """The place of one worker, whose process is replaced when it dies; `hung` is for how long it was silent."""

    index: int
    name: str = ""
    log: Path = field(default_factory=Path)
    hung: float | None = None
    deaths: DeathsOfPlace = field(default_factory=DeathsOfPlace)

    @property
    def number(self) -> int:
        """As people count."""
        return self.index + 1

    @property
    def said(self) -> list[str]:
        """The last lines that the worker printed."""
        return [line for line in last_text(self.log).splitlines() if line.strip()]

    @property
    def last_words(self) -> str:
        return visible(self.said[-1]) if self.said else "it printed nothing"
