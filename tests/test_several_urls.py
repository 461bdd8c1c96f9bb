"""
A pool over several servers: where its connections are, and where they go.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface import implementer

from wsmultipool import (
    ConnectionFailed,
    GaveUp,
    IPoolLogger,
    PooledConnection,
    PoolExhausted,
    ReconnectingPoolFactory,
    TLSOptions,
    TransportFailed,
    WebSocketOptions,
    noop_logger,
)
from wsmultipool.testing import MemoryPool, MemoryServer

URLS = ["ws://a.test/", "ws://b.test/", "ws://c.test/"]


def pool_over(urls: Any = URLS, **options: Any) -> tuple[MemoryPool, list[tuple[Exception, int]]]:
    """
    Build a pool that logs nothing; returns it, and the errors that it will emit.
    """
    options.setdefault("logger", noop_logger)
    memory = MemoryPool(urls, **options)
    errors: list[tuple[Exception, int]] = []
    memory.pool.on("error", lambda error, connection_id: errors.append((error, connection_id)))
    return memory, errors


def where(memory: MemoryPool) -> list[str]:
    """The letter of the server that each connection is for."""
    return [connection.url[5] for connection in memory.pool.get_stats().connections]


def kill(server: MemoryServer) -> None:
    """Drop what the server has, and refuse what comes."""
    server.refuse()
    for peer in server.open_peers:
        peer.drop()


@implementer(IPoolLogger)
class Recorder:
    """
    Keeps the lines of the log.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, message: str, *args: object) -> None:
        self.lines.append(message % args)

    info = warn = error = debug


# The spread


def test_connections_are_spread_evenly() -> None:
    """Each server gets its share of the connections, in the order of the URLs."""
    memory, _ = pool_over(pool_size=7)
    assert where(memory) == list("abcabca")
    memory.open()
    assert [len(server.open_peers) for server in memory.servers] == [3, 2, 2]
    memory.close()


def test_what_a_dead_server_had_is_shared_by_the_others() -> None:
    """All connections are open again, as many on the one as on the other."""
    memory, _ = pool_over(pool_size=12)
    memory.open()
    memory.advance(10)
    kill(memory.servers[1])
    memory.advance(7)
    assert Counter(where(memory)) == {"a": 6, "c": 6}
    assert memory.pool.open_connections == 12
    memory.close()


def test_a_server_that_comes_back_in_time_keeps_its_connections() -> None:
    """A failed attempt that is the first in a row moves nothing: servers restart."""
    memory, _ = pool_over(pool_size=6)
    memory.open()
    memory.advance(10)
    kill(memory.servers[0])
    memory.advance(2)  # lost at 0, in vain at 1, and once more at 3
    assert [c.attempts for c in memory.pool.get_stats().connections] == [1, 0, 0] * 2
    memory.servers[0].accept()
    memory.advance(1)
    assert where(memory) == list("abcabc")
    assert memory.pool.open_connections == 6
    memory.close()


def test_nothing_moves_back_by_itself() -> None:
    """Connections that are well are left alone; new ones go to the server that came back."""
    memory, _ = pool_over(URLS[:2], pool_size=4)
    memory.open()
    memory.advance(10)
    kill(memory.servers[0])
    memory.advance(7)
    memory.servers[0].accept()
    memory.advance(1000)
    assert where(memory) == list("bbbb")
    memory.pool.resize(8)
    memory.settle()
    assert where(memory) == list("bbbbaaaa")
    memory.close()


def test_growing_and_shrinking_again_evens_out_the_spread() -> None:
    """resize() to twice as many and back leaves each server its share, and never fewer open."""
    memory, _ = pool_over(URLS[:2], pool_size=4)
    memory.servers[0].refuse()
    memory.pool.start()
    memory.advance(10)
    memory.servers[0].accept()
    assert where(memory) == list("bbbb")
    memory.result(memory.pool.resize(8))
    memory.result(memory.pool.when_ready())
    shrunk = memory.pool.resize(4)
    assert memory.pool.open_connections == 4
    memory.settle()
    memory.result(shrunk)
    assert sorted(where(memory)) == list("aabb")
    memory.close()


@pytest.mark.parametrize("size", range(1, 9))
def test_shrinking_keeps_the_spread_even(size: int) -> None:
    """Whatever the size, no server has two connections more than another."""
    memory, _ = pool_over(pool_size=8)
    memory.servers[2].refuse()
    memory.pool.start()
    memory.advance(10)
    memory.servers[2].accept()
    assert Counter(where(memory)) == {"a": 4, "b": 4}
    memory.pool.resize(size)
    counts = Counter(where(memory))
    assert abs(counts["a"] - counts["b"]) <= 1
    memory.settle()
    memory.close()


