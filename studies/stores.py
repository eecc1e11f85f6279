"""Where the queue and the MLflow view are kept: in files by default, elsewhere by URL; and what may be said of a URL.

A URL with a password comes from the environment and goes to workers by it. It is shown, and recorded, by `address`
alone, and errors of databases and servers are shown through `redacted`. Between paths and URLs of SQLite files there is
one way in each direction, `sqlite_file` and `sqlite_url`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import uuid
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from core.errors import InputError
from core.files import make_folder, write_whole
from core.locks import FileLock
from core.reading import text_of

QUEUE_VARIABLE = "INR_GAN_QUEUE"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
DEFAULT_TRACKING = "sqlite:///mlflow.db"

POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
DRIVER = "postgresql+psycopg"
"""SQLAlchemy takes plain `postgresql` for one driver or another, depending on its version."""
TRACKING_SCHEMES = (*POSTGRESQL, "sqlite", "http", "https")

SQLITE = "sqlite:///"

SECRET_PARAMETER = r"(?:\w*(?:password|passwd|token|secret|signature|api_?key|access_?key)|pwd|sig|auth|key)"
WEB_USER = re.compile(r"(?<=http://)[^\s/?#]*@|(?<=https://)[^\s/?#]*@", re.IGNORECASE)
"""A server is told who asks by it, and tokens are given as names or as passwords: all of it is secret."""
USERINFO = re.compile(r"(://[^\s:/@]*):\S*@")
LOOSE = re.compile(r"://[^:/@]*:(.*)@", re.DOTALL)
PARAMETER = re.compile(rf"([?&;]{SECRET_PARAMETER}=)[^&;#\s]*", re.IGNORECASE)
SECRET_VARIABLE = re.compile(r"PASSW(?:OR)?D$|TOKEN$|SECRET$|SECRET_KEY$|SECRET_ACCESS_KEY$|API_?KEY$")
OWN_SECRETS = ("PGPASSWORD", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""Variables by which databases and servers get passwords, however short those are; those of others, whose names say
what they hold, are hidden as well where they are long enough not to be words."""
LEAST_SECRET = 8
HIDDEN = "***"


# --- URLs -------------------------------------------------------------------------------------------------------------


def queue_url() -> str | None:
    """The database that holds the queue, None for files in the folder of runs.

    Raises InputError where the variable has something else.
    """
    url = os.environ.get(QUEUE_VARIABLE)
    return _checked(url, _named(QUEUE_VARIABLE, url), POSTGRESQL) if url else None


def tracking_uri() -> str:
    """Where the view is kept: MLFLOW_TRACKING_URI, or `mlflow.db` in the current folder, where `mlflow ui` looks.

    Raises InputError where the variable has something else than a server, a PostgreSQL database or an SQLite file.
    """
    url = os.environ.get(TRACKING_VARIABLE)
    return _checked(url, _named(TRACKING_VARIABLE, url), TRACKING_SCHEMES) if url else DEFAULT_TRACKING


_given: dict[str, tuple[str, str]] = {}
"""The option that has set a variable, and to what."""


def _named(variable: str, url: str) -> str:
    """What a person has to change: the option that has set the variable, or the variable."""
    option, given = _given.get(variable, (variable, url))
    return option if given == url else variable


def use_stores(*, queue: str | None = None, tracking: str | None = None) -> None:
    """Lets this process and its workers use what the options --queue and --tracking say, else what the environment
    says.

    Raises InputError for a URL that cannot be used, and for a password in an option: all users of a machine can read
    the arguments of its processes.
    """
    for option, url, variable in (("--queue", queue, QUEUE_VARIABLE), ("--tracking", tracking, TRACKING_VARIABLE)):
        if url is None:
            continue
        if not url.strip():
            raise InputError(f"{option} is empty: give a URL, or leave it out")
        if secrets_of(url):
            raise InputError(
                f"{option} has a password, and process arguments can be read by everybody on this machine: leave the "
                f"password to ~/.pgpass, or set {variable} to the whole URL"
            )
        os.environ[variable], _given[variable] = url, (option, url)
    queue_url()
    tracking_uri()


