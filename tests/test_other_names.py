"""
Tests for L{wsmultipool._other_names}: every name that is right elsewhere suggests the one here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from wsmultipool import (
    Compression,
    EventEmitter,
    EventName,
    PoolOptions,
    ReconnectingPoolFactory,
    TLSOptions,
    WebSocketOptions,
)
from wsmultipool._other_names import _ATTRIBUTES, _EVENTS, _OPTIONS, NamedElsewhere
from wsmultipool.testing import MemoryPool

MIGRATION = Path(__file__).resolve().parent.parent / "docs" / "migration.rst"
CLASSES: dict[str, Any] = {
    "PoolOptions": PoolOptions,
    "WebSocketOptions": WebSocketOptions,
    "TLSOptions": TLSOptions,
}


def complaint(function: Callable[[], object]) -> str:
    """
    Return what a call is refused with.
    """
    with pytest.raises((TypeError, ValueError, AttributeError)) as raised:
        function()
    return str(raised.value)


@pytest.mark.parametrize("owner", _OPTIONS)
def test_the_table_of_options_leads_to_options(owner: str) -> None:
    """What is suggested is there, and nothing in the table is an option itself."""
    known = {option.name for option in fields(CLASSES[owner])}
    assert set(_OPTIONS[owner]) <= known
    theirs = [name for names in _OPTIONS[owner].values() for name in names.split()]
    assert len(set(theirs)) == len(theirs)
    assert not known & set(theirs)


@pytest.mark.parametrize(
    ("make", "name", "suggestion"),
    [
        (WebSocketOptions, "perMessageDeflate", "did you mean 'compression'?"),
        (WebSocketOptions, "tcpNodelay", "did you mean 'tcp_nodelay'?"),
        (WebSocketOptions, "ca", "here that is tls=TLSOptions(trust_root=...)"),
        (WebSocketOptions, "handshakeTimeout", "here that is open_timeout=... of the pool"),
        (WebSocketOptions, "poolSize", "here that is pool_size=... of the pool"),
        (WebSocketOptions, "memLevel", "here that is compression=Compression(mem_level=...)"),
        (TLSOptions, "ca", "did you mean 'trust_root'?"),
        (TLSOptions, "rejectUnauthorized", "did you mean 'verify'?"),
        (TLSOptions, "serverName", "did you mean 'server_name'?"),
        (
            TLSOptions,
            "protocols",
            "here that is ws_options=WebSocketOptions(protocols=...) of the pool",
        ),
        (Compression, "memLevel", "did you mean 'mem_level'?"),
        (
            Compression,
            "threshold",
            "here that is ws_options=WebSocketOptions(compression_threshold=...) of the pool",
        ),
    ],
)
def test_options_of_other_libraries(make: Any, name: str, suggestion: str) -> None:
    """Each says what it is called here, and where it is given; nothing tells its value."""
    message = complaint(lambda: make(**{name: "hunter2"}))
    assert message == f"unknown option {name!r} of {make.__name__}: {suggestion}"


def test_nonsense_has_no_suggestion() -> None:
    """Where nobody can tell what was meant, nothing is said."""
    assert complaint(lambda: WebSocketOptions(**{"xyzzy": 1})) == (  # type: ignore[arg-type]
        "unknown option 'xyzzy' of WebSocketOptions"
    )


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("getStats", "get_stats"),
        ("broadcastPing", "broadcast_ping"),
        ("openConnections", "open_connections"),
        ("totalConnections", "total_connections"),
        ("connectionCount", "total_connections"),
        ("addListener", "on"),
        ("removeListener", "off"),
        ("listenerCount", "listeners"),
        ("pauseReceiving", "pause_receiving"),
        ("whenReady", "when_ready"),
        ("terminate", "close"),
        ("readyState", "open_connections"),
        ("emitMessages", "emit_messages"),
    ],
)
def test_attributes_of_the_pool(name: str, ours: str) -> None:
    """A method or an attribute in the old style is an AttributeError that names the new one."""
    memory = MemoryPool()
    assert complaint(lambda: getattr(memory.pool, name)) == (
        f"'ReconnectingPoolFactory' object has no attribute {name!r}: did you mean {ours!r}?"
    )
    assert not hasattr(memory.pool, name)
    assert name not in dir(memory.pool)
    memory.close()


@pytest.mark.parametrize(
    ("name", "ours"),
    [("isOpen", "is_open"), ("connectionState", "state"), ("bufferedAmount", "buffered_bytes")],
)
def test_attributes_of_a_connection(name: str, ours: str) -> None:
    """What on_connect gets is told apart in the same way."""
    memory = MemoryPool()
    (connection, *_) = memory.pool._supervisor.connections
    assert complaint(lambda: getattr(connection, name)).endswith(f"did you mean {ours!r}?")
    memory.close()


def test_attributes_of_the_stats() -> None:
    """C{queuedMessages}, say."""
    memory = MemoryPool()
    stats: Any = memory.pool.get_stats()
    assert complaint(lambda: stats.queuedMessages).endswith("did you mean 'queued_messages'?")
    assert complaint(lambda: stats.connections[0].sentBytes).endswith("did you mean 'sent_bytes'?")
    assert stats == memory.pool.get_stats()
    memory.close()


def test_what_there_is_not_is_not_suggested() -> None:
    """An emitter has no state, and nothing to be sent."""
    emitter: Any = EventEmitter()
    for name in ("readyState", "sendPing"):
        assert complaint(lambda name=name: getattr(emitter, name)) == (  # type: ignore[misc]
            f"'EventEmitter' object has no attribute {name!r}"
        )


def test_a_subclass_may_have_the_old_names() -> None:
    """Somebody who moves step by step defines them."""

    class Mine(ReconnectingPoolFactory):
        def getStats(self) -> str:
            return "mine"

    memory = MemoryPool()
    mine = Mine("ws://memory.test/", reactor=memory.clock, start=False)
    assert mine.getStats() == "mine"
    mine.destroy()
    memory.close()


def test_found_attributes_cost_what_they_did() -> None:
    """There is no C{__getattr__}, with which Python finds every attribute more slowly."""
    for cls in (NamedElsewhere, ReconnectingPoolFactory):
        assert not hasattr(cls, "__getattr__")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ({"binary": True, "fin": False, "isBinary": "hunter2", 7: "hunter2", "a b": 1},),
            "options are keyword arguments: {verb}(data, binary=..., fin=..., is_binary=...)",
        ),
        (({},), "options are keyword arguments: {verb}(data, option=...)"),
        (({"mask": True}, print), "options are keyword arguments: {verb}(data, mask=...)"),
        ((print,), "takes no callback: it returns a Deferred"),
        ((True, print), "takes no callback: it returns a Deferred"),
        ((True,), "takes one positional argument; all others are keyword arguments"),
    ],
)
@pytest.mark.parametrize("verb", ["send", "broadcast", "ping", "broadcast_ping"])
def test_options_and_callbacks_as_in_node(
    verb: str, arguments: tuple[object, ...], message: str
) -> None:
    """send("x", {...}, callback) says how it is done here, and sends nothing."""
    memory = MemoryPool()
    memory.open()
    (connection, *_) = memory.pool._supervisor.connections
    for sender in (memory.pool, connection):
        if hasattr(sender, verb):
            said = complaint(lambda s=sender: getattr(s, verb)("x", *arguments))  # type: ignore[misc]
            assert message.format(verb=verb) in said
            assert "hunter2" not in said
    assert all(peer.received == [] for peer in memory.server.peers)
    memory.close()


@pytest.mark.parametrize(("event", "ours"), _EVENTS.items())
def test_events_of_other_libraries(event: Any, ours: str) -> None:
    """There is no C{reconnecting}; the suggestion is what tells the same, or begins it."""
    assert ours in get_args(EventName)
    assert complaint(lambda: EventEmitter().on(event, print)) == (
        f"there is no event {event!r}; did you mean {ours!r}?"
    )


def rows(section: str) -> list[tuple[str, str]]:
    """
    Read a table of the migration page: what is there and what is here, of each row.
    """
    text = MIGRATION.read_text(encoding="utf-8")
    begin = text.index(f"\n{section}\n")
    part = re.split(r"\n[-~]{4,}\n", text[begin:])[1]
    found = re.findall(r"   \* - (.*?)\n     - (.*?)\n(?=     - |   \* - |\n)", f"{part}\n", re.S)
    return [(there, here) for there, here in found[1:] if here != "none"]


def made_of(name: str) -> Any:
    """
    Make arguments of an option that there is not.
    """
    return {name: None}


@pytest.mark.parametrize("section", ["Options of the pool", "From ``tls.connect``"])
def test_the_migration_page_keeps_its_promise(section: str) -> None:
    """Every option there that has a counterpart suggests it, given to the pool."""
    checked = 0
    for there, here in rows(section):
        options = set(re.findall(r"``(\w+)", here))
        for name in re.findall(r"``([a-z]\w*)", there):
            if not options or name in options or name in ("false", "true"):
                continue
            message = complaint(
                lambda name=name: ReconnectingPoolFactory("ws://h/", **made_of(name))  # type: ignore[misc]
            )
            if "OpenSSL" in here:
                continue
            assert any(option in message for option in options), message
            checked += 1
    assert checked > 3


def test_the_table_of_attributes_leads_to_attributes() -> None:
    """What is suggested is there, in one class or another."""
    memory = MemoryPool()
    (connection, *_) = memory.pool._supervisor.connections
    for ours in _ATTRIBUTES.values():
        for name in ours.split():
            assert hasattr(memory.pool, name) or hasattr(type(connection), name), name
    memory.close()