def test_shrinking_prefers_open_connections_to_an_even_spread() -> None:
    """A connection that is not open leaves first, wherever it is."""
    memory, _ = pool_over(URLS[:2], pool_size=4)
    memory.servers[1].refuse()
    memory.pool.start()
    memory.settle()
    memory.pool.resize(2)
    assert where(memory) == list("aa")
    memory.close()


# Moving on


def test_a_connection_tries_one_server_after_the_other() -> None:
    """Two attempts where it was, then one at each of the others, with backoff growing all along."""
    memory, errors = pool_over(pool_size=1)
    for server in memory.servers:
        server.refuse()
    memory.pool.start()
    memory.advance(70)
    assert [server.attempts for server in memory.servers] == [[0, 1, 15], [3, 31], [7, 61]]
    assert memory.pool.get_stats().connections[0].attempts == 7
    assert [
        str(error.url)[5] for error, _ in errors if isinstance(error, ConnectionFailed)
    ] == list("aabcabc")
    memory.close()


def test_a_server_that_accepts_and_drops_is_left() -> None:
    """A connection that does not last for min_uptime is a failure like any other."""
    memory, _ = pool_over(URLS[:2], pool_size=2)
    memory.servers[0].drop_when_open()
    memory.pool.start()
    memory.advance(20)
    assert where(memory) == list("bb")
    assert len(memory.servers[0].attempts) == 2
    assert memory.pool.open_connections == 2
    memory.close()


def test_a_stay_of_min_uptime_forgives() -> None:
    """Where a connection has lasted, it is tried again before it moves on, and then twice."""
    memory, _ = pool_over(URLS[:2], pool_size=1)
    memory.servers[0].refuse()
    memory.pool.start()
    memory.advance(3)
    assert where(memory) == ["b"]
    memory.advance(5)
    memory.servers[0].accept()
    kill(memory.servers[1])
    memory.advance(3)
    assert where(memory) == ["a"]
    assert memory.servers[1].attempts == [3, 9, 11]
    memory.advance(4)
    assert memory.pool.open_connections == 1
    memory.close()


def test_moving_on_is_told_after_the_failure() -> None:
    """Handlers of error and close see where it failed; stats, from then on, where it goes."""
    memory, _ = pool_over(URLS[:2], pool_size=1)
    seen: list[tuple[str, str]] = []
    memory.pool.on("error", lambda *_: seen.append(("error", where(memory)[0])))
    memory.pool.on("close", lambda *_: seen.append(("close", where(memory)[0])))
    memory.servers[0].drop_when_open()
    memory.pool.start()
    memory.advance(1)
    memory.settle()
    assert seen == [("error", "a"), ("close", "a")] * 2
    assert where(memory) == ["b"]
    assert [c.state for c in memory.pool.get_stats().connections] == ["closed"]
    memory.close()


def test_retry_after_holds_for_the_server_that_asked() -> None:
    """The connection goes elsewhere at once, and is not back before the time that was asked for."""
    memory, _ = pool_over(URLS[:2], pool_size=1)
    memory.servers[0].reject(503, headers={"Retry-After": "100"})
    memory.servers[1].refuse()
    memory.pool.start()
    memory.advance(300)
    first, *others = memory.servers[0].attempts
    assert first == 0
    assert others[0] >= 100
    assert memory.servers[1].attempts[:5] == [1, 3, 7, 15, 31]
    memory.close()


def test_giving_up_counts_the_failures_at_all_servers() -> None:
    """max_reconnect_attempts failures in a row, wherever they were; the error says where last."""
    memory, errors = pool_over(pool_size=2, max_reconnect_attempts=4)
    for server in memory.servers:
        server.refuse()
    memory.pool.start()
    memory.advance(1000)
    assert sum(len(server.attempts) for server in memory.servers) == 8
    gave_up = [error for error, _ in errors if isinstance(error, GaveUp)]
    assert [error.attempts for error in gave_up] == [4, 4]
    assert [error.url for error in gave_up] == [c.url for c in memory.pool.get_stats().connections]
    with pytest.raises(PoolExhausted):
        memory.result(memory.pool.send("x"))
    # Those that gave up are for no server any more: new ones are spread as from the beginning.
    memory.pool.resize(5)
    assert where(memory)[2:] == list("abc")
    memory.close()


