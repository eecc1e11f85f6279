"""Whether numbers were measured alike: what a table refuses to mix, and how it says so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from core.errors import InputError
from core.metrics.protocol import Protocol, differences
from reports.numbers import counted, listed

Known = Mapping[str, Protocol]
"""Protocols by fingerprint, as run folders and reports record them."""

UNRECORDED = ""
"""The fingerprint of numbers that were recorded without one. It is no other's equal."""

_HASH = re.compile(r"[0-9a-f]{64}")


class MixedProtocols(InputError):
    """Numbers of one series that were measured under different protocols."""


def by_protocol(tidy: pd.DataFrame, series: str) -> dict[str, pd.DataFrame]:
    """The rows of a series by fingerprint, those of most runs first; recorded ones before others of as many."""
    mine = tidy[tidy["metric"] == series]
    groups = {str(fingerprint): rows for fingerprint, rows in mine.groupby("protocol", sort=False)}
    return dict(sorted(groups.items(), key=lambda item: (-item[1]["run"].nunique(), item[0] == UNRECORDED)))


def with_rows(tidy: pd.DataFrame, rows: Sequence[tuple[str, str, str, str]]) -> pd.DataFrame:
    """What `mixture` reads of a tidy frame, and further rows: variant, run, metric and fingerprint."""
    further = pd.DataFrame(rows, columns=["variant", "run", "metric", "protocol"])
    return pd.concat([tidy[list(further.columns)], further], ignore_index=True) if rows else tidy


def shortened(value: str) -> str:
    """A field's value on one line: hashes by their first 12 digits."""
    text = _HASH.sub(lambda found: f"{found[0][:12]}…", value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def told_apart(fingerprints: Sequence[str], known: Known) -> dict[str, list[str]]:
    """The fields in which these protocols differ, each with what every one of them says, shortened.

    A protocol whose fields nobody recorded differs as a whole.
    """
    protocols = [known.get(fingerprint) for fingerprint in fingerprints]
    there = [protocol for protocol in protocols if protocol is not None]
    if len(there) < len(protocols):
        return {"protocol": [fingerprint or "not recorded" for fingerprint in fingerprints]}
    fields = dict.fromkeys(name for protocol in there[1:] for name in differences(there[0], protocol))
    return {name: [shortened(protocol.fields().get(name, "none")) for protocol in there] for name in fields}


def mixture(tidy: pd.DataFrame, series: str, known: Known) -> str | None:
    """What keeps the numbers of a series out of one table, and the remedy, in one line; None where nothing does."""
    groups = by_protocol(tidy, series)
    if len(groups) < 2:
        return None
    fields = told_apart(list(groups), known)
    lines = []
    for index, rows in enumerate(groups.values()):
        differing = " and ".join(f"{name} {values[index]}" for name, values in fields.items())
        variants = list(dict.fromkeys(rows["variant"].astype(str)))
        more = [f"{len(variants) - 4} more"] if len(variants) > 4 else []
        lines.append(f"{differing} in {counted(rows['run'].nunique(), 'run')} ({', '.join([*variants[:4], *more])})")
    # The largest group that says what it is stays; all others are to be trained again like it.
    kept = next((fingerprint for fingerprint in groups if fingerprint != UNRECORDED), UNRECORDED)
    others = [run for fingerprint, rows in groups.items() if fingerprint != kept for run in rows["run"]]
    again = list(dict.fromkeys(map(str, others)))
    folders = [*again[:4], *([f"{len(again) - 4} more"] if len(again) > 4 else [])]
    return (
        f"{series} was measured under {len(groups)} protocols, which no table mixes: {'; '.join(lines)}. "
        f"Train {counted(len(again), 'run')} again like the others: remove the run "
        f"{'folder' if len(again) == 1 else 'folders'} {listed(folders)}, keep the same weights file and data, and "
        "give the study's command"
    )
