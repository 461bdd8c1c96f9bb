"""
One run of a wire: octets from a server, cut into reads, and a listener that acts on what it hears.

A run is told as a list of everything that can be seen of it from outside, so that two wires that
are meant to behave alike can be compared: ours, and L{PlainWire}, all of whose octets Autobahn
parses.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from autobahn.twisted.websocket import WebSocketClientProtocol
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.python.failure import Failure

from wsmultipool import PoolOptions, ServerURL, UpgradeRequest, WebSocketOptions
from wsmultipool._autobahn import PoolProtocol
from wsmultipool._message_batch import MessageBatch
from wsmultipool._settings import Settings
from wsmultipool.errors import ProtocolViolation
from wsmultipool.messages import Message

from .support import Listener

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class PlainWire(PoolProtocol):
    """
    A wire all of whose octets Autobahn parses.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._parsing = False
        self._later: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        self.listener.wire_heard()
        if self._parsing:  # Autobahn's parser can't be entered twice
            self._later.append(data)
            return
        self._dataReceived(data)
        self._parse_later()

    def _parse_later(self) -> None:
        while self._later and not self._parsing:
            self._dataReceived(self._later.pop(0))

    def consumeData(self) -> None:
        outer, self._parsing = self._parsing, True
        try:
            WebSocketClientProtocol.consumeData(self)
        except Exception as error:
            self._error = ProtocolViolation(1002, f"its octets upset the parser: {error!r}")
            self._error.__cause__ = error
            self.abort()
        finally:
            self._parsing = outer

    def processData(self) -> bool:
        return self._receiving and super().processData()

    def pause_receiving(self) -> None:
        if self._receiving:
            self._receiving = False
            self.transport.pauseProducing()

    def resume_receiving(self) -> None:
        if self._receiving:
            return
        self._receiving = True
        if self.data and not self._parsing:
            self.consumeData()
            self._parse_later()
        if self._receiving:
            self.transport.resumeProducing()


class _Transport:
    """
    Tells what is written to it, frame by frame and without the masks, which are random.
    """

    def __init__(self, tell: Callable[..., None]) -> None:
        self.reading = True
        self.lost: Exception | None = None
        self.request = b""
        self._tell = tell

    def write(self, data: bytes) -> None:
        if not self.request:
            self.request = data
            return
        for first, payload in client_frames(data):
            self._tell("wrote", hex(first), payload)

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def registerProducer(self, producer: object, streaming: bool) -> None: ...

    def unregisterProducer(self) -> None: ...

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def getPeer(self) -> str:
        return "peer"

    def getHost(self) -> str:
        return "host"

    def loseConnection(self) -> None:
        self._lose(ConnectionDone())

    def abortConnection(self) -> None:
        self._lose(ConnectionAborted())

    def _lose(self, reason: Exception) -> None:
        if self.lost is None:
            self.lost = reason
            self._tell("dropped", type(reason).__name__)


