"""The one way to write a file that lasts, and to write nowhere but where one was told to."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from core.errors import InputError

OWN_FILE = os.O_CLOEXEC | os.O_NOFOLLOW
"""A link where a file of ours should be is somebody's trap, or leads to what is not ours to write."""

NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM)
"""Answers of file systems that cannot sync a folder."""


def is_full(error: OSError) -> bool:
    """Whether the disk, or what a user may use of it, has no more room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def unwritable(place: Path, error: OSError) -> InputError:
    """That something at `place` cannot be written, as one line with its remedy."""
    again = "free space and run the same again: it goes on from there"
    remedy = again if is_full(error) else "choose another folder"
    return InputError(f"{place} cannot be written ({error.strerror or error}): {remedy}")


@contextmanager
def named(file: Path, aside: Path | None = None) -> Iterator[None]:
    """Errors of the system within it name `file`: those of writing to an open one name none, others may name the file
    `aside`, which nobody knows."""
    try:
        yield
    except OSError as error:
        if error.filename is None or (aside is not None and str(error.filename) == str(aside)):
            error.filename, error.filename2 = str(file), None
        raise


def write_whole(file: Path, *content: bytes | memoryview, before: Path | None = None, lasting: bool = True) -> None:
    """Replaces `file` by the parts of `content`, as `written_whole` does."""
    with written_whole(file, before=before, lasting=lasting) as stream:
        for part in content:
            stream.write(part)


@contextmanager
def written_whole(file: Path, *, before: Path | None = None, lasting: bool = True) -> Iterator[BinaryIO]:
    """Replaces `file` by what is written within, or leaves it as it was: nobody ever reads half of it.

    On leaving, bytes and name are on the disk: a power cut takes neither, unless it is not `lasting`, which is
    for copies of what is elsewhere. What the file was is kept as `before`, where that is given: then there is an
    instant in which only `before` is there. No link is followed: one in the place of `file` is replaced. Raises
    InputError where a folder is there.
    """
    # The name cannot be guessed: nobody with access to the folder can have put a link there.
    aside = file.with_name(f".{file.name[:100]}.{socket.gethostname()[:40]}.{os.getpid()}.{secrets.token_hex(6)}")
    try:
        with named(file, aside):
            with open(aside, "xb", opener=lambda name, flags: os.open(name, flags | OWN_FILE, 0o666)) as stream:
                yield stream
                stream.flush()
                if lasting:
                    os.fsync(stream.fileno())
            if before is not None:
                with suppress(FileNotFoundError):
                    file.replace(before)
            aside.replace(file)
    except FileExistsError:
        raise
    except BaseException as error:
        with suppress(OSError):  # On a full disk half a file is what keeps the next one from being written.
            aside.unlink()
        if isinstance(error, IsADirectoryError):
            raise InputError(f"{file} is a folder where a file is wanted: move it away") from None
        raise
    if lasting:
        sync_folder(file.parent)


def placed(path: Path) -> Path:
    """The path as a name in a folder, so that there can be others beside it. Raises InputError where it is in none."""
    # "." and ".." are in a folder, too, and have a name there.
    there = path.resolve() if path.name in ("", "..") else path.absolute()
    if not there.name:
        raise InputError(f"{path} is the folder that all others are in, and nothing can be beside it: name another one")
    return there


def check_folder(folder: Path) -> None:
    """Raises NotADirectoryError, which names it, where a file is in the place of a folder or of one above it."""
    places = (folder, *folder.parents)
    there = next((each for each in places if each.exists() or each.is_symlink()), None)
    if there is not None and not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it that are missing, so that a power cut takes none of them away again.

    Raises as `check_folder`.
    """
    check_folder(folder)
    missing = []
    for each in (folder, *folder.parents):
        if each.exists():
            break
        missing.append(each)
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)
    folder.mkdir(exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Puts the names in `folder` on the disk: files that were made, renamed or removed. Where that can be done."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Within it no other process that asks for the same writes into `folder`.

    No file is made for it: it is the folder that is locked. Where a file system cannot do that nobody waits.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def check_writable(*places: Path) -> None:
    """Raises InputError for the first of these files and folders that this user may not write, or make."""
    for place in places:
        there = next(each for each in (place.absolute(), *place.absolute().parents) if each.exists())
        if not os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0)):
            raise InputError(
                f"{there} is not yours to write: have its owner allow it (umask 002 shares what is made within a "
                "group), or name another folder with --runs"
            )


