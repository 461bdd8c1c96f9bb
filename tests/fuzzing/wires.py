"""
Frames straight into one protocol, without a pool around it: ten times as many cases in a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from wsmultipool import (
    Compression,
    PoolOptions,
    ProtocolViolation,
    ServerURL,
    UpgradeRequest,
    WebSocketFactory,
    WebSocketOptions,
)

from ..support import Listener
from .deflate import RandomDeflater
from .frames import broken_traffic, cut_at_frames, traffic
from .mutations import cut
from .peers import Request
from .reference import Inflater, Reading, read

_URL = ServerURL.parse("ws://fuzz.test/")
_SIZES = (200, 2000, 70_000)
_OPTIONS = {
    (largest, takeover): PoolOptions(
        max_message_size=largest,
        ws_options=WebSocketOptions(
            compression=Compression(server_no_context_takeover=not takeover)
        ),
    )
    for largest in _SIZES
    for takeover in (True, False)
}
_FACTORIES = {key: WebSocketFactory() for key in _OPTIONS}


class _Transport(StringTransport):
    """
    One that, like TCP, may be paused and resumed when it is over; it just does nothing then.
    """

    def _checkState(self) -> None: ...


class _Pausing(Listener):
    """
    A listener that stops reading in the middle of a read, now and then.
    """

    def __init__(self, random: Random, rate: int) -> None:
        super().__init__()
        self.wire: Any = None
        self._random = random
        self._rate = rate

    def wire_message(self, payload: bytes, is_binary: bool) -> None:
        super().wire_message(payload, is_binary)
        self._perhaps_pause()

    def wire_ping(self, payload: bytes) -> None:
        super().wire_ping(payload)
        self._perhaps_pause()

    def _perhaps_pause(self) -> None:
        if self._rate and self._random.randrange(self._rate) == 0:
            self.wire.pause_receiving()
            if self._random.randrange(4) == 0:
                self.wire.resume_receiving()


def wire(random: Random) -> None:
    """
    Frames of all kinds, compressed or not, into one protocol that is paused at any moment: it makes
    of them what the reference does.
    """
    largest, takeover = random.choice(_SIZES), bool(random.randrange(2))
    inflater = deflater = None
    extension = b""
    if random.randrange(3) == 0:
        bits = random.choice((9, 15))
        deflater = RandomDeflater(
            random, takeover=takeover, window_bits=bits, damage=random.choice((0, 0, 2))
        )
        inflater = Inflater(bits, takeover)
        extension = (
            b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=%d" % bits
        )
        extension += b"\r\n" if takeover else b"; server_no_context_takeover\r\n"
    if random.randrange(3) == 0:
        pieces = cut_at_frames(random, traffic(random, largest, deflater))
    else:
        pieces = cut(random, broken_traffic(random, largest, deflater))
    octets = b"".join(pieces)

    protocol: Any = _FACTORIES[largest, takeover].build_protocol(
        UpgradeRequest(url=_URL, host="fuzz.test"), _OPTIONS[largest, takeover]
    )
    listener = _Pausing(random, random.choice((0, 0, 2, 8)))
    protocol.listener = listener
    listener.wire = protocol
    transport: Any = _Transport()  # type: ignore[no-untyped-call]
    protocol.makeConnection(transport)
    head = Request(transport.value()).upgrade.removesuffix(b"\r\n") + extension + b"\r\n"
    if random.randrange(2) and pieces:
        pieces[0] = head + pieces[0]
    else:
        pieces.insert(0, head)
    _feed(random, protocol, transport, pieces)
    protocol.connectionLost(Failure(ConnectionDone()))
    _compare(listener.reports, read(octets, largest, inflater), inflater is not None)


def _feed(random: Random, protocol: Any, transport: Any, reads: Iterable[bytes]) -> None:
    for piece in reads:
        # A transport that is paused reads nothing; one that was aborted, nothing ever.
        while transport.producerState == "paused":
            protocol.resume_receiving()
        if transport.disconnecting or transport.disconnected:
            break
        protocol.dataReceived(piece)
        protocol.flush()
    while transport.producerState == "paused":
        protocol.resume_receiving()


def _compare(reports: list[tuple[Any, ...]], wanted: Reading, compressed: bool) -> None:
    messages = [report[1:] for report in reports if report[0] == "message"]
    pings = [report[1] for report in reports if report[0] == "ping"]
    pongs = [report[1] for report in reports if report[0] == "pong"]
    name, error, *_ = reports[-1]
    assert name == "lost"
    if wanted.doubtful:
        certain = wanted.messages[:-1]
        assert messages[: len(certain)] == certain
        return
    assert messages == wanted.messages, f"{len(messages)} messages, not {len(wanted.messages)}"
    assert pings[: len(wanted.pings)] == wanted.pings
    assert pongs[: len(wanted.pongs)] == wanted.pongs
    if wanted.end != "violation":
        assert not isinstance(error, ProtocolViolation), str(error)
        return
    codes = {1007, 1009} if compressed and wanted.code in (1007, 1009) else {wanted.code}
    assert isinstance(error, ProtocolViolation), f"{error!r}, not {wanted.code}"
    assert error.code in codes, f"{error!r}, not {wanted.code}"
