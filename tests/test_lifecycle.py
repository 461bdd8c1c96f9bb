"""
The life of one connection where endpoints, hooks and wires behave in ways that none of ours does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from wsmultipool import (
    CloseTimeout,
    ConnectionDropped,
    HeadersFailed,
    HeartbeatTimeout,
    IPoolLogger,
    IWebSocketWire,
    IWireListener,
    OnConnectFailed,
    OpenTimeout,
    PooledConnection,
    PoolOptions,
    TransportFailed,
    UpgradeRequest,
    UpgradeResponse,
    WebSocketFactory,
    WebSocketOptions,
    noop_logger,
)
from wsmultipool._message_kinds import to_message
from wsmultipool.messages import Message, PlainMessage
from wsmultipool.testing import MemoryPool, MemoryServer


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """Collect what a Deferred comes to; empty as long as it is pending."""
    results: list[Any] = []
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results


class Dial:
    """
    One attempt to connect: made, failed and told of when the test says so.
    """

    def __init__(self, server: MemoryServer, factory: IProtocolFactory) -> None:
        self.cancelled = 0
        self.result: Deferred[IProtocol] = Deferred(self._cancel)
        self.refused: list[Failure] = []
        self._server = server
        self._factory = factory
        self._protocol: list[IProtocol] = []

    def _cancel(self, _: object) -> None:
        self.cancelled += 1

    def build(self) -> None:
        """There is a protocol, and no transport for it."""
        assert self._factory.buildProtocol(None) is not None  # type: ignore[arg-type]

    def connect(self) -> None:
        """There is a transport; the connection is not told by the Deferred yet."""
        self._server.connect(self._factory).addCallbacks(self._protocol.append, self.refused.append)

    def tell(self) -> None:
        """The Deferred fires."""
        self.result.callback(self._protocol[0])


@implementer(IStreamClientEndpoint)
class ManualEndpoint:
    """
    Connects to a server in memory step by step.
    """

    def __init__(self, server: MemoryServer) -> None:
        self.dials: list[Dial] = []
        self._server = server

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        dial = Dial(self._server, protocolFactory)
        self.dials.append(dial)
        return dial.result


def by_hand(**options: Any) -> tuple[MemoryPool, ManualEndpoint, list[Exception]]:
    """
    Start a pool of one connection on an endpoint that the test controls.

    Returns the pool, the endpoint, and the errors that the pool emits.
    """
    clock = Clock()
    server = MemoryServer(clock)
    endpoint = ManualEndpoint(server)
    options = {"ws_factory": WebSocketFactory(), "logger": noop_logger, **options}
    memory = MemoryPool(
        clock=clock,
        server=server,
        pool_size=1,
        ws_options=WebSocketOptions(endpoint=endpoint),
        **options,
    )
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    memory.settle()
    return memory, endpoint, errors


@implementer(IWebSocketWire)
class HandMadeWire(Protocol):
    """
    A wire that does nothing by itself, not even go away when it is told to.
    """

    listener: IWireListener
    unwritten_bytes = 0
    queued_confirmed = 0

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.unwritten: list[Message] = []

    @property
    def queued_messages(self) -> int:
        return len(self.unwritten)

    def send_message(self, message: Message) -> None:
        self.calls.append("send")
        self.unwritten.append(message)

    def send_plain(self, plain: PlainMessage) -> None:
        self.send_message(to_message(plain))

    send_confirmed = send_plain

    def send_run(self, run: Iterable[PlainMessage]) -> int:
        messages = list(map(to_message, run))
        for message in messages:
            self.send_message(message)
        return len(messages)

    def send_ping(self, payload: bytes) -> None:
        self.calls.append("ping")

    def flush(self) -> None:
        self.calls.append("flush")

    def take_unwritten(self) -> list[Message]:
        unwritten, self.unwritten = self.unwritten, []
        return unwritten

    def close(self, code: int, reason: str) -> None:
        self.calls.append("close")
        self.listener.wire_closing()

    def abort(self) -> None:
        self.calls.append("abort")

    def pause_receiving(self) -> None:
        self.calls.append("pause")

    def resume_receiving(self) -> None:
        self.calls.append("resume")

    def open(self) -> None:
        self.listener.wire_open(UpgradeResponse(status=101, reason="", headers={}))

    def reject(self, status: int = 503) -> None:
        self.listener.wire_rejected(UpgradeResponse(status=status, reason="", headers={}))

    def lose(self, error: Exception | None = None) -> None:
        assert self.transport is not None
        self.transport.loseConnection()
        self.listener.wire_lost(error, 1006, "")


class HandMadeFactory(WebSocketFactory):
    """
    Gives every attempt a hand-made wire.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wires: list[HandMadeWire] = []

    def build_protocol(self, request: UpgradeRequest, options: PoolOptions) -> IWebSocketWire:
        self.wires.append(HandMadeWire())
        return self.wires[-1]


