"""
What callers may ask of a pool through a router, and what they are told when they ask wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.message import Unregister
from twisted.internet.defer import CancelledError, Deferred

from wsmultipool.wamp import PoolClient

from .support import outcome
from .wamp_support import PREFIX, Scene


@pytest.fixture(params=["cbor", "msgpack", "json"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """
    A component and a caller, over each serializer.
    """
    scene = Scene(serializer=request.param, max_payload_size=1000, max_batch_size=5)
    yield scene
    scene.close()


@pytest.mark.parametrize(
    "data",
    ["hello", "", "\0hello", "\0", "häß 🙂", b"", b"\0", b"\xff\x00\xfe", bytes(range(256))],
)
def test_text_and_binary_arrive_as_they_are(scene: Scene, data: str | bytes) -> None:
    """Any text is sent as that text and any bytes as those bytes, whatever serializer is used."""
    scene.result(scene.client.send(data))
    octets = data if isinstance(data, bytes) else data.encode()
    assert scene.received() == [(octets, isinstance(data, bytes))]


def test_binary_overrides_the_type_of_the_data(scene: Scene) -> None:
    """Text may be sent as binary, and bytes that are UTF-8 as text."""
    scene.result(scene.client.send("text", binary=True))
    scene.result(scene.client.send(b"bytes", binary=False))
    scene.result(scene.client.send("\0both", binary=True))
    assert sorted(scene.received()) == [(b"\0both", True), (b"bytes", False), (b"text", True)]


def test_a_call_returns_the_connection(scene: Scene) -> None:
    """The answer says which connection has taken the message, as without a router."""
    assert [scene.result(scene.client.send("x")) for _ in range(4)] == [0, 1, 0, 1]


def test_a_key_keeps_messages_on_one_connection(scene: Scene) -> None:
    """Keys may be text, binary or numbers."""
    for key in ("a", b"a", 17):
        sent = {scene.result(scene.client.send("x", key=key)) for _ in range(5)}
        assert len(sent) == 1


def test_a_confirmed_call_waits_for_the_pong(scene: Scene) -> None:
    """The call returns when the server has received the message, and no sooner."""
    for peer in scene.memory.server.open_peers:
        peer.stop_reading()
    sent = outcome(scene.client.send("x", confirm=True))
    scene.memory.settle()
    assert sent == []
    for peer in scene.memory.server.open_peers:
        peer.resume_reading()
    scene.memory.settle()
    assert sent in ([0], [1])


def test_many_messages_in_one_call(scene: Scene) -> None:
    """A batch is sent in order, text and binary mixed, and each message has its own result."""
    results = scene.result(scene.client.send_many(["a", b"b", "\0c"], keys=["k", "k", "k"]))
    assert len({connection for _, connection in results}) == 1
    assert scene.received() == [(b"a", False), (b"b", True), (b"\0c", False)]
    assert scene.result(scene.client.send_many([])) == []


def test_a_batch_waits_for_a_connection(scene: Scene) -> None:
    """A batch waits in the pool's queue as single messages do, until there is a connection."""
    scene.memory.server.refuse()
    for peer in scene.memory.server.open_peers:
        peer.drop()
    scene.memory.settle()
    sent = outcome(scene.client.send_many(["a", "b"], timeout=3))
    scene.memory.advance(0.5)
    scene.memory.server.accept()
    scene.memory.advance(4)
    assert [succeeded for succeeded, _ in sent[0]] == [True, True]


def test_broadcast_reaches_every_connection(scene: Scene) -> None:
    """Every connection of the component's pool sends the message."""
    assert scene.result(scene.client.broadcast("x", confirm=True)) == [(True, 0), (True, 1)]
    assert scene.received() == [(b"x", False)] * 2


def test_ping_flush_and_stats(scene: Scene) -> None:
    """The other verbs do what they do on a pool."""
    assert scene.result(scene.client.ping("x")) == 0.0
    scene.result(scene.client.send("x"))
    assert scene.result(scene.client.flush(timeout=5)) is None
    stats = scene.result(scene.client.get_stats())
    assert (stats["total"], stats["open"], stats["sent_messages"]) == (2, 2, 1)
    assert len(stats["connections"]) == 2
    assert stats["wamp"]["calls"] == 3
    assert stats["wamp"]["calls_under_way"] == 0