def test_destroying_and_closing_while_moving() -> None:
    """The end of the pool in a handler of the failure that would have moved a connection."""
    memory, _ = pool_over(URLS[:2], pool_size=1)
    memory.servers[0].refuse()
    memory.pool.start()
    memory.pool.on("error", lambda *_: memory.pool.destroy())
    memory.advance(10)
    assert memory.servers[1].attempts == []
    memory.close()


def test_keys_stay_with_their_connection() -> None:
    """A connection that has moved gets the messages of its keys again."""
    memory, _ = pool_over(URLS[:2], pool_size=2)
    memory.open()
    memory.advance(10)
    key = next(k for k in range(100) if memory.result(memory.pool.send("x", key=k)) == 0)
    kill(memory.servers[0])
    memory.settle()
    assert memory.result(memory.pool.send("y", key=key)) == 1
    memory.advance(7)
    assert where(memory) == list("bb")
    assert memory.result(memory.pool.send("z", key=key)) == 0
    memory.close()


# What an attempt is told


def test_every_server_gets_its_own_request() -> None:
    """Path, query and credentials are those of the server's URL."""
    urls = ["ws://u:one@a.test/x?t=1", "ws://b.test/y", "ws://u:three@c.test/z"]
    memory, _ = pool_over(urls, pool_size=3)
    memory.open()
    peers = [server.peers[0] for server in memory.servers]
    assert [peer.resource for peer in peers] == ["/x?t=1", "/y", "/z"]
    assert [peer.headers["host"] for peer in peers] == ["a.test", "b.test", "c.test"]
    credentials = [peer.headers.get("authorization") for peer in peers]
    assert credentials == ["Basic dTpvbmU=", None, "Basic dTp0aHJlZQ=="]
    memory.close()


def test_hooks_see_which_server_they_are_for() -> None:
    """on_connect, and a headers callable that takes the connection, find its URL there."""
    hooked: list[str] = []

    def headers(connection: PooledConnection) -> dict[str, str]:
        return {"X-For": connection.url}

    def on_connect(connection: PooledConnection) -> None:
        hooked.append(connection.url)

    memory, _ = pool_over(
        URLS[:2],
        pool_size=2,
        on_connect=on_connect,
        ws_options=WebSocketOptions(headers=headers),
    )
    memory.open()
    assert hooked == URLS[:2]
    kill(memory.servers[0])
    memory.advance(10)
    assert [peer.headers["x-for"] for peer in memory.servers[1].peers] == [URLS[1]] * 2
    assert hooked == [URLS[0], URLS[1], URLS[1]]
    memory.close()


# Names and logs


def test_the_log_names_the_servers() -> None:
    """With several URLs, each line about a connection says which one, without its secrets."""
    log = Recorder()
    urls = ["ws://u:pass@a.test/?token=1", "ws://b.test/?token=2"]
    memory = MemoryPool(urls, pool_size=1, logger=log)
    memory.servers[0].refuse()
    memory.pool.start()
    memory.advance(3)
    memory.close()
    a_failed = (
        "a.test: connection 0 to ws://a.test/: no connection could be made (stage: transport): "
    )
    refused = "Connection was refused by other side."
    assert [line.removesuffix(refused) for line in log.lines] == [
        "a.test: keeping 1 connection to ws://a.test/, ws://b.test/",
        a_failed,
        "a.test: connection 0 to ws://a.test/: the next attempt is to ws://b.test/",
        "a.test: connection 0 to ws://b.test/ is open",
        f"{a_failed}{refused} (1 more time in the last 3 s, first 3 s ago)",
        "a.test: the connection is open, after 2 failures in 3.0 s",
        "a.test: connection 0 to ws://b.test/: this side closed the connection: 1000",
        "a.test: no connection is open",
        "a.test: closed",
    ]


def test_the_log_of_errors_that_are_listened_to_names_the_servers() -> None:
    """Also with a listener for errors, the log says where."""
    log = Recorder()
    memory, _ = pool_over(URLS[:2], pool_size=1, logger=log)
    memory.servers[0].refuse()
    memory.pool.start()
    assert log.lines[1].startswith("a.test: connection 0 to ws://a.test/: no connection could be")
    memory.close()


def test_the_log_says_where_a_connection_gave_up() -> None:
    """That is the server that has failed it last."""
    log = Recorder()
    memory, _ = pool_over(URLS[:2], pool_size=1, logger=log, max_reconnect_attempts=3)
    for server in memory.servers:
        server.refuse()
    memory.pool.start()
    memory.advance(10)
    gave_up = "a.test: connection 0 to ws://b.test/: gave up after 3 attempts: "
    assert any(line.startswith(gave_up + "no connection could be made") for line in log.lines)
    memory.close()