def handle_of(file: Path, flags: int) -> int:
    """A file of ours, open. Raises InputError for a link, which is not followed, and for what is no file."""
    try:
        # A pipe would be waited for without end.
        handle = os.open(file, flags | os.O_NONBLOCK | OWN_FILE, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(f"{file} is a link, and no file of ours: remove it") from None
        raise
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise InputError(f"{file} is no file: remove it")


def check_file(file: Path) -> None:
    """Raises as `handle_of` for what is there and no file of ours. Makes nothing, and says not who may write it."""
    with suppress(FileNotFoundError, PermissionError):
        os.close(handle_of(file, os.O_RDONLY))


@contextmanager
def appended(file: Path) -> Iterator[FileIO]:
    """`file` open for reading, and for writing at its end, made where it is not there. Nothing is buffered: what was
    not written is not written when it is closed, either. Raises InputError for a link.
    """
    with FileIO(handle_of(file, os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+") as stream:
        yield stream


def emptied(file: Path) -> BinaryIO:
    """`file` open for writing from its beginning, as by another process. Raises InputError for a link."""
    return os.fdopen(handle_of(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb")


def write_all(stream: FileIO, content: memoryview) -> None:
    """Writes all of it: the system may take less at once."""
    while content:
        content = content[stream.write(content) :]


@contextmanager
def changed(file: Path) -> Iterator[BinaryIO]:
    """`file`, which is there, open for reading and for writing anywhere in it. Raises as `appended`."""
    with named(file), os.fdopen(handle_of(file, os.O_RDWR), "r+b") as stream:
        yield stream


def own_folder(folder: Path) -> Path:
    """`folder`, made where it is missing, for files whose names can be guessed: nobody else laid it out.

    Raises InputError where it is a link, another user's, or holds anything but files that have no other name.
    """
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
        return folder
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise InputError(f"{folder} is no folder, or a link: remove it")
    if status.st_uid != os.getuid():
        raise InputError(f"{folder} belongs to another user: have them remove it, or name another folder with --out")
    with os.scandir(folder) as entries:
        for entry in entries:
            there = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(there.st_mode) or there.st_nlink > 1:
                raise InputError(f"{entry.path} is a link, or no file, and would be written through: remove it")
    return folder


def append(file: Path, text: str) -> None:
    """Adds `text` at the end of `file`."""
    with named(file), appended(file) as stream:
        write_all(stream, memoryview(text.encode(errors="backslashreplace")))


def check_inside(root: Path, path: Path) -> Path:
    """`path`, which lies below `root` once links are followed, whether it exists or not.

    `root` itself may be a link: a user chose it. Raises InputError where a link below it leads elsewhere, or a name in
    `path` does.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"{path} leads out of {root}, to {path.resolve()}: a link or a name there is not followed; put what it "
            "leads to in its place, or remove it"
        )
    return path


def check_tree(root: Path, folder: Path, *, unused: str = "") -> Path:
    """`folder`, which may be absent, when neither it nor anything in it leads out of `root`, see `check_inside`. Links
    whose names match `unused` are passed over.

    Raises InputError for a link that does, and for what is neither a file nor a folder: a pipe is waited for without
    end.
    """
    check_inside(root, folder)
    with suppress(FileNotFoundError, NotADirectoryError):
        if not stat.S_ISDIR(kind := folder.stat().st_mode) and not stat.S_ISREG(kind):
            raise InputError(f"{folder} is neither a file nor a folder: remove it")
    ahead = [folder]
    while ahead:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(ahead.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    if not fnmatchcase(entry.name, unused):
                        check_inside(root, Path(entry.path))
                elif entry.is_dir():
                    ahead.append(Path(entry.path))
                elif not entry.is_file():
                    raise InputError(f"{entry.path} is neither a file nor a folder: remove it")
    return folder