WRONG: list[tuple[str, list[Any], dict[str, Any], str]] = [
    ("send", [], {}, "send takes one argument (data), not 0"),
    ("send", ["x", "y"], {}, "send takes one argument (data), not 2"),
    ("send", [17], {}, "data must be text or binary, not int"),
    ("send", [None], {}, "data must be text or binary, not NoneType"),
    ("send", [["x"]], {}, "data must be text or binary, not list"),
    ("send", [b"\xff"], {"binary": False}, "data: binary that is sent as text must be UTF-8"),
    ("send", ["x"], {"binary": "yes"}, "binary must be true, false or null, not str"),
    ("send", ["x"], {"confirm": 1}, "confirm must be true or false, not int"),
    ("send", ["x"], {"key": ["x"]}, "key must be text, binary or an integer, not list"),
    ("send", ["x"], {"key": True}, "key must be text, binary or an integer, not bool"),
    ("send", ["x"], {"timeout": "5"}, "timeout must be a number, not '5'"),
    ("send", ["x"], {"timeout": -1}, "timeout must be finite and greater than 0, not -1"),
    ("send", ["x"], {"timeout": 10**400}, "timeout must be finite and greater than 0, not 1000"),
    ("send", ["x"], {"timeout": True}, "timeout must be a number, not True"),
    ("send", ["x"], {"confrim": True}, "send has no option 'confrim': did you mean 'confirm'?"),
    ("send", ["x"], {"fin": False}, "send has no option 'fin'"),
    ("send", ["x"], {"mask": False}, "send has no option 'mask'"),
    ("send_many", ["abc"], {}, "messages must be a list, not str"),
    ("send_many", [["a", 1]], {}, "message 1 must be text or binary, not int"),
    ("send_many", [["a", "b"]], {"key": ["k"]}, "key: 1 of them for 2 messages"),
    ("send_many", [["a"]], {"key": [[]]}, "key must be text, binary or an integer, not list"),
    ("send_many", [["a", b"\xff"]], {"binary": [None, False]}, "message 1: binary that is sent"),
    ("broadcast", ["x"], {"key": "k"}, "broadcast has no option 'key'"),
    ("ping", ["x", "y"], {}, "ping takes one argument (data), not 2"),
    ("ping", [1], {}, "data must be text or binary, not int"),
    ("ping", [b"x" * 126], {}, "data: a ping carries no more than 125 bytes, not 126"),
    ("flush", ["now"], {}, "flush takes no positional argument, not 1"),
    ("flush", [], {"timeout": 0}, "timeout must be finite and greater than 0, not 0"),
    ("stats", [], {"verbose": True}, "stats has no option 'verbose'"),
]


@pytest.mark.parametrize(("verb", "arguments", "options", "text"), WRONG)
def test_wrong_arguments_are_named(
    verb: str, arguments: list[Any], options: dict[str, Any], text: str
) -> None:
    """A wrong call gets an error with a stable URI, which names what is wrong; nothing is sent."""
    scene = Scene()
    with pytest.raises(ApplicationError) as raised:
        scene.call(verb, *arguments, **options)
    assert raised.value.error == f"{PREFIX}.error.invalid_argument"
    assert raised.value.args[0].startswith(text)
    assert raised.value.kwargs == {"reason": raised.value.args[0]}
    # Neither the pool nor another caller has noticed.
    assert scene.result(scene.client.send("next")) == 0
    assert scene.received() == [(b"next", False)]
    scene.close()


@pytest.mark.parametrize(
    ("verb", "argument", "name", "facts"),
    [
        ("send", "x" * 1001, "payload_too_large", {"size": 1001, "limit": 1000}),
        ("send", "ü" * 501, "payload_too_large", {"size": 1002, "limit": 1000}),
        ("broadcast", b"x" * 2000, "payload_too_large", {"size": 2000, "limit": 1000}),
        ("send_many", ["x" * 600] * 2, "payload_too_large", {"size": 1200, "limit": 1000}),
        ("send_many", ["x"] * 6, "batch_too_large", {"size": 6, "limit": 5}),
    ],
)
def test_too_much_is_refused(
    scene: Scene, verb: str, argument: Any, name: str, facts: dict[str, Any]
) -> None:
    """A call that brings more than the component takes is refused as a whole."""
    with pytest.raises(ApplicationError) as raised:
        scene.call(verb, argument)
    assert raised.value.error == f"{PREFIX}.error.{name}"
    assert raised.value.kwargs == facts
    assert scene.received() == []


