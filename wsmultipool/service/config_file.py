"""
Reading what an operator has written: the configuration, and files with secrets.

@since: 0.1.0
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator

from .bounded_read import is_regular, read_bytes
from .option_values import ConfigurationError, Values, typed

_REPEATS = re.compile(r"['\"]")

__all__ = ["check_regular", "digest", "exposed", "header_lines", "read_config", "read_text"]


def read_text(path: str, what: str) -> str:
    """
    Read a file.

    @param what: what to call it in a message.
    @raise ConfigurationError: it can't be read, or is not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{what} {path!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{what} {path!r} is not UTF-8") from None
    except ValueError as error:  # there is a null in the path
        raise ConfigurationError(f"{what} {path!r}: {error}") from None


def read_config(path: str) -> Values:
    """
    Read a configuration in TOML.

    @return: what it says, with underscores in the names.
    @raise ConfigurationError: the file can't be read, is not TOML, or has a mistake in it.
    """
    text = read_text(path, "config")
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # beside TOMLDecodeError, of too large numbers
        raise ConfigurationError(f"config {path!r} is not TOML: {_without_keys(error)}") from None
    values: Values = {}
    for name, value in tables.items():
        try:
            option, checked = typed(name, value)
            if option.name in values:
                raise ConfigurationError(f"{option.name} is given with a dash and an underscore")
        except ConfigurationError as error:
            raise ConfigurationError(f"config {path!r}: {error}") from None
        values[option.name] = checked
    return values


def _without_keys(error: Exception) -> str:
    """
    Say what is wrong with TOML: the parser repeats keys, which may be tokens, and long numbers.
    """
    text = str(error)
    if not _REPEATS.search(re.sub(r"'.'", "", text)):
        return text
    place = re.search(r"\(at (?:line \d+, column \d+|end of document)\)$", text)
    return f"a mistake {place[0]}" if place else "a mistake"


def header_lines(path: str) -> Iterator[tuple[str, str]]:
    """
    Read a file with headers.  Empty lines, and those that begin with a C{#}, do not count.

    @return: the lines, each with where it stands.
    @raise ConfigurationError: the file can't be read.
    """
    for number, line in enumerate(read_text(path, "header_file").splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield line, f"header_file {path!r}, line {number}"


def digest(paths: Iterable[str]) -> str:
    """
    Return what differs if other things are in these files, whether or not they can be read.  A pipe
    is left to whoever needs what is in it.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            data = read_bytes(path) if is_regular(path) else b""
        except (OSError, ValueError):
            data = b""
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()


def check_regular(path: str, what: str) -> None:
    """
    Check that a file can be read more than once.  That it is not there is left to whoever reads it.

    @param what: what to call it in a message.
    @raise ConfigurationError: it is a pipe or the like, which may also keep its reader waiting.
    """
    try:
        regular = is_regular(path)
    except (OSError, ValueError):
        return
    if not regular:
        raise ConfigurationError(f"{what} {path!r} is not a regular file")


def exposed(path: str) -> bool:
    """
    Say whether every user of the machine may read a file.
    """
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except (OSError, ValueError):
        return False