def hand_made(**options: Any) -> tuple[MemoryPool, HandMadeWire, list[Exception]]:
    """
    Start a pool of one connection up to where its hand-made wire has a transport.
    """
    factory = HandMadeFactory()
    memory, endpoint, errors = by_hand(ws_factory=factory, **options)
    endpoint.dials[0].connect()
    endpoint.dials[0].tell()
    return memory, factory.wires[0], errors


def test_hand_made_wire_is_a_wire() -> None:
    """The wire of these tests has what a pool asks of any wire."""
    wire = HandMadeWire()
    wire.listener = PooledConnection.__new__(PooledConnection)
    assert verifyObject(IWebSocketWire, wire)


# The endpoint


def test_lifecycle_an_endpoint_may_tell_after_the_handshake() -> None:
    """A connection that is open before its endpoint says "connected" is as good as any."""
    memory, endpoint, errors = by_hand()
    dial = endpoint.dials[0]
    dial.connect()
    memory.settle()
    assert memory.pool.open_connections == 1
    dial.tell()
    memory.advance(100)
    assert memory.pool.open_connections == 1
    assert errors == []
    assert dial.cancelled == 0
    memory.close()


def test_lifecycle_an_endpoint_may_tell_during_on_connect() -> None:
    """The hook goes on when the endpoint says "connected" late."""
    hook: Deferred[None] = Deferred()
    memory, endpoint, errors = by_hand(on_connect=lambda connection: hook)
    dial = endpoint.dials[0]
    dial.connect()
    memory.settle()
    dial.tell()
    memory.settle()
    assert memory.pool.get_stats().connecting == 1
    hook.callback(None)
    assert memory.pool.open_connections == 1
    assert errors == []
    memory.close()


def test_lifecycle_a_transport_lost_before_the_endpoint_told_is_retried() -> None:
    """What was connected and lost, all before the endpoint says so, is one failed attempt."""
    memory, endpoint, errors = by_hand()
    dial = endpoint.dials[0]
    dial.connect()
    memory.server.peers[0].drop()
    memory.settle()
    assert dial.cancelled == 1
    assert [type(error) for error in errors] == [ConnectionDropped]
    memory.advance(1)
    assert len(endpoint.dials) == 2
    memory.close()


def test_lifecycle_a_transport_lost_while_open_before_the_endpoint_told() -> None:
    """An open connection that is lost before its endpoint tells is closed as any other."""
    memory, endpoint, errors = by_hand()
    closed: list[tuple[int, int, str]] = []
    memory.pool.on("close", lambda *args: closed.append(args))
    endpoint.dials[0].connect()
    memory.settle()
    memory.server.peers[0].drop()
    memory.settle()
    assert closed == [(0, 1006, "")]
    assert [type(error) for error in errors] == [ConnectionDropped]
    memory.close()


def test_lifecycle_an_endpoint_may_fire_for_a_wire_already_lost() -> None:
    """An endpoint that answers a cancellation with success ends the attempt all the same."""
    memory, endpoint, errors = by_hand()
    dial = endpoint.dials[0]
    dial.connect()
    # What is cancelled fires with the protocol, as if it had just been connected.
    dial.result._canceller = lambda deferred: dial.tell()
    memory.server.peers[0].drop()
    memory.settle()
    assert [type(error) for error in errors] == [ConnectionDropped]
    memory.advance(1)
    assert len(endpoint.dials) == 2
    memory.close()