def test_a_call_that_is_withdrawn_withdraws_its_message() -> None:
    """Cancelling a call takes a message back that no connection has taken yet."""
    scene = Scene()
    scene.memory.server.refuse()
    for peer in scene.memory.server.open_peers:
        peer.drop()
    scene.memory.settle()
    sending = scene.client.send("x")
    sent = outcome(sending)
    scene.memory.settle()
    assert scene.memory.pool.get_stats().queued_messages == 1
    sending.cancel()
    scene.memory.settle()
    assert scene.memory.pool.get_stats().queued_messages == 0
    assert len(sent) == 1
    scene.close()


def test_a_broadcast_can_be_withdrawn() -> None:
    """Cancelled in the middle, it is no failure of the component that anybody would look for."""
    scene = Scene()
    for peer in scene.memory.server.open_peers:
        peer.stop_reading()
    sending = scene.client.broadcast("x", confirm=True)
    sent = outcome(sending)
    scene.memory.settle()
    sending.cancel()
    for peer in scene.memory.server.open_peers:
        peer.resume_reading()
    scene.memory.settle()
    assert sent[0].check(CancelledError)
    assert scene.result(scene.client.get_stats())["wamp"]["calls_under_way"] == 0
    scene.close()


def test_every_verb_is_offered_with_the_policy_and_the_bounds_of_the_pool() -> None:
    """Registrations are shared, and admit as many calls as the pool can hold."""
    scene = Scene(pool={"message_queue_size": 30}, invoke="random", shards=[3])
    offered = {entry[0].removeprefix(f"{PREFIX}."): entry[1:] for entry in scene.router.registered}
    verbs = ("send", "send_many", "broadcast", "ping", "flush", "stats")
    assert set(offered) == {*verbs, *(f"shard.3.{verb}" for verb in verbs)}
    assert offered["send"] == ("random", 30)
    assert offered["send_many"] == ("random", 2)  # one for each connection
    assert offered["shard.3.send"] == ("first", 30)
    scene.close()


def test_what_cannot_be_registered_is_not_offered_in_part() -> None:
    """If one registration is refused the others are taken back, so that all can be tried again."""
    scene = Scene()
    scene.offered.lose()
    scene.router.refused[f"{PREFIX}.stats"] = "wamp.error.not_authorized"
    scene.offered.join()
    with pytest.raises(ApplicationError):
        scene.result(scene.offered.joining)
    assert scene.router.offers(f"{PREFIX}.send") == 0
    scene.close()


def test_registering_anew_ends_when_the_offer_is_withdrawn() -> None:
    """A component that closes takes no more calls, also if its callers have just vanished."""
    scene = Scene(concurrency=1)
    scene.router.holding = (Unregister,)
    scene.offered.offering._caller_vanished()
    withdrawn = Deferred.fromCoroutine(scene.offered.offering.withdraw())
    scene.router.release()
    assert scene.result(withdrawn) is None
    assert scene.router.offers(f"{PREFIX}.send") == 0
    scene.close()


def test_vanished_callers_make_the_component_register_anew() -> None:
    """
    A router that does not count down the calls of callers that are gone would end up calling
    nobody; registering anew has it count from 0.  Calls that are merely withdrawn are no reason.
    """
    scene = Scene(concurrency=4)
    scene.memory.server.refuse()
    for peer in scene.memory.server.open_peers:
        peer.drop()
    scene.memory.settle()
    before = len(scene.router.registered)
    for _ in range(10):
        withdrawn = scene.client.send("x")
        withdrawn.addErrback(lambda _: None)
        withdrawn.cancel()
    callers = [scene.router.join() for _ in range(3)]
    for caller in callers:
        PoolClient(caller, PREFIX, reactor=scene.memory.clock).send("x").addErrback(lambda _: None)
    assert len(scene.router.registered) == before
    for caller in callers:
        caller._transport.abort()
    assert len(scene.router.registered) == 2 * before
    assert scene.router.offers(f"{PREFIX}.send") == 1
    scene.close()


def test_an_error_nobody_foresaw_shows_nothing(logged_failures: Any) -> None:
    """The caller is told that it was an internal error; what it was stands in the log."""
    scene = Scene()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    scene.memory.pool.send = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(ApplicationError) as raised:
        scene.call("send", "x")
    assert raised.value.error == f"{PREFIX}.error.internal"
    assert "secret" not in str(raised.value.args)
    assert len(logged_failures.flush(RuntimeError)) == 1
    scene.close()
