"""
Answers that accept the upgrade, rightly or wrongly.
"""

from __future__ import annotations

from random import Random

from .mutations import NUMBERS, TOKENS, mutate, noise
from .peers import Request

SUBPROTOCOL = b"fuzz.1"

_GOOD_EXTENSIONS = (
    b"permessage-deflate",
    b"permessage-deflate; server_no_context_takeover",
    b"permessage-deflate; client_no_context_takeover; server_max_window_bits=10",
    b"permessage-deflate; client_max_window_bits=9; server_max_window_bits=15",
    b'permessage-deflate; client_max_window_bits="12"',
    b"permessage-deflate; server_max_window_bits=8",
    b"permessage-deflate; client_max_window_bits=8",
    b'permessage-deflate; server_max_window_bits="8"; client_max_window_bits=8',
)
_BAD_EXTENSIONS = (
    *(
        b"permessage-deflate; server_max_window_bits=7",
        b"permessage-deflate; server_max_window_bits",
    ),
    *(
        b"permessage-deflate; client_max_window_bits=16",
        b"permessage-deflate; client_max_window_bits",
    ),
    *(b"permessage-deflate; server_max_window_bits=-1", b"permessage-deflate; what=1; ever"),
    *(b"permessage-deflate, permessage-deflate", b"permessage-bzip2", b"permessage-snappy"),
    *(
        b"permessage-brotli",
        b"x-webkit-deflate-frame",
        b";;;===,,,",
        b"=",
        b'"',
        b"permessage-deflate;",
    ),
    b"permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    b"permessage-deflate; server_no_context_takeover=1",
    b"permessage-bzip2; client_max_compress_level=9",
    b"permessage-deflate; client_max_window_bits=" + b"9" * 5000,
)


def _case(random: Random, text: bytes) -> bytes:
    return random.choice((text, text.lower(), text.upper(), text.swapcase()))


def _header(random: Random, name: bytes, value: bytes) -> bytes:
    colon = random.choice((b": ", b":", b":\t ", b": "))
    return _case(random, name) + colon + value + random.choice((b"", b"", b" ", b"\t"))


def harmless_headers(random: Random) -> list[bytes]:
    """
    Headers that mean nothing to a WebSocket client.
    """
    choices = (
        *(b"Server: \xe9\xff\x80", b"Set-Cookie: a=b; Path=/", b"Set-Cookie: c=d", b"X-Empty:"),
        *(b"Date: Tue, 15 Nov 1994 08:12:31 GMT", b"Via: 1.1 proxy", b"X-Long: " + b"x" * 3000),
        *(b"X-Folded: one\r\n two", b"Content-Length: 0", b"X-Colons: a:b:c", b"X\xff: \x00"),
    )
    headers = [random.choice(choices) for _ in range(random.choice((0, 0, 1, 3, 40)))]
    # Every client limits heads; here to one that no client refuses.
    while sum(map(len, headers)) > 4000:
        headers.pop()
    return headers


def interim_responses(random: Random) -> bytes:
    """
    What a server may say before its answer (RFC 9110, section 15.2): often nothing.
    """
    some = (
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\nServer: \xe9\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\n\r\n",
        b"HTTP/1.1 199 x\r\nContent-Length: 5\r\n\r\n",
    )
    return b"".join(random.choice(some) for _ in range(random.choice((0, 0, 0, 1, 3, 16))))


def valid_head(random: Random, request: Request, *, deflate: bool = False) -> bytes:
    """
    A head that every client must accept, however strange it looks (RFC 6455, section 4.2.2; RFC
    9110, section 5).

    @param deflate: whether permessage-deflate was offered.
    """
    headers = [
        _header(random, b"Upgrade", _case(random, b"websocket")),
        _header(random, b"Connection", random.choice((b"Upgrade", b"upgrade", b"x, UPGRADE ,y"))),
        _header(random, b"Sec-WebSocket-Accept", request.accept),
        *harmless_headers(random),
    ]
    if random.randrange(4) == 0:
        headers.append(_header(random, b"Sec-WebSocket-Protocol", SUBPROTOCOL))
    if deflate and random.randrange(2):
        extensions = random.choice(_GOOD_EXTENSIONS)
        headers.append(_header(random, b"Sec-WebSocket-Extensions", extensions))
    random.shuffle(headers)
    reason = random.choice((b" Switching Protocols", b" ", b" \xe9\x80", b" 101 102 "))
    head = b"\r\n".join([b"HTTP/1.1 101" + reason, *headers, b"", b""])
    return interim_responses(random) + head


def _wrong_header(random: Random, request: Request) -> bytes:
    return random.choice(
        (
            b"Upgrade: h2c",
            b"Connection: close",
            b"Sec-WebSocket-Accept: " + random.choice((b"", b"x", request.accept, b"=" * 28)),
            b"Sec-WebSocket-Protocol: " + random.choice((b"other", SUBPROTOCOL, b",", b"\xff")),
            b"Sec-WebSocket-Extensions: " + random.choice(_BAD_EXTENSIONS + _GOOD_EXTENSIONS),
            b"Sec-WebSocket-Version: 13, 8",
            b"Content-Length: " + random.choice(NUMBERS),
            b"Transfer-Encoding: chunked",
            b"X: " + random.choice(TOKENS),
            random.choice(TOKENS) + b": x",
            b"no colon at all",
            b": no name",
            b"\r\n".join(b"X-Flood-%d: x" % number for number in range(2000)),
            b"X-Endless: " + b"x" * 70_000,
        )
    )


def broken_head(random: Random, request: Request) -> bytes:
    """
    A head that may be wrong in any way, and may, by chance, be right.
    """
    lines = valid_head(random, request, deflate=True)[:-4].split(b"\r\n")
    for _ in range(random.choice((0, 1, 1, 3))):
        lines.insert(random.randrange(1, len(lines) + 1), _wrong_header(random, request))
    if random.randrange(3) == 0:
        del lines[random.randrange(len(lines))]
    if random.randrange(6) == 0:
        status = random.choice(
            (b"HTTP/1.0 101 x", b"HTTP/1.1 101", b"HTTP/1.1  101 x", b"HTTP/2 101", b"HTTP/1.1 1O1")
        )
        lines[:1] = [status]
    head = b"\r\n".join([*lines, b"", b""])
    if random.randrange(2):
        head = mutate(random, head)
    if random.randrange(20) == 0:
        head = noise(random)
    return head