def test_lifecycle_an_endpoint_may_fail_after_it_connected() -> None:
    """An endpoint that connects and then fails has its transport aborted, and is retried."""
    memory, endpoint, errors = by_hand()
    dial = endpoint.dials[0]
    dial.connect()
    dial.result.errback(Failure(ConnectionRefusedError()))
    memory.settle()
    assert not memory.server.peers[0].connected
    assert len(errors) == 1
    memory.advance(1)
    assert len(endpoint.dials) == 2
    memory.close()


def test_lifecycle_an_attempt_given_up_is_cancelled() -> None:
    """An endpoint that never answers is cancelled after open_timeout; the error says where."""
    memory, endpoint, errors = by_hand(open_timeout=7)
    memory.advance(6.9)
    assert endpoint.dials[0].cancelled == 0
    memory.advance(0.1)
    assert endpoint.dials[0].cancelled == 1
    assert isinstance(errors[0], OpenTimeout)
    assert errors[0].stage == "transport"
    memory.close()


@pytest.mark.parametrize("end", ["close", "destroy", "open_timeout"])
def test_lifecycle_a_wire_that_was_built_but_not_connected_holds_up_nothing(end: str) -> None:
    """An endpoint that stops in between leaves no transport whose end would be waited for."""
    memory, endpoint, errors = by_hand(open_timeout=5)
    endpoint.dials[0].build()
    if end == "open_timeout":
        memory.advance(5)
        assert [type(error) for error in errors] == [OpenTimeout]
        memory.advance(2)
        assert len(endpoint.dials) > 1
    else:
        getattr(memory.pool, end)()
        assert outcome(memory.pool.close()) == [None]
    assert endpoint.dials[0].cancelled == 1
    memory.close()


def test_lifecycle_a_transport_that_comes_too_late_is_refused() -> None:
    """What an endpoint connects although it was cancelled is not used."""
    memory, endpoint, errors = by_hand(open_timeout=7)
    memory.advance(7)
    endpoint.dials[0].connect()
    assert len(endpoint.dials[0].refused) == 1
    memory.advance(1)
    assert len(endpoint.dials) == 2
    endpoint.dials[0].connect()
    assert len(endpoint.dials[0].refused) == 2
    assert len(errors) == 1
    memory.close()


def test_lifecycle_an_endpoint_that_fires_without_a_connection_is_retried() -> None:
    """An endpoint that swallows its failure, and fires with nothing, does not stop a connection."""
    memory, endpoint, errors = by_hand(open_timeout=7)
    endpoint.dials[0].result.callback(None)  # type: ignore[arg-type]
    assert [type(error) for error in errors] == [TransportFailed]
    memory.advance(1)
    assert len(endpoint.dials) == 2
    memory.close()


def test_lifecycle_an_endpoint_that_raises_is_retried() -> None:
    """An exception from an endpoint's connect() is a failed attempt, told with its cause."""

    @implementer(IStreamClientEndpoint)
    class Raising:
        def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
            raise RuntimeError

    memory = MemoryPool(
        pool_size=1,
        ws_factory=WebSocketFactory(),
        ws_options=WebSocketOptions(endpoint=Raising()),
        logger=noop_logger,
    )
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    memory.advance(1)
    words = "no connection could be made (stage: transport): RuntimeError"
    assert [str(error) for error in errors] == [words] * 2
    assert isinstance(errors[0], TransportFailed)
    assert isinstance(errors[0].__cause__, RuntimeError)
    memory.close()


@pytest.mark.parametrize("method", ["build_endpoint", "build_protocol"])
def test_lifecycle_a_factory_that_raises_is_retried(method: str) -> None:
    """An exception from a ws_factory is a failed attempt."""

    class Raising(WebSocketFactory):
        def build_endpoint(self, *args: Any) -> IStreamClientEndpoint:
            if method == "build_endpoint":
                raise RuntimeError("no endpoint")
            return super().build_endpoint(*args)

        def build_protocol(self, *args: Any) -> IWebSocketWire:
            if method == "build_protocol":
                raise RuntimeError("no protocol")
            return super().build_protocol(*args)

    memory, endpoint, errors = by_hand(ws_factory=Raising())
    memory.advance(1)
    assert [type(error) for error in errors] == [TransportFailed] * 2
    assert endpoint.dials == []
    memory.close()


