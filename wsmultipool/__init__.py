"""
A pool of WebSocket client connections that behaves like one fast connection that does not break.

Built on Twisted and Autobahn::

    from wsmultipool import ReconnectingPoolFactory

    pool = ReconnectingPoolFactory("wss://example.com/feed", pool_size=4)
    pool.on("message", lambda data, is_binary, connection_id: ...)
    await pool.when_ready()
    await pool.send("hello")
    await pool.close()
"""

from __future__ import annotations

from ._autobahn import WebSocketFactory
from ._connection import ConnectionState, PooledConnection
from ._masking import Speedups, speedups
from ._version import __version__
from .backoff import ExponentialBackoff
from .balancers import RoundRobin
from .errors import (
    BufferFull,
    CloseTimeout,
    ConnectionClosed,
    ConnectionDropped,
    ConnectionFailed,
    DeliveryUnknown,
    FlushTimeout,
    FragmentLost,
    GaveUp,
    HandshakeInvalid,
    HeadersFailed,
    HeartbeatTimeout,
    NoAsyncioLoop,
    NotConnected,
    OnConnectFailed,
    OpenTimeout,
    PingTimeout,
    PongOverdue,
    PoolClosed,
    PoolError,
    PoolExhausted,
    ProtocolViolation,
    ProxyRefused,
    QueueOverflow,
    SendError,
    SendTimeout,
    TransportFailed,
    UpgradeRejected,
    URLFailed,
    WrongThread,
)
from .events import EventEmitter, EventName
from .handshake import UpgradeRequest, UpgradeResponse
from .interfaces import (
    IBalancer,
    IPooledConnection,
    IPoolLogger,
    IPoolObserver,
    IWebSocketFactory,
    IWebSocketPool,
    IWebSocketWire,
    IWireListener,
)
from .keys import PinnedKey
from .loggers import (
    StandardLibraryLogger,
    TwistedLogger,
    create_console_logger,
    noop_logger,
)
from .messages import Message, SendData
from .options import (
    Compression,
    PoolOptions,
    PoolOptionsDict,
    ProxyOptions,
    ServerURL,
    TLSOptions,
    WebSocketOptions,
)
from .pool import ReconnectingPoolFactory
from .service import PoolService
from .stats import ConnectionStats, PoolStats

__all__ = [
    # pool, service
    "ReconnectingPoolFactory",
    "PoolService",
    # connections
    "ConnectionState",
    "PooledConnection",
    # options
    "Compression",
    "PoolOptions",
    "PoolOptionsDict",
    "ProxyOptions",
    "ServerURL",
    "TLSOptions",
    "WebSocketOptions",
    # interfaces
    "IBalancer",
    "IPoolLogger",
    "IPoolObserver",
    "IPooledConnection",
    "IWebSocketFactory",
    "IWebSocketPool",
    "IWebSocketWire",
    "IWireListener",
    # plug points that ship
    "ExponentialBackoff",
    "RoundRobin",
    "StandardLibraryLogger",
    "TwistedLogger",
    "WebSocketFactory",
    "create_console_logger",
    "noop_logger",
    # events, handshake, keys, messages, stats
    "ConnectionStats",
    "EventEmitter",
    "EventName",
    "Message",
    "PinnedKey",
    "PoolStats",
    "SendData",
    "UpgradeRequest",
    "UpgradeResponse",
    # errors
    "BufferFull",
    "CloseTimeout",
    "ConnectionClosed",
    "ConnectionDropped",
    "ConnectionFailed",
    "DeliveryUnknown",
    "FlushTimeout",
    "FragmentLost",
    "GaveUp",
    "HandshakeInvalid",
    "HeadersFailed",
    "HeartbeatTimeout",
    "NoAsyncioLoop",
    "NotConnected",
    "OnConnectFailed",
    "OpenTimeout",
    "PingTimeout",
    "PongOverdue",
    "PoolClosed",
    "PoolError",
    "PoolExhausted",
    "ProtocolViolation",
    "ProxyRefused",
    "QueueOverflow",
    "SendError",
    "SendTimeout",
    "TransportFailed",
    "URLFailed",
    "UpgradeRejected",
    "WrongThread",
    # what it runs on
    "Speedups",
    "speedups",
    # the version
    "__version__",
]
