"""
What is measured: one cell is one kind of work with all its parameters, done by several peers.
"""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

CONNECTIONS = 4
BROADCAST_CONNECTIONS = 64
CONNECT_CONNECTIONS = 1000
POOL_SIZES = (1, 4, 64, 1024)
RELAY_CLIENTS = 1000
LINK_SIZES = (1, 2, 4, 8, 16)

PAYLOADS = (16, KIB, 16 * KIB, MIB)
_ECHO_PAYLOADS = (16, KIB)
_SHORT_PAYLOADS = (16, KIB, 16 * KIB)
_LINK_PAYLOAD = 16 * KIB

_POOLS = ("wsmultipool", "wsmultipool-plain", "node-pool", "node-pool-await")
_LIBRARIES = ("picows", "aiohttp", "websockets", "autobahn")
_NODE_EXTRAS = ("node-pool-bufferutil", "ws")
_MULTIPLE = ("wsmultipool", "node-pool", *_LIBRARIES)
_RECEIVERS = ("wsmultipool", "node-pool", "ws", *_LIBRARIES)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """
    One kind of work.

    @ivar name: its name on the command line.
    @ivar title: its name for readers.
    @ivar task: what clients call it.
    @ivar unit: what is counted per second.
    @ivar peers: who takes part.
    @ivar payloads: bytes per message.
    @ivar connections: numbers of connections.
    @ivar secure: over TLS.
    @ivar limited: through the proxy that limits each connection.
    @ivar on_picows: to the server on picows, instead of the fast one.
    @ivar longer: factor on the time of one measurement.
    """

    name: str
    title: str
    task: str
    peers: tuple[str, ...]
    payloads: tuple[int, ...] = PAYLOADS
    connections: tuple[int, ...] = (CONNECTIONS,)
    unit: str = "messages"
    secure: bool = False
    limited: bool = False
    on_picows: bool = False
    longer: float = 1.0


@dataclass(frozen=True)
class Cell:
    """
    One comparison.
    """

    measure: str
    payload: int
    connections: int

    def __str__(self) -> str:
        return f"{self.measure}, {in_words(self.payload)}, {self.connections:,} connections"


MEASURES = {
    measure.name: measure
    for measure in (
        Measure(
            name="send",
            title="Send",
            task="send",
            peers=(*_POOLS, *_NODE_EXTRAS, *_LIBRARIES, "raw"),
        ),
        Measure(
            name="confirmed",
            title="Send, confirmed",
            task="confirm",
            peers=_POOLS,
        ),
        Measure(name="receive", title="Receive", task="receive", peers=(*_RECEIVERS, "raw")),
        Measure(
            name="broadcast",
            title="Broadcast to 64 connections",
            task="broadcast",
            peers=(*_POOLS, "node-pool-bufferutil", *_LIBRARIES),
            connections=(BROADCAST_CONNECTIONS,),
            unit="deliveries",
        ),
        Measure(
            name="echo",
            title="Round trip, one message at a time",
            task="echo",
            peers=_RECEIVERS,
            payloads=_ECHO_PAYLOADS,
            unit="round trips",
        ),
        Measure(
            name="wss",
            title="Send over TLS",
            task="send",
            peers=(*_POOLS, "node-pool-bufferutil", *_LIBRARIES),
            payloads=_SHORT_PAYLOADS,
            secure=True,
        ),
        Measure(
            name="connect",
            title="Connect",
            task="connect",
            peers=_MULTIPLE,
            payloads=(16,),
            connections=(CONNECT_CONNECTIONS,),
            unit="connections",
        ),
        Measure(
            name="pool-size",
            title="Send, by pool size",
            task="send",
            peers=("wsmultipool", "node-pool"),
            payloads=(16,),
            connections=POOL_SIZES,
        ),
        Measure(
            name="link",
            title="Limited link, by pool size",
            task="send",
            peers=("wsmultipool",),
            payloads=(_LINK_PAYLOAD,),
            connections=LINK_SIZES,
            limited=True,
            longer=4.0,
        ),
        Measure(
            name="picows-sink",
            title="Send to a server on picows",
            task="send",
            peers=("wsmultipool", "raw"),
            payloads=_SHORT_PAYLOADS,
            on_picows=True,
        ),
        Measure(
            name="relay",
            title="Send through a relay",
            task="send",
            peers=("wsmultipool", "relay"),
            payloads=_ECHO_PAYLOADS,
        ),
        Measure(
            name="relay-echo",
            title="Round trip through a relay",
            task="echo",
            peers=("wsmultipool", "relay"),
            payloads=_ECHO_PAYLOADS,
            unit="round trips",
        ),
        Measure(
            name="relay-clients",
            title="Clients of a relay",
            task="connect",
            peers=("relay",),
            payloads=(16,),
            connections=(RELAY_CLIENTS,),
            unit="connections",
        ),
    )
}


def in_words(size: int) -> str:
    """
    Return a number of bytes as people write it.
    """
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"