# What ends while user code runs


@pytest.mark.parametrize("end", ["close", "destroy"])
def test_lifecycle_a_pool_ended_by_its_headers_callable_dials_no_more(end: str) -> None:
    """close() or destroy() called while headers are fetched lets nothing connect afterwards."""
    memory: MemoryPool

    def headers() -> dict[str, str]:
        closed.append(end)
        getattr(memory.pool, end)()
        return {}

    closed: list[str] = []
    errors: list[Exception] = []
    memory = MemoryPool(
        pool_size=1, logger=noop_logger, ws_options=WebSocketOptions(headers=headers)
    )
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    memory.advance(5)
    assert len(closed) == 1
    assert memory.server.attempts == []
    assert [error for error in errors if isinstance(error, TransportFailed)] == []
    memory.close()


@pytest.mark.parametrize("stage", ["headers", "on_connect"])
def test_lifecycle_user_code_that_ignores_cancellation_does_not_hold_up_the_pool(
    stage: str,
) -> None:
    """A coroutine that catches every exception and goes on stops neither retries nor close()."""
    calls: list[str] = []
    forever: list[Deferred[None]] = []

    async def stubborn(*_: object) -> None:
        calls.append(stage)
        while len(forever) < 1000:
            forever.append(Deferred())
            try:
                await forever[-1]
            except CancelledError:
                continue

    options: dict[str, Any] = {}
    if stage == "on_connect":
        options["on_connect"] = stubborn
    else:
        options["ws_options"] = WebSocketOptions(headers=stubborn)  # type: ignore[arg-type]
    memory = MemoryPool(pool_size=1, open_timeout=7, logger=noop_logger, **options)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    memory.advance(8)
    try:
        assert [type(error) for error in errors] == [OpenTimeout]
        assert len(calls) == 2, "there was no second attempt"
        memory.close()
    finally:  # let go of the coroutines
        while len(forever) < 1000:
            forever[-1].callback(None)


def test_lifecycle_the_outcome_of_an_abandoned_hook_is_of_no_matter() -> None:
    """A hook that is done after its connection was lost does not open the next one."""
    hooks: list[Deferred[None]] = []

    def on_connect(connection: PooledConnection) -> Deferred[None]:
        # This one neither fires nor fails when it is cancelled: the pool's Deferred fails for it.
        hooks.append(Deferred())
        return hooks[-1]

    memory = MemoryPool(pool_size=1, on_connect=on_connect, logger=noop_logger)
    memory.pool.start()
    memory.settle()
    memory.server.peers[0].drop()
    memory.advance(1)
    assert len(hooks) == 2
    assert memory.pool.get_stats().connecting == 1
    hooks[1].callback(None)
    assert memory.pool.open_connections == 1
    memory.close()


# Wires that take their time


def test_lifecycle_a_wire_that_opens_after_the_timeout_is_not_used() -> None:
    """An attempt that ran out of time does not open any more, even if the server then answers."""
    memory, wire, errors = hand_made(open_timeout=7)
    memory.advance(7)
    assert wire.calls == ["abort"]
    wire.open()
    assert memory.pool.open_connections == 0
    wire.lose()
    assert [type(error) for error in errors] == [OpenTimeout]
    memory.close()


def test_lifecycle_a_rejection_after_the_timeout_changes_nothing() -> None:
    """The error is what came first; the response is told, if the pool still lives."""
    memory, wire, errors = hand_made(open_timeout=7)
    statuses: list[int] = []
    memory.pool.on("unexpected-response", lambda request, r, i: statuses.append(r.status))
    memory.advance(7)
    wire.reject(503)
    wire.lose()
    assert [type(error) for error in errors] == [OpenTimeout]
    assert statuses == [503]
    memory.close()


