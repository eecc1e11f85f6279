"""A job in one worker's hands, and the queue's word that it is not worth its end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A job that one worker, and no other, is to train."""

    number: int
    digest: str


class GivenUp(Exception):
    """Raised while a job trains: its queue has recorded that the job is not worth its end."""
