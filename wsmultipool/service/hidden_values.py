"""
Messages without what stood in a file that may hold secrets.

A password may be given for the wrong option, and would be repeated by whoever finds that it is no
number, no origin, or not the name of a file.  So no text from such a file is shown, unless it is
plainly what it should be: an endpoint, a URL without a secret, the path of a file that is there.
The message still names the option, and where it stands.

@since: 0.2.0
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from .option_table import BY_NAME

if TYPE_CHECKING:
    from .option_values import Values

__all__ = ["HiddenValues"]

_INSTEAD = "<not shown>"
# What is shorter is hidden only in quotes: it may well be a word of the message.
_SHORTEST = 8
_ENDPOINT = re.compile(r"(?:tcp6?|ssl|unix|systemd|haproxy|fd):.*", re.DOTALL)
_URLS = ("url", "wamp_url", "proxy")
_OPEN_URL = re.compile(r"(?:wss?|https?)://(?:[\w.-]+|\[[\w:.]+\])(?::\d+)?(?:/[^@?#\s]*)?")


class HiddenValues:
    """
    Texts that no message is to repeat.

    @param texts: those texts.
    @param parts: texts that no message is to have in quotes, whatever else is in these.
    @param names: the options that they stand for, or others of the same file.
    @param where: what to call that file in messages.
    @since: 0.2.0
    """

    def __init__(
        self,
        texts: Iterable[str] = (),
        parts: Iterable[str] = (),
        names: Collection[str] = (),
        where: str = "",
    ) -> None:
        self._names = names
        self._where = where
        # The longest first: one may be part of another.
        longest_first = sorted({text for text in texts if text}, key=len, reverse=True)
        patterns = [re.escape(repr(text)) for text in longest_first]
        patterns += [f"'[^']*{re.escape(part)}[^']*'" for part in parts]
        patterns += [
            rf"(?<!\w){re.escape(text)}(?!\w)" for text in longest_first if len(text) >= _SHORTEST
        ]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    @classmethod
    def of(cls, values: Values, where: str) -> HiddenValues:
        """
        @param values: what was read from a file.
        @param where: what to call the file in messages.
        @since: 0.2.0
        """
        texts = [text for _, text in _texts(values)]
        urls = [text for name, text in _texts(values) if name in _URLS]
        # The library shows a URL without what its syntax says is a secret.
        parts = {part for url in urls for part in re.split("[?#@]|://", url) if len(part) > 2}
        return cls(texts, parts, frozenset(values), where)

    def hide(self, message: str) -> str:
        """
        @return: the message, with something else in place of each of the texts and, if there was
            one or if it begins with an option of the file, with what that is called.
        @since: 0.2.0
        """
        times, option = 0, re.match(r"\w*", message)
        if self._pattern is not None:
            message, times = self._pattern.subn(_INSTEAD, message)
        if self._where and (times or (option and option[0] in self._names)):
            return f"{self._where}: {message}"
        return message


def _texts(values: Values) -> Iterator[tuple[str, str]]:
    """Return the texts that are to be hidden, each with its option."""
    for name, value in values.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not _is_plain(name, text):
                yield name, text


def _is_plain(name: str, text: str) -> bool:
    option = BY_NAME[name]
    if option.choices:
        return True  # it is one of them
    if option.metavar == "FILE":
        return os.path.exists(text)
    if option.metavar == "ENDPOINT":
        return _ENDPOINT.fullmatch(text) is not None
    return name in _URLS and _OPEN_URL.fullmatch(text) is not None