def test_lifecycle_a_rejection_after_destroy_is_not_told() -> None:
    """Nothing is told of a destroyed connection's handshake."""
    memory, wire, _ = hand_made()
    responses: list[object] = []
    memory.pool.on("unexpected-response", lambda *args: responses.append(args))
    memory.pool.destroy()
    wire.reject()
    wire.lose()
    assert responses == []
    memory.close()


def test_lifecycle_a_heartbeat_death_is_told_once_the_transport_is_gone() -> None:
    """A silent connection leaves service at once, and is told as closed when it is gone."""
    memory, wire, errors = hand_made(heartbeat_interval=2, heartbeat_timeout=3)
    wire.open()
    memory.advance(2)
    assert "ping" in wire.calls
    memory.advance(3)
    assert memory.pool.open_connections == 0
    assert memory.pool.get_stats().connections[0].state == "closing"
    assert errors == []
    wire.lose(ConnectionDropped("aborted"))
    assert [type(error) for error in errors] == [HeartbeatTimeout]
    memory.close()


def test_lifecycle_a_wire_may_be_lost_for_reasons_of_its_own() -> None:
    """An exception that is none of ours is passed on as it is, and nothing is added to it."""
    memory, wire, errors = hand_made()
    wire.open()
    reason = ZeroDivisionError()
    wire.lose(reason)
    assert errors == [reason]
    assert vars(reason) == {}
    memory.close()


def test_lifecycle_a_closing_handshake_that_hangs_does_not_hide_the_reason() -> None:
    """When the hook failed and the peer answers no Close frame, the error is the hook's."""

    def on_connect(connection: PooledConnection) -> None:
        raise ValueError

    memory = MemoryPool(pool_size=1, close_timeout=3, on_connect=on_connect, logger=noop_logger)
    memory.server.answers_close = False
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    memory.advance(2.9)
    assert errors == []
    memory.advance(0.1)
    assert [type(error) for error in errors] == [OnConnectFailed]
    assert isinstance(errors[0].__cause__, ValueError)
    memory.server.answers_close = True
    memory.close()


def test_lifecycle_a_closing_handshake_that_hangs_is_an_error() -> None:
    """When the peer answers no Close frame, the connection is aborted and that is told."""
    connections: list[PooledConnection] = []
    memory = MemoryPool(
        pool_size=1, close_timeout=3, on_connect=connections.append, logger=noop_logger
    )
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.open()
    memory.server.peers[0].answers_close = False
    gone = outcome(connections[0].close(4000, "enough"))
    memory.advance(2.9)
    assert gone == []
    memory.advance(0.1)
    assert gone == [None]
    assert [type(error) for error in errors] == [CloseTimeout]
    memory.close()


@pytest.mark.parametrize("destroyed", [False, True])
def test_lifecycle_a_second_destroy_changes_nothing(destroyed: bool) -> None:
    """destroy() while the transports are still going, or while closing, is harmless."""
    memory = MemoryPool(pool_size=2, logger=noop_logger)
    memory.open()
    memory.server.peers[1].answers_close = False
    if destroyed:
        memory.pool.destroy()
    else:
        closed = outcome(memory.pool.close())
        memory.settle()
        assert closed == []
    memory.pool.destroy()
    memory.settle()
    assert [c.state for c in memory.pool.get_stats().connections] == ["destroyed"] * 2
    memory.close()


def test_lifecycle_a_wire_that_gives_messages_back_at_the_end_is_reported() -> None:
    """Messages that come back while the pool closes have nowhere to go: an error is logged."""
    lines: list[str] = []

    @implementer(IPoolLogger)
    class Recorder:
        def debug(self, message: str, *args: object) -> None: ...

        info = warn = debug

        def error(self, message: str, *args: object) -> None:
            lines.append(message % args)

    memory, wire, _ = hand_made(logger=Recorder(), name="pool")
    wire.open()
    assert outcome(memory.pool.send("taken")) == [0]
    closed = outcome(memory.pool.close())
    assert wire.calls[-1] == "close"
    wire.lose()
    assert closed == [None]
    assert lines == ["pool: 1 message was taken by a connection that could not write it any more"]
    memory.close()


# close() of one connection