def test_errors_say_which_server_they_are_about() -> None:
    """With a single URL as well."""
    memory, errors = pool_over("ws://u:pass@memory.test/x?token=1", pool_size=1)
    memory.server.refuse()
    memory.pool.start()
    [(error, connection_id)] = errors
    assert isinstance(error, TransportFailed)
    assert error.url == "ws://memory.test/x"
    assert TransportFailed("x").url is None
    assert connection_id == 0
    memory.close()


@pytest.mark.parametrize(
    ("urls", "shown"),
    [
        (("ws://a.test/?secret",), "ws://a.test/"),
        (["ws://a.test/", "ws://b.test/?secret"], "ws://a.test/ and 1 more"),
        (["ws://a.test", "ws://b.test", "ws://c.test"], "ws://a.test/ and 2 more"),
    ],
)
def test_the_pool_is_named_after_the_first_host(urls: Any, shown: str) -> None:
    """Unless it is given a name."""
    pool = ReconnectingPoolFactory(urls, reactor=Clock(), start=False)
    assert pool.name == "a.test"
    assert repr(pool) == f"<ReconnectingPoolFactory a.test {shown}>"
    pool.destroy()


# What is refused


def test_what_is_no_sequence_of_urls_is_refused() -> None:
    """When the pool is made, and without secrets in the error."""
    with pytest.raises(ValueError, match=r"^url\[1\] must begin with ws://.*: '\?\*\*\*'$"):
        ReconnectingPoolFactory(["ws://a/", "?secret"], reactor=Clock())
    with pytest.raises(TypeError, match=r"^url must be a URL or .*, not set$"):
        ReconnectingPoolFactory({"ws://a/"}, reactor=Clock())  # type: ignore[arg-type]


def test_the_caller_may_go_on_changing_the_sequence() -> None:
    """The pool has its own copy."""
    urls = list(URLS)
    memory, _ = pool_over(urls, pool_size=3)
    urls.clear()
    memory.open()
    assert where(memory) == list("abc")
    memory.close()


def test_urls_that_differ_in_their_query_only_are_different() -> None:
    """Servers are told apart by all of their URLs, but the query is not shown."""
    memory, _ = pool_over(["ws://a.test/?shard=1", "ws://a.test/?shard=2"], pool_size=2)
    memory.open()
    assert [server.peers[0].resource for server in memory.servers] == ["/?shard=1", "/?shard=2"]
    assert [c.url for c in memory.pool.get_stats().connections] == ["ws://a.test/"] * 2
    memory.close()


def test_tls_options_need_one_secure_server() -> None:
    """They are checked for each wss:// URL, and refused if there is none."""
    options = WebSocketOptions(tls=TLSOptions())
    with pytest.raises(ValueError, match=r"^tls needs a wss:// URL, not 'ws://a/', 'ws://b/'$"):
        ReconnectingPoolFactory(["ws://a/?secret", "ws://b/"], reactor=Clock(), ws_options=options)
    with pytest.raises(ValueError, match="no certificate can be for 'my_service'"):
        ReconnectingPoolFactory(["wss://a/", "wss://my_service/"], reactor=Clock())


@pytest.mark.parametrize("second", ["ws://b.test/", "wss://b.test/"])
def test_a_mix_of_encrypted_and_plain_is_warned_of(second: str) -> None:
    """It may be what is wanted, but rather not."""
    log = Recorder()
    memory = MemoryPool(
        ["wss://a.test/", second], logger=log, ws_options=WebSocketOptions(tls=TLSOptions())
    )
    memory.close()
    warning = "a.test: connections to its ws:// URLs are not encrypted"
    assert (warning in log.lines) == (second == "ws://b.test/")


# In memory


def test_one_server_in_memory_may_be_all_of_them() -> None:
    """A server that is given stands for every URL; a sequence has one for each."""
    clock = Clock()
    server = MemoryServer(clock)
    memory, _ = pool_over(server=server, clock=clock, pool_size=3)
    memory.open()
    assert memory.servers == [server] * 3
    assert len(server.open_peers) == 3
    memory.close()
    two = [MemoryServer(clock), MemoryServer(clock)]
    memory, _ = pool_over(URLS[:2], server=two, clock=clock, pool_size=3)
    memory.open()
    assert memory.server is two[0]
    assert [len(each.open_peers) for each in two] == [2, 1]
    memory.close()
    with pytest.raises(ValueError, match="server: 2 servers for 3 URLs"):
        pool_over(server=two)