def client_frames(octets: bytes) -> list[tuple[int, bytes]]:
    """
    Take apart what a client wrote: first octets, and payloads without their masks.
    """
    found = []
    at = 0
    while at < len(octets):
        first, second = octets[at : at + 2]
        size, start = second & 0x7F, at + 2
        if size > 125:
            start += 2 if size == 126 else 8
            size = int.from_bytes(octets[at + 2 : start], "big")
        payload = octets[start : start + size]
        if second & 0x80:
            key, payload = octets[start : start + 4], octets[start + 4 : start + 4 + size]
            start += 4
            pad = (key * (size // 4 + 1))[:size]
            number = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
            payload = number.to_bytes(size, "big")
        found.append((first, payload))
        at = start + size
    assert at == len(octets), "the last frame is incomplete"
    return found


@dataclass
class Run:
    """
    What happens in a run.

    @ivar octets: what the server sends after its response.
    @ivar cuts: where a read ends and the next begins; a cut at 0 is that behind the response.
    @ivar actions: what the listener does, by the number of what it hears: a method of L{_Actor}.
    @ivar resume_after: how many reads later a listener that has paused resumes.
    @ivar leaky: whether one read more arrives after a pause, as with TLS.
    @ivar closes_after: after how many reads this side closes by itself.
    @ivar limit: C{max_message_size}.
    @ivar deflate: the server's answer to the offer of compression.
    """

    octets: bytes
    cuts: Sequence[int] = (0,)
    actions: dict[int, str] = field(default_factory=dict)
    resume_after: int = 1
    leaky: bool = False
    closes_after: int | None = None
    limit: int = 1 << 20
    deflate: str | None = None

    def reads(self) -> list[bytes]:
        """What arrives, read by read."""
        edges = sorted({0, *self.cuts, len(self.octets)})
        return [self.octets[a:b] for a, b in pairwise(edges)]


class _Actor(Listener):
    """
    Tells what it hears, and does what it is told to.
    """

    def __init__(self, actions: dict[int, str]) -> None:
        super().__init__()
        self.told: list[tuple[object, ...]] = []
        self.wire: Any = None
        self.to_come: list[bytes] = []
        self.pauses = 0
        self._actions = actions
        self._heard = 0

    def tell(self, *what: object) -> None:
        self.told.append(what)

    def _hear(self, *what: object) -> None:
        self.tell(*what)
        action = self._actions.get(self._heard)
        self._heard += 1
        # Whatever comes of an exception in an open WebSocket's listener, there it is Autobahn's.
        if action is not None and (what, action) != (("open",), "fail"):
            self.tell("does", action)
            getattr(self, action)()

    # What it may do

    def close(self) -> None:
        self.wire.close(1000, "bye")

    def abort(self) -> None:
        self.wire.abort()

    def pause(self) -> None:
        self.pauses += 1
        self.wire.pause_receiving()

    def pause_and_abort(self) -> None:
        self.pause()
        self.abort()

    def blink(self) -> None:
        self.wire.pause_receiving()
        self.wire.resume_receiving()

    def send(self) -> None:
        self.wire.send_message(Message(b"sent by a handler", True))

    def send_and_close(self) -> None:
        self.send()
        self.close()

    def ping(self) -> None:
        self.wire.send_ping(b"?")

    def flush(self) -> None:
        self.wire.flush()

    def read_more(self) -> None:
        if self.to_come:
            self.wire.dataReceived(self.to_come.pop(0))

    def fail(self) -> None:
        raise RuntimeError("a listener that raises")

    # What it hears

    def wire_open(self, response: object) -> None:
        self._hear("open")

    def wire_message(self, payload: bytes, is_binary: bool) -> None:
        self._hear("message", payload, is_binary)

    def wire_messages(self, batch: MessageBatch) -> None:
        for payload in batch:
            self._hear("message", payload, batch.is_binary)

    def wire_ping(self, payload: bytes) -> None:
        self._hear("ping", payload)

    def wire_pong(self, payload: bytes) -> None:
        self._hear("pong", payload)

    def wire_closing(self) -> None:
        self.tell("closing")

    def wire_closed(self, error: Exception | None, code: int, reason: str) -> None: ...

    def wire_lost(self, error: Exception | None, code: int, reason: str) -> None:
        self.tell("lost", type(error).__name__, str(error), code, reason)

    def wire_heard(self) -> None: ...

    def wire_read(self) -> None: ...

    def wire_queued(self) -> None: ...

    def wire_writes(self, messages: object, size: int, confirmed: int) -> None: ...

    def wire_wrote(self, special: object) -> None: ...


def perform(run: Run, wire_class: type[PoolProtocol]) -> tuple[list[tuple[object, ...]], int]:
    """
    @return: all that can be seen of the run, and how many frames Autobahn has not seen.
    """
    options = PoolOptions(
        max_message_size=run.limit,
        ws_options=WebSocketOptions(compression=run.deflate is not None),
    )
    url = ServerURL.parse("ws://server.test/")
    wire: Any = wire_class(UpgradeRequest(url=url, host=url.host_header), 1024)
    wire.factory = Settings(options)
    actor = _Actor(run.actions)
    actor.wire, wire.listener = wire, actor
    transport = _Transport(actor.tell)
    wire.makeConnection(transport)
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", transport.request)
    assert key is not None
    accept = base64.b64encode(hashlib.sha1(key[1] + _GUID.encode()).digest())
    response = b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    if run.deflate is not None:
        response += f"Sec-WebSocket-Extensions: permessage-deflate{run.deflate}\r\n".encode()
    response += b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    reads = run.reads() or [b""]
    if 0 in run.cuts:
        reads.insert(0, b"")
    reads[0] = response + reads[0]
    actor.to_come = reads
    resume_in, leaks, number = 0, 0, 0
    while reads and transport.lost is None:
        if number == run.closes_after:
            actor.close()
        number += 1
        actor.tell("read")
        if transport.reading or leaks:
            leaks = 0 if not transport.reading else int(run.leaky)
            wire.dataReceived(reads.pop(0))
        if actor.pauses:
            actor.pauses, resume_in = 0, run.resume_after
        elif not transport.reading:
            resume_in -= 1
            if resume_in <= 0:
                wire.resume_receiving()
        if transport.lost is None:
            wire.flush()
    if transport.lost is None:
        actor.tell("end")
        wire.resume_receiving()
        wire.flush()
    wire.connectionLost(Failure(transport.lost or ConnectionDone()))
    return actor.told, wire.ordinary_frames


ACTIONS = [
    *("close", "abort", "pause", "pause_and_abort", "blink", "send", "send_and_close", "ping"),
    *("flush", "read_more", "fail"),
]


def frame(
    payload: bytes, first: int = 0x82, *, mask: bool = False, size_octets: int | None = None
) -> bytes:
    """
    Build a frame of a server, right or wrong.

    @param size_octets: how many octets the length takes, 1, 3 or 9; C{None} for the right number.
    """
    size = len(payload)
    if size_octets is None:
        size_octets = 1 if size < 126 else 3 if size < 65536 else 9
    bit = 0x80 if mask else 0
    if size_octets == 1:
        head = bytes((first, bit | size))
    else:
        code = 126 if size_octets == 3 else 127
        head = bytes((first, bit | code)) + size.to_bytes(size_octets - 1, "big")
    return head + (bytes(4) if mask else b"") + payload