def _checked(url: str, named: str, schemes: tuple[str, ...]) -> str:
    """The URL with its driver named; errors are about what is `named`, a variable or an option."""
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in schemes:
        instead = (
            f"leave it out for files in the folder of runs{'' if named.startswith('-') else f' (unset {named})'}"
            if schemes == POSTGRESQL
            else f"for a file in the current folder give --tracking {DEFAULT_TRACKING}"
        )
        raise InputError(
            f"{named} is no URL that can be used: it begins with {', '.join(f'{s}://' for s in schemes)}; {instead}"
        )
    if scheme == "sqlite":
        if re.match(rf"{SQLITE}(?!file:|:memory:)[^?]*[^/?]", url) is None:
            raise InputError(f"{named} names no SQLite file: it looks like {DEFAULT_TRACKING}, or {SQLITE}/FOLDER/FILE")
        return url
    # What is not encoded moves the end of a password, and the rest would be taken for a host, which is no secret.
    try:
        parts = urlsplit(url)
        valid = parts.port is None or parts.port > 0
    except ValueError:
        valid = False
    if not valid or re.search(r"\s", url) or url.count("@") != parts.netloc.count("@") or url.count("@") > 1:
        example = "postgresql://user@host:5432/database" if scheme in POSTGRESQL else "https://user@host"
        raise InputError(f"{named} cannot be read: it looks like {example}, other signs in a password percent-encoded")
    if scheme not in POSTGRESQL:
        if not parts.hostname:
            raise InputError(f"{named} names no host: it looks like {scheme}://host:5000")
        return url
    if importlib.util.find_spec("psycopg") is None:
        raise InputError(f"{named} is a PostgreSQL database, which needs psycopg: pip install 'psycopg[binary]>=3.2'")
    return f"{DRIVER}://{rest}"


def folder_id(folder: Path) -> str:
    """The name of the folder of runs that this queue belongs to, in databases and on servers that others use, too.

    The same from wherever it is mounted; made where there is none.
    """
    if (known := known_id(folder)) is not None:
        return known
    make_folder(folder)
    with FileLock(folder / "id.lock"):
        if (known := known_id(folder)) is None:
            known = uuid.uuid4().hex[:12]
            write_whole(folder / "id", known.encode())
    return known


def known_id(folder: Path) -> str | None:
    """That name, None where none was given yet. Writes nothing. Raises Damaged."""
    try:
        return text_of(folder / "id", "remove it, and the runs get a name anew").strip() or None
    except FileNotFoundError:
        return None


# --- SQLite files -----------------------------------------------------------------------------------------------------


def sqlite_file(url: str) -> Path:
    """The file that a URL of SQLite means, read as SQLAlchemy and MLflow read it."""
    return Path(unquote(url.removeprefix(SQLITE).partition("?")[0])).absolute()


def sqlite_url(url: str) -> str:
    """Another URL of that file, with which MLflow can live, wherever the file is.

    MLflow takes the path in a URL for a folder's name as it stands, and would make folders called `%25`: a URL has
    signs that need encoding only where the file is to be reached by no path without them.
    """
    file, (_, mark, options) = sqlite_file(url), url.partition("?")
    paths = [str(file), os.path.relpath(file)]
    return SQLITE + next((path for path in paths if _plain(path) == path), _plain(paths[0])) + mark + options


def _plain(path: str) -> str:
    """The path as a part of a URL; only what has a meaning there is encoded."""
    return "".join(quote(sign) if sign in "%?" else sign for sign in path)


# --- what may be said of them -----------------------------------------------------------------------------------------


def address(url: str) -> str:
    """The URL without what is secret, as it may be shown and recorded: passwords, tokens, and who asks a server."""
    return PARAMETER.sub(rf"\1{HIDDEN}", USERINFO.sub(rf"\1:{HIDDEN}@", WEB_USER.sub(f"{HIDDEN}@", url)))


def secrets_of(url: str) -> set[str]:
    """What is secret in a URL, as it stands there and as it is meant; one that was not encoded is found as well."""
    passwords = [password[1] for password in LOOSE.finditer(url)]
    passwords += [user[0][:-1] for user in WEB_USER.finditer(url)]
    # The URL may be one that nobody can parse.
    with suppress(ValueError):
        parts = urlsplit(url)
        # A name without a password is one to a server.
        name = parts.username if parts.scheme in ("http", "https") and not parts.password else None
        passwords += [parts.password or "", name or ""]
        named = re.compile(SECRET_PARAMETER, re.IGNORECASE)
        passwords += [value for key, value in parse_qsl(parts.query, separator="&") if named.fullmatch(key)]
    return {form for secret in passwords if secret for form in (secret, unquote(secret))}


def redacted(text: str) -> str:
    """The text without what is secret: in URLs, and wherever else passwords and tokens of the environment stand."""
    text = address(text)
    known = {s for v in (QUEUE_VARIABLE, TRACKING_VARIABLE) for s in secrets_of(os.environ.get(v, ""))}
    known |= {
        value
        for name, value in os.environ.items()
        if value and (name in OWN_SECRETS or (SECRET_VARIABLE.search(name) and len(value) >= LEAST_SECRET))
    }
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
