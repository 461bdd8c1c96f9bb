"""
Tests for L{wsmultipool.errors}.
"""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any, NamedTuple

import pytest

from wsmultipool import errors
from wsmultipool.errors import (
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


class Case(NamedTuple):
    """
    An error, its text, and its facts.
    """

    error: PoolError
    text: str
    facts: dict[str, object]


def of_user(error: PoolError) -> PoolError:
    """
    Make an error that user code has caused.
    """
    return caused_by(error, ZeroDivisionError("token 12345"))


def caused_by(error: PoolError, cause: Exception) -> PoolError:
    """
    Give an error a cause, as C{raise ... from} does.
    """
    error.__cause__ = cause
    return error


def at(stage: str, error: ConnectionFailed) -> ConnectionFailed:
    """
    Make an error of an attempt that came as far as this.
    """
    error.stage = stage
    return error


CASES = [
    Case(PoolClosed(), "the pool is closed", {}),
    Case(PoolExhausted(), "every connection of the pool has given up", {"reason": None}),
    Case(
        PoolExhausted("the server rejected the upgrade: 401"),
        "every connection of the pool has given up: the server rejected the upgrade: 401",
        {"reason": "the server rejected the upgrade: 401"},
    ),
    Case(NotConnected(), "no connection is open", {}),
    Case(
        NoAsyncioLoop(),
        "it needs asyncio, whose loop does not run here: install Twisted's asyncio reactor before"
        " any other import of Twisted's (from twisted.internet import asyncioreactor;"
        " asyncioreactor.install()), or use Twisted's counterpart, such as"
        " twisted.internet.task.deferLater for asyncio.sleep",
        {},
    ),
    Case(
        WrongThread(),
        "this is not the reactor's thread: use reactor.callFromThread(pool.send, ...) or, to wait"
        " for the outcome, twisted.internet.threads.blockingCallFromThread(reactor, pool.send,"
        " ...)",
        {},
    ),
    Case(QueueOverflow(100), "the message queue is full (message_queue_size=100)", {"limit": 100}),
    Case(
        BufferFull(10, 95, 100),
        "a message of 10 bytes does not fit: 95 bytes buffered (max_buffered_bytes=100)",
        {"size": 10, "buffered": 95, "limit": 100},
    ),
    Case(SendTimeout(2.5), "no connection took the message within 2.5 s", {"timeout": 2.5}),
    Case(FragmentLost(), "earlier fragments of this message were lost with their connection", {}),
    Case(
        DeliveryUnknown(1, 3, b"token=secret", True),
        "a message of 12 bytes was written 3 times and may have arrived, or not",
        {"messages": 1, "deliveries": 3, "data": b"token=secret", "is_binary": True},
    ),
    Case(
        DeliveryUnknown(7, 1),
        "7 messages were written once and may have arrived, or not",
        {"messages": 7, "deliveries": 1, "data": None, "is_binary": False},
    ),
    Case(
        caused_by(DeliveryUnknown(1, 1), PoolClosed()),
        "1 message was written once and may have arrived, or not: the pool is closed",
        {"messages": 1, "deliveries": 1, "data": None, "is_binary": False},
    ),
    Case(FlushTimeout(1.5), "not everything was confirmed within 1.5 s", {"timeout": 1.5}),
    Case(PingTimeout(5), "no pong within 5 s", {"timeout": 5}),
    Case(of_user(URLFailed()), "the URL could not be had: ZeroDivisionError", {}),
    Case(of_user(HeadersFailed()), "the headers could not be had: ZeroDivisionError", {}),
    Case(TransportFailed("refused"), "no connection could be made: refused", {"reason": "refused"}),
    Case(
        at("TCP", TransportFailed("refused")),
        "no connection could be made (stage: TCP): refused",
        {"reason": "refused"},
    ),
    Case(
        OpenTimeout(10.0, "upgrade"),
        "not open within 10 s (stage: upgrade)",
        {"timeout": 10.0, "stage": "upgrade"},
    ),
    Case(
        ProxyRefused(502, "Bad Gateway"),
        "the proxy refused the tunnel: 502 Bad Gateway",
        {"status": 502, "reason": "Bad Gateway"},
    ),
    Case(
        ProxyRefused(407, "Authentication Required"),
        "the proxy refused the tunnel: 407 Authentication Required (it wants credentials)",
        {"status": 407, "reason": "Authentication Required"},
    ),
    Case(
        ProxyRefused(None, "garbage"),
        "the proxy's answer is no HTTP response: garbage",
        {"status": None, "reason": "garbage"},
    ),
    Case(
        UpgradeRejected(503, "Service Unavailable", 120.0),
        "the server rejected the upgrade: 503 Service Unavailable",
        {
            "status": 503,
            "reason": "Service Unavailable",
            "retry_after": 120.0,
            "explanation": "",
        },
    ),
    Case(
        UpgradeRejected(401, "Unauthorized", None, "invalid API key"),
        "the server rejected the upgrade: 401 Unauthorized: invalid API key",
        {
            "status": 401,
            "reason": "Unauthorized",
            "retry_after": None,
            "explanation": "invalid API key",
        },
    ),
    Case(
        UpgradeRejected(401, ""),
        "the server rejected the upgrade: 401",
        {"status": 401, "reason": "", "retry_after": None, "explanation": ""},
    ),
    Case(
        HandshakeInvalid("it is not HTTP"),
        "not a valid WebSocket handshake: it is not HTTP",
        {"reason": "it is not HTTP"},
    ),
    Case(of_user(OnConnectFailed()), "on_connect failed: ZeroDivisionError", {}),
    Case(
        ProtocolViolation(1007, "text that is not UTF-8"),
        "the peer violated the protocol (1007): text that is not UTF-8",
        {"code": 1007, "reason": "text that is not UTF-8"},
    ),
    Case(HeartbeatTimeout(5.0), "nothing arrived within 5 s of a heartbeat ping", {"timeout": 5.0}),
    Case(PongOverdue(20.0), "a ping was not answered within 20 s", {"timeout": 20.0}),
    Case(CloseTimeout(0.25), "the closing handshake was not over within 0.25 s", {"timeout": 0.25}),
    Case(
        caused_by(CloseTimeout(5.0), ConnectionClosed(4001, "invalid API key")),
        'the peer closed the connection: 4001 "invalid API key", and did not end TCP within 5 s',
        {"timeout": 5.0},
    ),
    Case(
        ConnectionClosed(4001, "invalid API key"),
        'the peer closed the connection: 4001 "invalid API key"',
        {"code": 4001, "reason": "invalid API key", "by_peer": True},
    ),
    Case(
        ConnectionClosed(1005),
        "the peer closed the connection without a code",
        {"code": 1005, "reason": "", "by_peer": True},
    ),
    Case(
        ConnectionClosed(1000, by_peer=False),
        "this side closed the connection: 1000",
        {"code": 1000, "reason": "", "by_peer": False},
    ),
    Case(
        ConnectionDropped("reset by peer"),
        "the connection was dropped: reset by peer",
        {"reason": "reset by peer"},
    ),
    Case(
        at("TLS", ConnectionDropped("certificate has expired")),
        "the connection was dropped (stage: TLS): certificate has expired",
        {"reason": "certificate has expired"},
    ),
    Case(
        GaveUp(3, 10),
        "connection 3 gave up after 10 attempts",
        {"connection_id": 3, "attempts": 10},
    ),
    Case(
        caused_by(GaveUp(3, 10), ConnectionClosed(1008, "go away")),
        'connection 3 gave up after 10 attempts: the peer closed the connection: 1008 "go away"',
        {"connection_id": 3, "attempts": 10},
    ),
]

every_case = pytest.mark.parametrize(
    "case", CASES, ids=[f"{type(case.error).__name__}-{n}" for n, case in enumerate(CASES)]
)
ABSTRACT: set[type[PoolError]] = {PoolError, SendError, ConnectionFailed}


def drawn_tree() -> dict[str, set[str]]:
    """
    Read the tree in the docstring of the module: each error's bases, by name.
    """
    bases: dict[str, set[str]] = {}
    line_of_ancestors: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.fullmatch(
            r"    ((?:[\u2502 ]   )*(?:[\u251c\u2514]\u2500\u2500 )?)(\w+)( .*)?", line
        )
        if found is None:
            continue
        depth = len(found[1]) // 4
        line_of_ancestors[depth:] = [found[2]]
        bases[found[2]] = {line_of_ancestors[depth - 1]} if depth else {"Exception"}
        if also := re.search(r"\(a (\w+Error)\)", found[3] or ""):
            bases[found[2]].add(also[1])
    return bases


def test_the_tree_is_as_it_is_drawn() -> None:
    """Each error has the bases that the documentation shows, and none is missing there."""
    classes = {
        name: {base.__name__ for base in value.__bases__}
        for name, value in vars(errors).items()
        if inspect.isclass(value)
    }
    assert classes == drawn_tree()
    assert set(classes) == set(errors.__all__)


def test_every_error_has_a_case_here() -> None:
    """The tests below are about all errors there are."""
    tested = {type(case.error) for case in CASES}
    assert tested == {getattr(errors, name) for name in errors.__all__} - ABSTRACT


@every_case
def test_text(case: Case) -> None:
    """The text says in one line what happened, with numbers as people write them."""
    assert str(case.error) == case.text
    assert "\n" not in case.text


@every_case
def test_facts_are_attributes(case: Case) -> None:
    """A program need not take texts apart: what they say is in attributes."""
    assert {name: getattr(case.error, name) for name in case.facts} == case.facts


def test_a_lost_message_is_not_quoted() -> None:
    """What a message says is the user's business: neither text nor repr show it."""
    error = DeliveryUnknown(1, 3, b"token=secret", True)
    assert "secret" not in f"{error} {error!r} {error.args}"


@every_case
def test_facts_are_documented(case: Case) -> None:
    """Each attribute has a line in the docstring of its class, and the other way round."""
    documented = re.findall(r"@ivar (\w+):", type(case.error).__doc__ or "")
    assert documented == list(case.facts)


@every_case
def test_a_copy_says_the_same(case: Case) -> None:
    """An error that went to another process, or was copied, keeps its type and facts."""
    for copied in (
        copy.copy(case.error),
        pickle.loads(pickle.dumps(case.error)),
        copy.deepcopy(case.error),
    ):
        assert type(copied) is type(case.error)
        assert copied.args == case.error.args
        assert {name: getattr(copied, name) for name in case.facts} == case.facts
        if case.error.__cause__ is None:
            assert str(copied) == case.text


@every_case
def test_each_is_caught_as_what_it_is(case: Case) -> None:
    """Whoever catches PoolError catches all of them."""
    with pytest.raises(PoolError, match=re.escape(case.text)) as caught:
        raise case.error
    assert caught.value is case.error


@pytest.mark.parametrize("kind", [URLFailed, HeadersFailed, OnConnectFailed])
def test_an_error_of_ours_in_a_hook_is_quoted(kind: type[ConnectionFailed]) -> None:
    """It holds no secret, and may say what to do."""
    error = kind()
    error.__cause__ = PingTimeout(5.0)
    assert str(error).endswith(": PingTimeout: no pong within 5 s")


@pytest.mark.parametrize("kind", [URLFailed, HeadersFailed, OnConnectFailed])
def test_an_error_of_the_user_is_named_but_not_quoted(kind: Any) -> None:
    """The text of a user's exception may hold a token: only its type is shown."""
    error = of_user(kind())
    assert "ZeroDivisionError" in str(error)
    assert "12345" not in str(error)
    assert "12345" not in repr(error)


@pytest.mark.parametrize(
    "error",
    [
        SendTimeout(1),
        PingTimeout(1),
        OpenTimeout(1, "the transport"),
        HeartbeatTimeout(1),
        CloseTimeout(1),
    ],
)
def test_what_took_too_long_is_a_timeout_error(error: PoolError) -> None:
    """Code that catches Python's TimeoutError catches ours; it is no failed system call."""
    assert isinstance(error, TimeoutError)
    assert (error.errno, error.strerror, error.filename) == (None, None, None)


@pytest.mark.parametrize("kind", [PoolError, SendError, ConnectionFailed])
def test_groups_of_errors_are_not_more_than_that(kind: type[PoolError]) -> None:
    """The inner nodes of the tree are there to be caught, and say what they are given."""
    assert str(kind("text")) == "text"


def test_mistakes_of_the_caller_are_not_of_this_tree() -> None:
    """TypeError and ValueError are never mistaken for trouble at run time."""
    classes = [getattr(errors, name) for name in errors.__all__]
    assert not any(issubclass(each, (TypeError, ValueError)) for each in classes)


@pytest.mark.parametrize(
    ("code", "orderly"),
    [(1000, True), (1001, True), (1005, True), (1012, True), (1008, False), (4001, False)],
)
def test_a_close_in_good_order_is_told_from_trouble(code: int, orderly: bool) -> None:
    """A server that ends or restarts is no reason to worry; one that says what is wrong is."""
    assert ConnectionClosed(code).orderly is orderly
