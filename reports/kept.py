"""The data beside a report's pages: every measurement, its protocols, and, if published, the records of its runs.

A folder that is read may be of an earlier version, or from somebody else: nothing in it is taken for what it should be.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ablations.beside_deck import leaves
from core.arguments import MOST, MOST_SEED
from core.config import parse
from core.errors import InputError
from core.files import write_whole
from core.metrics.protocol import from_json
from core.names import FINGERPRINT, NAME, SERIES, VARIANT, fits
from core.numbers import MOST_VALUE
from core.reading import bytes_of, lines_of, record_of
from core.words import first_words
from reports.comparability import UNRECORDED, Known
from reports.frames import STATUSES, TIDY_COLUMNS
from reports.numbers import listed
from reports.page import Record
from reports.report import PUBLISHED, Report
from reports.results import METRICS, Results
from studies.plan import MOST_JOBS

TABLE = "results.csv"

PROTOCOLS = "protocols.json"
"""Beside a results.csv: the name of its data, and the fields of its protocols by fingerprint."""

AGAIN = "render the report again"

MEASURED = ["metric", "iteration", "images", "seconds", "value", "averaged", "protocol"]
"""The columns of a run's record."""


def write(report: Report) -> None:
    """Writes the data of a report into its folder."""
    results, folder = report.results, report.folder
    protocols = {fingerprint: protocol.model_dump(mode="json") for fingerprint, protocol in results.protocols.items()}
    record = json.dumps({"data": results.plan.data_name, "protocols": protocols}, indent=1) + "\n"
    write_whole(folder / PROTOCOLS, record.encode())
    write_whole(folder / TABLE, results.tidy.to_csv(index=False, lineterminator="\n").encode())
    if report.published:
        lines = [json.dumps(run, separators=(",", ":")) + "\n" for run in runs_of(results)]
        write_whole(folder / PUBLISHED, "".join(lines).encode())


def runs_of(results: Results) -> Iterator[dict[str, Any]]:
    """The record of every planned run, in the order of the appendix: everything but images and weights."""
    measured = {str(run): frame for run, frame in results.tidy[results.tidy["iteration"].notna()].groupby("run")}
    for run, variant in zip(results.jobs["run"].astype(str), results.jobs["variant"].astype(str), strict=True):
        rows = measured[run][MEASURED].itertuples(index=False) if run in measured else ()
        table = {"columns": MEASURED, "rows": [in_json(row) for row in rows]}
        yield {"run": run, "variant": variant, **files_of(results, run), "measured": table}


def files_of(results: Results, run: str) -> dict[str, Any]:
    """A run's config and seed, how and where it ended, and its data; nothing of a damaged one."""
    if run in results.damaged:
        return {"job": {}, "outcome": None, "provenance": {}, "data": {}}
    folder = results.folder(run)
    outcome = folder.outcome()
    return {
        "job": folder.read("job.json"),
        # What a record's bytes were is of use beside them alone.
        "outcome": None if outcome is None else outcome.model_dump(mode="json", exclude={"recorded"}),
        "provenance": folder.read("provenance.json"),
        "data": folder.read("data.json"),
    }


def in_json(row: Iterable[Any]) -> list[Any]:
    """One measurement in JSON, which has no infinity: of a run that diverged the value is "inf"."""
    cells = [cell.item() if isinstance(cell, np.generic) else cell for cell in row]
    return ["inf" if isinstance(cell, float) and np.isinf(cell) else cell for cell in cells]


def for_page(report: Report) -> tuple[Record, ...]:
    """The runs that a page in one file has inside."""
    records = []
    for run in runs_of(report.results):
        if (target := report.target(run["run"])) is not None:
            rows = [" ".join(map(str, row)) for row in (MEASURED, *run.pop("measured")["rows"])]
            records.append(Record(run["run"][:8], target, json.dumps(run, indent=1) + "\n\n" + "\n".join(rows)))
    return tuple(records)


# --- read back --------------------------------------------------------------------------------------------------------

MOST_BYTES = 2**26
"""Of a results.csv: ten thousand runs with fifty measurements each."""

MOST_HEAD, MOST_COLUMNS = 2**16, 100

WORDS = {"study": NAME, "variant": VARIANT, "metric": SERIES, "protocol": FINGERPRINT, "status": "|".join(STATUSES)}
"""The patterns of the words of a results.csv that a page shows; runs are only compared with each other."""

