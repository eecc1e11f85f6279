"""Takes up runs that were published: `python -m studies.adopt reports/published/changes_overview`.

A published study can so be gone on with, by more seeds or other designs, and compared with one's own runs.
What is carried is every run's record and, of the first seed, its pictures: no weights. Nothing of an archive is
believed: a run counts where its job is the one that its folder is named after and its record is the one that its
outcome was found with.
"""

from __future__ import annotations

import io
import lzma
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from core.errors import InputError
from core.files import check_inside, make_folder, write_whole
from core.folder import RESULTS, RunFolder
from core.locks import FileLock
from core.names import DIGEST
from core.reading import MOST_JSON, Damaged, bytes_of
from core.words import one_line
from studies import catalogue
from studies.click_life import Command
from studies.plan import MOST_JOBS, Plan, check_received, is_drawn, jobs_root, plan_file, plans_lock

ARCHIVE = "runs.tar.xz"
"""Beside a published report: its plans and its runs."""

PLAN, PLANS = "plan.json", re.compile(r"plan(_[1-9])?\.json")
"""Of the setting that is reported, and of others that its report reads."""

RECORDS = ("job.json", "events.jsonl", "outcome.json", "protocol.json", "provenance.json", "data.json")
PICTURES = ("real.png", "interpolations.png", "upsampled.png", "dense.png", "octaves.png")
"""Of samples, beside those of the last iteration."""
_FILES = "|".join(map(re.escape, RECORDS))
MEMBER = re.compile(rf"jobs/{DIGEST.strip('^$')}/({_FILES}|samples/[a-z0-9_]{{1,40}}\.png)")

MOST_ARCHIVE, MOST_FILE, MOST_IN_ALL = 2**26, 2**24, 2**31
"""Bytes of an archive, of a file in it, and of all of them."""

AGAIN = "publish that study again"


# --- packed -----------------------------------------------------------------------------------------------------------


