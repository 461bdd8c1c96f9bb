"""
Answers of a proxy to C{CONNECT}, rightly or wrongly written.
"""

from __future__ import annotations

from random import Random

from .heads import harmless_headers
from .mutations import mutate, noise
from .rejections import broken_rejection

_GRANTED = (
    *(
        b"HTTP/1.1 200 Connection established",
        b"HTTP/1.0 200 OK",
        b"HTTP/1.1 200",
        b"HTTP/1.1 299 ",
    ),
    b"HTTP/1.9 200 \xff\x00",
)
_REFUSED = (
    *(b"HTTP/1.1 407 Proxy Authentication Required", b"HTTP/1.1 403 Forbidden", b"HTTP/1.0 502 "),
    *(b"HTTP/1.1 301 Moved", b"HTTP/1.1 999 \x1b[31m", b"HTTP/1.1 503 " + b"x" * 3000),
)
_INTERIM = (b"HTTP/1.1 100 Continue", b"HTTP/1.1 102 Processing", b"HTTP/1.1 199 x")


def _head(random: Random, line: bytes) -> bytes:
    return b"\r\n".join([line, *harmless_headers(random), b"", b""])


def granting(random: Random) -> bytes:
    """
    An answer that every client must take for a tunnel.
    """
    interim = [_head(random, random.choice(_INTERIM)) for _ in range(random.choice((0, 0, 1, 3)))]
    return b"".join([*interim, _head(random, random.choice(_GRANTED))])


def refusing(random: Random) -> bytes:
    """
    An answer that may be anything but, most often, is no tunnel.
    """
    way = random.randrange(8)
    if way == 0:
        return noise(random)
    if way == 1:
        return broken_rejection(random)
    if way == 2:
        return _head(random, random.choice(_INTERIM)) * random.choice((1, 50, 400))
    if way == 3:
        return mutate(random, granting(random))
    head = _head(random, random.choice(_REFUSED))
    return mutate(random, head) if way < 6 else head + b"<html>no</html>"
