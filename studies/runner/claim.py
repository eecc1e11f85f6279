"""What a worker and its queue tell each other of a job."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A job that one worker, and no other, is to train."""

    number: int
    digest: str


class GivenUp(Exception):
    """Raised while a job trains: its queue has recorded that the job is not worth its end."""