def pack(plans: Sequence[Plan], runs: Path) -> bytes:
    """The plans and the runs of them that have a result, the same bytes for the same runs. The first is reported."""
    content = io.BytesIO()
    with lzma.LZMAFile(content, "wb", preset=6) as squeezed, tarfile.TarFile(fileobj=squeezed, mode="w") as archive:
        for place, plan in enumerate(plans):
            name = f"plan_{place}.json" if place else PLAN
            add(archive, name, (plan.model_dump_json(indent=1) + "\n").encode())
        packed: set[str] = set()
        for plan in plans:
            for variant, seed in plan.jobs():
                folder = RunFolder(jobs_root(runs), variant.job(seed))
                if folder.digest in packed or folder.state() not in RESULTS:
                    continue
                packed.add(folder.digest)
                last = f"{variant.config.iterations:06d}.png"
                pictured = seed == plan.seeds[0] and not is_drawn(variant)
                shown = (last, *PICTURES) if pictured else ()
                for name in (*RECORDS, *(f"samples/{picture}" for picture in shown)):
                    if (file := folder.path / name).is_file():
                        add(archive, f"jobs/{folder.digest}/{name}", bytes_of(file, folder.remedy, MOST_FILE))
    return content.getvalue()


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """A file without owner and date."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


# --- taken up ---------------------------------------------------------------------------------------------------------


def members(file: Path) -> Iterator[tuple[str, bytes]]:
    """The files of an archive, one after the other. Raises Damaged for what is no archive of ours."""
    left = MOST_IN_ALL
    try:
        with (
            lzma.LZMAFile(io.BytesIO(bytes_of(file, AGAIN, MOST_ARCHIVE))) as plain,
            tarfile.TarFile(fileobj=plain) as archive,
        ):
            for count, member in enumerate(archive):
                fits = member.isreg() and not member.issparse() and 0 <= member.size <= MOST_FILE
                left -= member.size
                if not fits or left < 0 or count > MOST_JOBS * (len(RECORDS) + 4):
                    raise Damaged(file, "it has what no archive of runs has", AGAIN)
                if not PLANS.fullmatch(member.name) and not MEMBER.fullmatch(member.name):
                    raise Damaged(file, f"'{member.name[:80]}' is no file of a run", AGAIN)
                stream = archive.extractfile(member)
                assert stream is not None
                yield member.name, stream.read(member.size)
    except (tarfile.TarError, lzma.LZMAError, EOFError, OverflowError) as error:
        raise Damaged(file, f"it is no archive of runs: {error}", AGAIN) from None


def plan_in(content: bytes, file: Path) -> Plan:
    """The plan of an archive. Raises Damaged for what is none, and InputError for a study that is not known here."""
    try:
        plan = Plan.model_validate_json(content[:MOST_JSON])
    except ValueError:
        raise Damaged(file, "its plan is none of this version", AGAIN) from None
    catalogue.named(plan.study)
    # Where it was declared is a path of somebody else's.
    return plan.replace(declared_in=None)


def adopt(file: Path, runs: Path) -> tuple[list[Plan], int, int]:
    """Puts an archive's runs among those in `runs`, and its plans where the settings have none; returns the plans, how
    many runs came and how many were there already. Raises InputError where a setting is another plan's."""
    make_folder(jobs_root(runs))
    check_received(runs)
    plans: list[Plan] = []
    came, there = 0, 0
    with TemporaryDirectory(prefix=".adopting-", dir=runs) as place:
        staged = Path(place)
        for name, content in members(file):
            if PLANS.fullmatch(name):
                plans.append(plan_in(content, file))
            else:
                make_folder((staged / name).parent)
                (staged / name).write_bytes(content)
        if not plans:
            raise Damaged(file, "it has no plan", AGAIN)
        wanted = {variant.job(seed).digest for plan in plans for variant, seed in plan.jobs()}
        digests = checked(staged, wanted, file)
        make_folder(plans_lock(runs).parent)
        with FileLock(plans_lock(runs)):
            for plan in plans:
                record(plan, runs)
        for digest in digests:
            folder = check_inside(runs, jobs_root(runs) / digest)
            if folder.exists():
                there += 1
            else:
                shutil.move(staged / "jobs" / digest, folder)
                came += 1
    return plans, came, there


def checked(staged: Path, wanted: set[str], file: Path) -> Iterable[str]:
    """The digests of the runs of an archive that are whole and of its plan. Raises Damaged for any other."""
    root = staged / "jobs"
    digests = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    for digest in digests:
        if digest not in wanted or not is_whole(RunFolder(root, digest)):
            raise Damaged(file, f"its run {digest} is not whole, or of none of its plans", AGAIN)
    return digests


def is_whole(folder: RunFolder) -> bool:
    """Whether a run is the one that its folder is named after, and has the record that its result was found with."""
    try:
        folder.job()
        outcome = folder.outcome()
    except (Damaged, FileNotFoundError):
        return False
    return outcome is not None and outcome.recorded is not None


def record(plan: Plan, runs: Path) -> None:
    """Keeps the plan as it was registered. Raises InputError where the setting has another one."""
    file = check_inside(runs, plan_file(runs, plan.study, plan.setting))
    if not file.exists():
        make_folder(file.parent)
        write_whole(file, (plan.model_dump_json(indent=1) + "\n").encode())
    elif Plan.model_validate_json(bytes_of(file, "move it away", MOST_JSON)).registered != plan.registered:
        raise InputError(f"{file} is of another declaration of {plan.study}: name another folder with --runs")


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
def main(folder: Path, runs: Path) -> None:
    """Takes up the runs of the report published in FOLDER, so that its study can be gone on with here."""
    file = folder / ARCHIVE
    if not file.is_file():
        raise InputError(f"{folder} has no {ARCHIVE}: name the folder of a published report")
    plans, came, there = adopt(file, runs)
    settings = f"{'setting' if len(plans) == 1 else 'settings'} {', '.join(plan.setting for plan in plans)}"
    print(one_line(f"{plans[0].study}, {settings}: {came} runs taken up, {there} were there"))


if __name__ == "__main__":
    main()