def one_connection(**options: Any) -> tuple[MemoryPool, PooledConnection]:
    """
    Open a pool of one connection, and return both.
    """
    connections: list[PooledConnection] = []
    memory = MemoryPool(pool_size=1, on_connect=connections.append, logger=noop_logger, **options)
    memory.open()
    return memory, connections[0]


def test_lifecycle_closing_one_connection_makes_the_pool_connect_anew() -> None:
    """connection.close() tells the peer code and reason; then the connection is made again."""
    memory, connection = one_connection()
    gone = outcome(connection.close(4001, "moving"))
    states: list[str] = [connection.state]
    assert not connection.is_open
    memory.settle()
    assert gone == [None]
    states.append(connection.state)
    assert memory.server.peers[0].close_received == (4001, "moving")
    memory.advance(1)
    states.append(connection.state)
    assert states == ["closing", "closed", "open"]
    memory.close()


def test_lifecycle_closing_a_connection_without_transport_is_done_at_once() -> None:
    """connection.close() between two attempts has nothing to do, and keeps the next one."""
    memory, connection = one_connection()
    memory.server.peers[0].drop()
    memory.settle()
    assert outcome(connection.close()) == [None]
    memory.advance(1)
    assert connection.is_open
    memory.close()


def test_lifecycle_closing_a_connection_gives_up_its_attempt() -> None:
    """connection.close() in the middle of an attempt ends that one; the next one comes."""
    memory, connection = one_connection()
    memory.server.be_silent()
    memory.server.peers[0].drop()
    memory.advance(1)
    states: list[str] = [connection.state]
    gone = outcome(connection.close())
    memory.settle()
    assert gone == [None]
    states.append(connection.state)
    assert states == ["connecting", "closed"]
    memory.server.accept()
    memory.advance(2)
    assert connection.is_open
    memory.close()


def test_lifecycle_close_may_be_waited_for_by_many_and_cancelled() -> None:
    """Every close() has a Deferred of its own; cancelling one concerns only that one."""
    memory, connection = one_connection()
    first, second, third = connection.close(), connection.close(), connection.close()
    results = [outcome(first), outcome(second), outcome(third)]
    second.cancel()
    memory.settle()
    assert results[0] == results[2] == [None]
    assert [type(value) for value in results[1]] == [CancelledError]
    memory.close()


def test_lifecycle_close_may_be_cancelled_by_one_who_waited_as_well() -> None:
    """Cancelling one waiter from within another's callback does not stop the connection."""
    memory, connection = one_connection()
    first, second = connection.close(), connection.close()
    first.addCallback(lambda _: second.cancel())
    first_result, second_result = outcome(first), outcome(second)
    memory.settle()
    assert first_result == [None]
    assert len(second_result) == 1
    memory.advance(1)
    assert connection.is_open
    memory.close()


def test_lifecycle_a_ping_may_be_cancelled_by_another_that_failed() -> None:
    """Cancelling one ping from within another's errback does not stop the connection."""
    memory, connection = one_connection()
    memory.server.peers[0].stop_reading()
    first, second = connection.ping(b"1"), connection.ping(b"2")
    first.addErrback(lambda _: second.cancel())
    results = [outcome(first), outcome(second)]
    memory.server.peers[0].drop()
    memory.settle()
    assert [len(result) for result in results] == [1, 1]
    memory.advance(1)
    assert connection.is_open
    memory.close()


def test_lifecycle_a_ping_may_be_cancelled_by_another_that_was_answered() -> None:
    """Cancelling one ping from within another's callback does not cost the connection."""
    memory, connection = one_connection()
    peer = memory.server.peers[0]
    peer.stop_reading()
    first, second = connection.ping(b"1"), connection.ping(b"2")
    first.addCallback(lambda _: second.cancel())
    results = [outcome(first), outcome(second)]
    peer.pong(b"2")
    memory.settle()
    assert [len(result) for result in results] == [1, 1]
    assert peer.connected
    memory.close()


# What a connection shows


def test_lifecycle_a_connection_tells_what_it_is() -> None:
    """id, url, protocol, response and repr are there, without secrets."""
    memory, connection = one_connection(url="ws://user:pass@memory.test/feed?token=1")
    assert connection.id == 0
    assert connection.url == "ws://memory.test/feed"
    assert connection.response is not None
    assert connection.response.status == 101
    assert connection.protocol is None
    assert repr(connection) == "<PooledConnection 0 open ws://memory.test/feed>"
    memory.close()
    assert connection.state == "closed"
    memory.pool.destroy()
    assert connection.state == "closed"