NUMBERS: Mapping[str, Callable[[pd.Series], pd.Series]] = {
    "seed": lambda numbers: (numbers >= 0) & (numbers < MOST_SEED) & (numbers % 1 == 0),
    "iteration": lambda numbers: (numbers >= 0) & (numbers <= MOST) & (numbers % 1 == 0),
    **dict.fromkeys(("value", "averaged"), lambda numbers: (numbers.abs() <= MOST_VALUE) | (numbers.abs() == np.inf)),
}
"""Which numbers a results.csv can have, as far as they are there: those of a run (`core.numbers`)."""


def read_tidy(file: Path) -> pd.DataFrame:
    """The frame of a results.csv. Raises InputError where the file is not one."""
    content = bytes_of(file, AGAIN, MOST_BYTES)
    if content[:MOST_HEAD].partition(b"\n")[0].count(b",") > MOST_COLUMNS:
        raise InputError(f"{file} has more columns than any results.csv: {AGAIN}")
    try:
        tidy = pd.read_csv(io.BytesIO(content), dtype=dict.fromkeys((*WORDS, "run", "reported"), str))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as a table: {first_words(error)}") from None
    # Reports of earlier versions have none of these: protocols count as not recorded, and nothing was averaged.
    if "averaged" not in tidy.columns and "value" in tidy.columns:
        tidy["averaged"] = tidy["value"]
    tidy["protocol"] = tidy["protocol"].fillna(UNRECORDED) if "protocol" in tidy.columns else UNRECORDED
    tidy["reported"] = tidy["reported"] == "True" if "reported" in tidy.columns else False
    if missing := [column for column in TIDY_COLUMNS if column not in tidy.columns]:
        raise InputError(f"{file} lacks the columns {listed(missing)}: {AGAIN} to write it anew")
    for column, can_be in NUMBERS.items():
        try:
            numbers = pd.to_numeric(tidy[column]).astype("float64")
        except (ValueError, TypeError):
            raise InputError(f"{file} has words in its column '{column}', which holds numbers") from None
        if len(wrong := numbers[numbers.notna() & ~can_be(numbers)]):
            raise InputError(f"{file} has {wrong.iloc[0]:g} in its column '{column}', where that cannot be: {AGAIN}")
        tidy[column] = numbers
    if tidy.empty or tidy[["variant", "seed"]].isna().to_numpy().any():
        raise InputError(f"{file} has no runs, or runs without a variant or a seed: {AGAIN}")
    tidy["seed"] = tidy["seed"].astype("int64")
    for column, pattern in WORDS.items():
        for text in tidy[column].dropna().unique():
            if not fits(pattern, str(text)):
                raise InputError(f"{file} has '{text}' as a {column}, which is none: {AGAIN}")
    if (studies := tidy["study"].nunique(dropna=False)) != 1:
        raise InputError(f"{file} is of {studies} studies: render the report of one")
    return tidy


def metric_of(tidy: pd.DataFrame, where: str, wanted: str | None) -> str:
    """The reported metric of a frame. Raises InputError where nothing was measured, or nothing says which it is."""
    recorded = [str(key) for key in tidy["metric"].dropna().unique()]
    reported = tidy[tidy["reported"]]["metric"].unique()
    if len(reported) == 1:
        return str(reported[0])
    if wanted in recorded:
        return str(wanted)
    known = [key for key in METRICS if key in recorded]
    if len(known) == 1 or len(recorded) == 1:
        return (known or recorded)[0]
    if not recorded:
        raise InputError(f"nothing was measured in {where}: there is nothing to compare")
    raise InputError(f"{where} records several metrics ({listed(recorded)}) and does not say which it reports")


def read_protocols(file: Path) -> tuple[str | None, Known]:
    """The name of a report's data and its protocols: nothing where the report is of an earlier version."""
    try:
        content = record_of(file, AGAIN)
        return str(content["data"]), from_json(content["protocols"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, {}


def read_configs(file: Path) -> dict[str, dict[str, Any]]:
    """The configs of a published report by variant, as leaves by path; nothing where it kept none."""
    configs: dict[str, dict[str, Any]] = {}
    for _, line in lines_of(file, AGAIN, MOST_JOBS) if file.is_file() else ():
        try:
            run = json.loads(line)
            variant, config = str(run["variant"]), run["job"]["config"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # A run that did not begin has none.
        if variant not in configs:
            configs[variant] = leaves(of_today(config))
    return configs


def of_today(config: Any) -> Any:
    """A config with the fields that have joined since; as it is where the schema of today refuses it."""
    try:
        return parse(config).model_dump(mode="json")
    except (ValueError, TypeError):
        return config
