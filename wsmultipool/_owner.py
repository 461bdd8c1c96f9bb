"""
What a connection needs of its pool, and tells it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime

    from ._connection import PooledConnection
    from ._dispatch import Dispatch
    from ._ending import Ending
    from ._gate import ConnectGate
    from ._intake import Intake
    from ._message_batch import MessageBatch
    from ._observers import Observers
    from ._reactor_thread import ReactorThread
    from ._turn import EndOfTurn
    from ._unheard import UnheardFailures
    from .errors import GaveUp
    from .handshake import UpgradeRequest, UpgradeResponse
    from .interfaces import IWebSocketFactory
    from .options import PoolOptions, ServerURL


class LifecycleOwner(Protocol):
    """
    For its life: connecting, and what became of it.
    """

    reactor: IReactorTime
    options: PoolOptions
    ws_factory: IWebSocketFactory
    gate: ConnectGate
    observers: Observers
    uniform: Callable[[float, float], float] | None

    def build_url(self, url: ServerURL, connection: PooledConnection) -> Deferred[ServerURL]: ...
    def build_request(
        self, url: ServerURL, connection: PooledConnection
    ) -> Deferred[UpgradeRequest]: ...
    def connection_upgraded(self, connection: PooledConnection) -> None: ...
    def connection_rejected(
        self, connection: PooledConnection, request: UpgradeRequest, response: UpgradeResponse
    ) -> None: ...
    def connection_opened(self, connection: PooledConnection) -> None: ...
    def connection_ended(self, connection: PooledConnection, ending: Ending) -> None: ...
    def connection_moved(self, connection: PooledConnection, was: ServerURL) -> None: ...
    def connection_gave_up(self, connection: PooledConnection, error: GaveUp) -> None: ...
    def connection_stopped(self, connection: PooledConnection) -> None: ...


class ConnectionOwner(LifecycleOwner, Protocol):
    """
    For its traffic as well.
    """

    dispatch: Dispatch
    intake: Intake
    end_of_turn: EndOfTurn
    unheard: UnheardFailures
    thread: ReactorThread

    def connection_left(self, connection: PooledConnection) -> None: ...
    def messages_received(self, batch: MessageBatch, connection_id: int) -> None: ...
    def message_received(self, payload: bytes, is_binary: bool, connection_id: int) -> None: ...
    def ping_received(self, payload: bytes, connection_id: int) -> None: ...
    def pong_received(self, payload: bytes, connection_id: int) -> None: ...