def test_lifecycle_state_names_follow_the_life() -> None:
    """A connection is idle, connecting, open, closing, closed, and destroyed at the end."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)

    def state() -> str:
        return memory.pool.get_stats().connections[0].state

    states = [state()]
    memory.pool.start()
    states.append(state())
    memory.settle()
    states.append(state())
    memory.server.peers[0].drops_tcp = False
    memory.server.peers[0].close()
    memory.settle()
    states.append(state())
    memory.advance(5)
    states.append(state())
    memory.pool.destroy()
    states.append(state())
    assert states == ["idle", "connecting", "open", "closing", "closed", "destroyed"]
    memory.close()


def test_lifecycle_a_response_is_kept_until_the_next() -> None:
    """protocol and response are those of the latest handshake, also while reconnecting."""
    memory, connection = one_connection()
    first = connection.response
    memory.server.peers[0].drop()
    memory.settle()
    assert connection.response is first
    memory.advance(1)
    assert connection.response is not first
    memory.close()


def test_lifecycle_a_header_failure_keeps_its_cause() -> None:
    """The error of a failed headers callable tells its type; the cause is attached."""

    def headers() -> dict[str, str]:
        raise LookupError("no token for you")

    memory = MemoryPool(
        pool_size=1, logger=noop_logger, ws_options=WebSocketOptions(headers=headers)
    )
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    assert isinstance(errors[0], HeadersFailed)
    assert isinstance(errors[0].__cause__, LookupError)
    assert str(errors[0]) == "the headers could not be had: LookupError"
    memory.close()


def test_lifecycle_a_dropped_connection_keeps_its_cause() -> None:
    """The error of a lost connection has the transport's reason as its cause."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.open()
    memory.server.peers[0].drop()
    memory.settle()
    assert isinstance(errors[0], ConnectionDropped)
    assert isinstance(errors[0].__cause__, ConnectionLost)
    memory.close()


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize("end", ["close", "destroy"])
def test_lifecycle_the_end_that_was_asked_for_is_no_error(end: str, opened: bool) -> None:
    """close() and destroy(), of a pool that is open or still connecting, emit no error."""
    memory = MemoryPool(pool_size=2)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    if opened:
        memory.settle()
    getattr(memory.pool, end)()
    memory.close()
    assert errors == []


def test_lifecycle_start_twice_connects_once() -> None:
    """A second start() is a no-op, and so is one after the end."""
    memory = MemoryPool(pool_size=2)
    memory.open()
    memory.pool.start()
    memory.settle()
    assert len(memory.server.attempts) == 2
    memory.close()
    memory.pool.start()
    memory.settle()
    assert len(memory.server.attempts) == 2


def test_lifecycle_on_connect_may_be_done_already() -> None:
    """A hook that returns a fired Deferred opens the connection at once."""
    memory = MemoryPool(pool_size=1, on_connect=lambda connection: succeed(None))
    memory.open()
    memory.close()


def test_lifecycle_a_wire_that_closes_after_destroy_starts_no_timer() -> None:
    """A wire that is slow to abort, and meanwhile begins a close, delays nothing."""
    memory, wire, _ = hand_made()
    wire.open()
    memory.pool.destroy()
    wire.listener.wire_closing()
    assert memory.clock.getDelayedCalls() == []
    wire.lose()
    memory.close()


def test_lifecycle_destroy_inside_close_ends_the_rest_at_once() -> None:
    """close() tells of attempts that it ends; a handler of that may destroy() the pool."""
    memory = MemoryPool(
        pool_size=3,
        logger=noop_logger,
        ws_options=WebSocketOptions(headers=lambda: Deferred()),
    )
    memory.pool.on("error", lambda error, connection_id: memory.pool.destroy())
    memory.pool.start()
    closed = outcome(memory.pool.close())
    memory.settle()
    assert closed == [None]
    memory.close()
