"""
One function per surface: makes one case from a source of randomness, and runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from wsmultipool import Compression, HandshakeInvalid, ProtocolViolation, UpgradeRejected
from wsmultipool._explanation import explain
from wsmultipool._rejection import RejectionReader
from wsmultipool._response_head import HeadReader
from wsmultipool.handshake import UpgradeResponse

from .case import LARGEST, RETRY, Case, Heard
from .deflate import RandomDeflater
from .frames import broken_traffic, cut_at_frames, traffic
from .heads import SUBPROTOCOL, broken_head, valid_head
from .meddling import Meddler
from .mutations import NUMBERS, TOKENS, cut, mutate, noise
from .peers import ENDINGS, Ending, Request, Script
from .pongs import pongs
from .proxies import granting, refusing
from .reference import Inflater, Reading, read
from .rejections import broken_rejection, valid_rejection
from .wires import wire

_BIG_ENOUGH = 70_000


def head(random: Random) -> None:
    """
    Heads that accept the upgrade: the right ones open the connection, no other does.
    """
    deflate = bool(random.randrange(2))
    right = bool(random.randrange(3) == 0)

    def answer(request: Request) -> list[bytes]:
        accepting = (
            valid_head(random, request, deflate=deflate) if right else broken_head(random, request)
        )
        # What a server sends at once arrives with the head.
        return cut(
            random, accepting + random.choice((b"", b"\x82\x02hi", b"\x88\x00", noise(random)))
        )

    script = Script(answer, random.choice(ENDINGS))
    case = Case([script], compression=deflate, protocols=[SUBPROTOCOL.decode()])
    heard = case.run()
    assert script.request is not None
    opened = len(heard.upgrades) > 1
    if right:
        assert opened, f"a valid head was refused: {heard.errors}"
    elif opened:
        assert script.request.accept in script.said, "it opened without the right key"
        assert b" 101" in script.said, "it opened without status 101"
    else:
        assert heard.errors, "nobody heard that it was refused"


def head_with_user_code(random: Random) -> None:
    """
    Accepting and rejecting heads, while user code meddles.
    """
    meddler = Meddler(random)

    def answer(request: Request) -> list[bytes]:
        way = random.randrange(3)
        if way == 0:
            return cut(random, broken_head(random, request))
        if way == 1:
            return cut(random, broken_rejection(random))
        return cut(random, valid_head(random, request) + broken_traffic(random, 200))

    scripts = [Script(answer, random.choice(ENDINGS)) for _ in range(3)]
    protocols = [SUBPROTOCOL.decode()]
    Case(scripts, protocols=protocols, on_connect=meddler.on_connect).run(meddler)


def rejection(random: Random) -> None:
    """
    Rejections: the right ones are reported as what they are, and C{Retry-After} is respected.
    """
    if random.randrange(2):
        _valid_rejection(random)
        return
    octets = broken_rejection(random)
    script = Script(lambda _: cut(random, octets), random.choice(ENDINGS))
    case = Case([script])
    heard = case.run()
    assert heard.errors, "nobody heard that it was rejected"
    assert len(heard.upgrades) == 1, "a rejection was taken for an upgrade"
    for response in heard.rejections:
        assert 200 <= response.status <= 999
        assert len(response.body) <= 65536


def _valid_rejection(random: Random) -> None:
    wanted = valid_rejection(random)
    # A reset may overtake what was sent before it.  A body that only the end of the connection ends
    # is waited for, but not for long.
    endings: tuple[Ending, ...] = ("close", "silence")
    script = Script(lambda _: cut(random, wanted.octets), random.choice(endings))
    case = Case([script])
    heard = case.run()
    [response] = heard.rejections
    assert (response.status, response.reason) == (wanted.status, wanted.reason)
    assert response.body == wanted.body
    assert response.get_all("set-cookie") == wanted.cookies
    [error] = heard.errors
    assert isinstance(error, UpgradeRejected)
    assert error.retry_after == wanted.retry_after
    first, second = case.hostile.attempts
    assert wanted.retry_after is None or second - first >= wanted.retry_after


def rejection_parser(random: Random) -> None:
    """
    The reader of rejections alone: it raises nothing unforeseen, and what it reads does not depend
    on where the octets were cut.
    """
    octets = broken_rejection(random)
    if random.randrange(2):
        octets = mutate(random, octets)
    whole = _read_rejection(octets, at_end=True)
    at = random.randrange(len(octets) + 1)
    early = _read_rejection(octets[:at], at_end=False)
    if early is not None and len(octets) < 4 * 65536:
        assert early == whole, "a prefix was read as something else"
    if isinstance(whole, UpgradeResponse):
        assert 200 <= whole.status <= 999
        assert len(whole.body) <= 65536
        _check_patience(whole)


def _read_rejection(octets: bytes, at_end: bool) -> UpgradeResponse | str | None:
    reader = HeadReader()
    try:
        head = reader.read(octets)
    except HandshakeInvalid as error:
        return str(error)
    if head is None:
        return None
    return RejectionReader(head).read(bytes(reader.unread), at_end)


_PAGES = (
    b"<html><head><title>403 Forbidden</title></head><body>no</body></html>",
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    b'{"error": "invalid_token", "detail": "\\u003cb\\u003e \\/"}',
    b"plain \xe9 text\n",
    b"<script>" * 500,
    b"<" * 5000,
    b"<title" * 800,
    b"&#x41;&amp;&lt;" * 300,
)


def explanation(random: Random) -> None:
    """
    What is told of a body of any kind: one short line of printable ASCII, without the secret.
    """
    secret = random.choice(("tok-0123456789", "a b", "x" * 300))
    body = mutate(random, random.choice(_PAGES)) if random.randrange(2) else noise(random)
    at = random.randrange(len(body) + 1)
    body = body[:at] + secret.encode() + body[at:]
    media_type = random.choice(
        ("", "text/plain", "text/html; charset=x", "application/xml", "a/b+json")
    )
    said = explain(body, media_type, "403 Forbidden", [secret], cut=random.random() < 0.5)
    assert len(said) <= 200
    assert said == "" or said.isprintable()
    assert said.isascii()
    assert secret not in said


def _check_patience(response: UpgradeResponse) -> None:
    patience = response.retry_after(0.0)
    assert patience is None or 0.0 <= patience <= 86400.0


_DATES = (
    *(
        "Tue, 15 Nov 1994 08:12:31 GMT",
        "Tuesday, 15-Nov-94 08:12:31 GMT",
        "Tue Nov 15 08:12:31 1994",
    ),
    *(
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Sat, 01 Jan 0001 00:00:00 +2359",
        "15 Nov 1994 08:12 -0000",
    ),
    *(
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "1 1 1",
        "0 0 0 0 0",
        "1994-11-15T08:12:31Z",
        "120",
        "0",
        "-1",
    ),
)


def retry_after(random: Random) -> None:
    """
    C{Retry-After} and C{Date} of any kind: between nothing and a day, and never an exception.
    """

    def value() -> str:
        octets = random.choice(_DATES).encode()
        way = random.randrange(4)
        if way == 0:
            octets = random.choice((*NUMBERS, *TOKENS))
        elif way > 1:
            octets = mutate(random, octets)
        return octets.decode("latin-1")

    wanted = value()
    headers = {"retry-after": wanted}
    if random.randrange(2):
        headers["date"] = value()
    response = UpgradeResponse(status=503, reason="", headers=headers)
    now = random.choice((0.0, 1e9, -1e12, 4e12))
    patience = response.retry_after(now)
    assert patience is None or 0.0 <= patience <= 86400.0
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 4000:
        assert patience == min(int(wanted), 86400)


def retry_after_in_a_pool(random: Random) -> None:
    """
    The same through a pool, which waits as long as it was asked to, and not longer than that.
    """
    value = mutate(random, random.choice(_DATES).encode())
    octets = b"HTTP/1.1 503 x\r\nContent-Length: 0\r\nRetry-After: " + value + b"\r\n\r\n"
    scripts = [Script(lambda _: [octets], "close") for _ in range(2)]
    case = Case(scripts)
    heard = case.run()
    for error, before, after in zip(
        heard.errors, case.hostile.attempts, case.hostile.attempts[1:], strict=False
    ):
        asked = (isinstance(error, UpgradeRejected) and error.retry_after) or 0.0
        waited = after - before
        # 10 seconds is what open_timeout leaves to an answer that never became complete.
        assert asked <= waited <= max(asked, RETRY) + 10


def frames(random: Random) -> None:
    """
    Frames of all kinds: a connection makes of them what the reference does.
    """
    largest = random.choice((200, LARGEST, _BIG_ENOUGH))
    if random.randrange(3) == 0:
        pieces = cut_at_frames(random, traffic(random, largest))
    else:
        pieces = cut(random, broken_traffic(random, largest))
    with_head = bool(random.randrange(2))

    def answer(request: Request) -> list[bytes]:
        return _behind_head(request.upgrade, pieces, with_head)

    script = Script(answer, random.choice(ENDINGS))
    heard = Case([script], largest=largest).run()
    _compare(heard, read(_after_head(script), largest))


def _behind_head(head: bytes, pieces: list[bytes], together: bool) -> list[bytes]:
    if together and pieces:
        return [head + pieces[0], *pieces[1:]]
    return [head, *pieces]


def _after_head(script: Script) -> bytes:
    _, _, octets = script.said.partition(b"\r\n\r\n")
    return bytes(octets)


def _compare(heard: Heard, wanted: Reading, compressed: bool = False) -> None:
    """
    Compare what a pool told with what the reference read.
    """
    messages = heard.messages[:-1]  # the last is the good server's
    if wanted.doubtful:
        assert messages[: len(wanted.messages) - 1] == wanted.messages[:-1]
        return
    assert messages == wanted.messages, f"{len(messages)} messages, not {len(wanted.messages)}"
    # Pings and pongs are answered, and told, while the closing handshake goes on as well.
    assert heard.pings[: len(wanted.pings)] == wanted.pings
    assert heard.pongs[: len(wanted.pongs)] == wanted.pongs
    violations = [error for error in heard.errors if isinstance(error, ProtocolViolation)]
    if wanted.end == "violation":
        # A compressed message that is both too large and no UTF-8 may be refused for either.
        codes = {1007, 1009} if compressed and wanted.code in (1007, 1009) else {wanted.code}
        assert len(violations) == 1, str(violations)
        assert violations[0].code in codes, f"{violations}, not {wanted.code}"
    else:
        assert not violations, str(violations)


def frames_with_user_code(random: Random) -> None:
    """
    Frames of all kinds, while user code meddles.
    """
    meddler = Meddler(random)

    def answer(request: Request) -> list[bytes]:
        pieces = cut(random, broken_traffic(random, LARGEST))
        return _behind_head(request.upgrade, pieces, bool(random.randrange(2)))

    scripts = [Script(answer, random.choice(ENDINGS)) for _ in range(3)]
    heartbeat = random.choice((0, 0, 4))
    case = Case(scripts, on_connect=meddler.on_connect, heartbeat_interval=heartbeat)
    case.run(meddler)


def deflate(random: Random) -> None:
    """
    Compressed messages, intact or not: a connection makes of them what the reference does.
    """
    largest = random.choice((200, LARGEST, _BIG_ENOUGH))
    takeover, window_bits = bool(random.randrange(2)), random.choice((9, 12, 15))
    deflater = RandomDeflater(
        random, takeover=takeover, window_bits=window_bits, damage=random.choice((0, 0, 2))
    )
    if random.randrange(3) == 0:
        octets = broken_traffic(random, largest, deflater)
    else:
        octets = b"".join(traffic(random, largest, deflater))
    extensions = b"permessage-deflate; server_max_window_bits=%d" % window_bits
    if not takeover:
        extensions += b"; server_no_context_takeover"
    pieces = cut(random, octets)

    def answer(request: Request) -> list[bytes]:
        header = b"\r\nSec-WebSocket-Extensions: " + extensions + b"\r\n\r\n"
        accepting = request.upgrade.removesuffix(b"\r\n\r\n") + header
        return _behind_head(accepting, pieces, bool(random.randrange(2)))

    script = Script(answer, random.choice(ENDINGS))
    compression = Compression(server_no_context_takeover=not takeover)
    heard = Case([script], largest=largest, compression=compression).run()
    _compare(heard, read(_after_head(script), largest, Inflater(window_bits, takeover)), True)


def proxy(random: Random) -> None:
    """
    Answers of a proxy: a grant leads to the server behind it, all else to the next attempt.
    """
    right = random.randrange(3) == 0

    def answer(_: Request) -> list[bytes]:
        return cut(random, granting(random) if right else refusing(random))

    script = Script(answer, "silence" if right else random.choice(ENDINGS))
    case = Case([script], proxied=True)
    heard = case.run()
    if right:
        # The script's request is all that the peer has read; what follows was for the server.
        assert case.hostile.peers[0].received.startswith(b"GET /feed?token="), "no tunnel"
    else:
        assert heard.errors, "nobody heard that it failed"


def proxy_with_user_code(random: Random) -> None:
    """
    Answers of a proxy, and of the server behind it, while user code meddles.
    """
    meddler = Meddler(random)

    def answer(request: Request) -> list[bytes]:
        if random.randrange(2):
            return cut(random, refusing(random))
        return cut(random, granting(random) + random.choice((broken_rejection(random), b"")))

    scripts = [Script(answer, random.choice(ENDINGS)) for _ in range(3)]
    Case(scripts, proxied=True, on_connect=meddler.on_connect).run(meddler)


Surface = Callable[[Random], None]

SURFACES: dict[str, tuple[Surface, ...]] = {
    "head": (head, head_with_user_code),
    "rejection": (rejection, rejection_parser, explanation),
    "frames": (frames, frames, frames_with_user_code),
    "wire": (wire,),
    "deflate": (deflate,),
    "proxy": (proxy, proxy_with_user_code),
    "pongs": (pongs,),
    "retry_after": (retry_after, retry_after_in_a_pool),
}
"""What there is to run by hand, each with the functions that take turns."""
