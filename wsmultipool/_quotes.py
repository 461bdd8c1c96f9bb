"""
A peer's words, made fit for errors and logs.

They may be long, may colour or forge lines of a log, and may repeat what only the peer was to know:
servers and proxies like to quote the request that they do not like.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from ._urls import basic_authorization

if TYPE_CHECKING:
    from .handshake import UpgradeRequest

LONGEST_QUOTE = 200
"""Characters of a peer's words that are kept."""

_UNPRINTABLE = re.compile(r"[^ -~]+")
# The token of "Bearer token", "session=token" or "?token=token" may come back alone.  What is
# shorter, and no value, is hidden only within the whole: "Bearer" and "token" are in many a good
# explanation.
_PART = re.compile(r'(?<==)[^\s&;,="]+|[^\s&;,="]{8,}')
# Whoever gives "1" for a secret has none.
_SHORTEST = 3


def quote(text: str, secrets: Collection[str] = (), *, cut: bool = False) -> str:
    """
    @param text: a peer's words, or some of ours with a peer's among them.
    @param secrets: what they must not repeat, in any case of letters.
    @param cut: whether there was more of the text, so that a secret may end outside of it.
    @return: the beginning of it, in printable ASCII, each secret replaced by C{***}.
    """
    parts = [part for secret in secrets for part in (secret, *_PART.findall(secret))]
    if cut:
        text = _without_beginning_of(parts, text)
    lower = text.lower()
    found = {part for part in parts if len(part) >= _SHORTEST and part.lower() in lower}
    if found:
        # The longest first: one may be the beginning of another.
        longest_first = sorted(map(re.escape, found), key=len, reverse=True)
        text = re.sub("|".join(longest_first), "***", text, flags=re.IGNORECASE)
    return _UNPRINTABLE.sub("?", text.strip())[:LONGEST_QUOTE].rstrip()


def _without_beginning_of(secrets: Collection[str], text: str) -> str:
    """Hide, at the end of a text, what may be the beginning of a secret."""
    lower = text.lower()
    longest = 0
    for secret in map(str.lower, secrets):
        for length in range(min(len(secret), len(text)), max(longest, _SHORTEST - 1), -1):
            if lower.endswith(secret[:length]):
                longest = length
                break
    return text[: len(text) - longest] + "***" if longest else text


def secrets_of(
    request: UpgradeRequest, proxy_credentials: tuple[str, str] | None = None
) -> list[str]:
    """
    @param proxy_credentials: user name and password for the proxy on the way, which may have told
        the server more than it should.
    @return: what of a request nobody but the server, and the proxy, is to know.
    """
    resource, credentials = request.url.resource, request.url.credentials
    _, _, query = resource.partition("?")
    values = [unquote_plus(each.partition("=")[2]) for each in re.split("[&;]", query)]
    return [
        *([resource, query] if query else []),
        *filter(None, values),  # as they were before they were encoded
        *request.headers.values(),
        *(credentials or ()),
        *secrets_for_proxy(proxy_credentials),
    ]


def secrets_for_proxy(credentials: tuple[str, str] | None) -> list[str]:
    """
    @param credentials: user name and password for a proxy, or C{None}.
    @return: what of them it may repeat.
    """
    return [] if credentials is None else [basic_authorization(credentials), *credentials]
