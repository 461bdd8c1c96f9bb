"""
Answers that reject the upgrade, with all kinds of bodies, rightly or wrongly written.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from .heads import harmless_headers, interim_responses
from .mutations import NUMBERS, TOKENS, mutate, noise

LONGEST_BODY = 65536


class Rejection(NamedTuple):
    """
    A rejection that is right.

    @ivar octets: what is sent.
    @ivar whole: how many of them there are before the client knows that it is complete; C{None} if
        only the end of the connection tells.
    @ivar cookies: the values of C{Set-Cookie}, in order.
    """

    octets: bytes
    status: int
    reason: str
    body: bytes
    retry_after: int | None
    whole: int | None
    cookies: list[str]


def _chunked(random: Random, body: bytes) -> bytes:
    octets = b""
    while body:
        size = random.choice((1, 3, 17, 4096, 70_000))
        chunk, body = body[:size], body[size:]
        number = random.choice((b"%x", b"%X", b"000%x")) % len(chunk)
        extension = random.choice((b"", b"", b";a=b", b' ; q="x;y"', b"\t"))
        octets += number + extension + b"\r\n" + chunk + b"\r\n"
    return octets + b"0\r\n" + random.choice((b"", b"Trailer: x\r\n")) + b"\r\n"


def _body(random: Random) -> bytes:
    if random.randrange(8) == 0:
        return bytes([random.randrange(256)]) * random.choice((65535, 65536, 65537, 150_000))
    return random.choice((b"", b"no", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\x00\xff" * 200))


def valid_rejection(random: Random) -> Rejection:
    """
    A rejection that every client must understand (RFC 9112).
    """
    status = random.choice((200, 204, 301, 304, 401, 403, 404, 407, 426, 429, 500, 503, 599, 999))
    reason = random.choice(("", "OK", "Service Unavailable", "a: b", "101 Switching Protocols"))
    headers = [line for line in harmless_headers(random) if not line.startswith(b"Content-Length")]
    retry_after = random.choice((None, None, 0, 7, 120, 4000))
    if retry_after is not None:
        headers.append(b"Retry-After: %d" % retry_after)
    body, whole = _body(random), True
    coded = body
    if status in (204, 304):
        body = coded = b""
    elif (way := random.choice(("length", "chunked", "end"))) == "length":
        headers.append(b"Content-Length: %d" % len(body))
    elif way == "chunked":
        headers.append(random.choice((b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED")))
        coded = _chunked(random, body)
    else:
        whole = False
    random.shuffle(headers)
    line = f"HTTP/1.{random.choice('011')} {status} {reason}".rstrip().encode()
    head = b"\r\n".join([line, *headers, b"", b""])
    octets = interim_responses(random) + head + coded
    enough = len(octets) if whole else None
    cookies = [line[12:].decode() for line in headers if line.startswith(b"Set-Cookie: ")]
    return Rejection(octets, status, reason, body[:LONGEST_BODY], retry_after, enough, cookies)


def _wrong_header(random: Random) -> bytes:
    return random.choice(
        (
            b"Content-Length: " + random.choice(NUMBERS),
            b"Content-Length: 3\r\nContent-Length: 5",
            b"Transfer-Encoding: "
            + random.choice((b"gzip", b"chunked, gzip", b"gzip, chunked", b",")),
            b"Retry-After: " + random.choice(NUMBERS),
            b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT",
            b"Retry-After: " + random.choice(TOKENS),
            b"Date: " + random.choice((*NUMBERS, b"Fri, 31 Dec 0000 23:59:59 +9999")),
            b"X: " + random.choice(TOKENS),
            random.choice(TOKENS) + b": x",
            b"\r\n".join(b"X-Flood-%d: x" % number for number in range(3000)),
            b"X-Endless: " + b"x" * 70_000,
        )
    )


def broken_rejection(random: Random) -> bytes:
    """
    A rejection that may be wrong in any way.
    """
    octets = valid_rejection(random).octets
    head, end, body = octets.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    for _ in range(random.choice((0, 1, 1, 3))):
        lines.insert(random.randrange(1, len(lines) + 1), _wrong_header(random))
    octets = b"\r\n".join(lines) + end
    if random.randrange(3):
        octets = mutate(random, octets)
    octets += mutate(random, body) if random.randrange(2) else body
    if random.randrange(20) == 0:
        octets = random.choice((b"", b"HTTP/1.1 404 ", b"HTTP/1.1 503 \r\n\r\n")) + noise(random)
    return octets
