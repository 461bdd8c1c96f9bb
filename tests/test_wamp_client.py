"""
The caller's side: which error says what, what is made again, and where keys go.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest
from autobahn.wamp.message import Yield
from autobahn.wamp.types import ComponentConfig
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from wsmultipool import PoolClosed
from wsmultipool.testing import MemoryPool
from wsmultipool.wamp import (
    CallLost,
    CallRefused,
    CallTimeout,
    InvalidArgument,
    NotOffered,
    PoolClient,
    RemoteFailure,
    TooManyCalls,
    WampError,
    shard_of,
)
from wsmultipool.wamp._sessions import ComponentSession

from .support import error_of, outcome
from .wamp_support import PREFIX, Offered, Scene

SESSION = ComponentConfig("realm1", {})
MAX = "crossbar.error.max_concurrency_reached"


def two_components(client: dict[str, Any], **options: Any) -> tuple[Scene, Offered]:
    """
    A scene with a second component, whose pool is another one on the same clock.
    """
    scene = Scene(client=client, **options)
    memory = MemoryPool(pool_size=2, logger=False, clock=scene.memory.clock)
    other = Offered(scene.router, memory, options)
    memory.open()
    other.join()
    return scene, other


def received(offered: Offered) -> list[bytes]:
    """
    Return the payloads that the server of one component has got.
    """
    offered.memory.settle()
    return [data for peer in offered.memory.server.peers for data, _ in peer.received]


@pytest.mark.parametrize(
    ("uri", "expected", "may_have_been_sent"),
    [
        ("wamp.error.no_such_procedure", NotOffered, False),
        (MAX, TooManyCalls, False),
        ("wamp.error.not_authorized", CallRefused, False),
        ("wamp.error.canceled", CallLost, True),
        ("wamp.error.runtime_error", RemoteFailure, True),
        ("com.example.anything", CallRefused, True),
    ],
)
def test_what_the_router_says(
    uri: str, expected: type[WampError], may_have_been_sent: bool
) -> None:
    """Each refusal is an exception of its own, which says whether a message may have been sent."""
    scene = Scene()
    scene.router.refused[f"{PREFIX}.send"] = uri
    error = error_of(scene.client.send("secret"))
    assert type(error) is expected
    assert isinstance(error, WampError)
    assert error.may_have_been_sent is may_have_been_sent
    assert "secret" not in f"{error} {error!r}"
    scene.close()


def test_without_a_session_nothing_is_sent() -> None:
    """A call that can't leave this process fails at once, and says so."""
    scene = Scene()
    scene.session._transport.abort()
    error = error_of(scene.client.send("x"))
    assert isinstance(error, CallLost)
    assert not error.may_have_been_sent
    assert "was not sent" in str(error)
    assert scene.received() == []
    scene.close()


def test_a_lost_component_is_told_to_its_callers() -> None:
    """Calls that a component had when it was lost fail, and may have been sent."""
    scene = Scene()
    scene.router.holding = (Yield,)
    sent = outcome(scene.client.send("x"))
    scene.memory.settle()
    assert sent == []
    scene.offered.lose()
    (failure,) = sent
    assert failure.check(CallLost)
    assert failure.value.may_have_been_sent
    assert "may have been sent, or not" in str(failure.value)
    scene.close()


@pytest.mark.parametrize("clean", [True, False])
def test_a_lost_router_is_told_to_its_callers(clean: bool) -> None:
    """Calls under way when the session of the caller ends fail, however it ends."""
    scene = Scene()
    scene.router.holding = (Yield,)
    sent = outcome(scene.client.send("x"))
    if clean:
        scene.router.say_goodbye(scene.session, "wamp.close.system_shutdown")
    else:
        scene.session._transport.abort()
    (failure,) = sent
    assert failure.check(CallLost)
    assert failure.value.may_have_been_sent
    scene.close()


def test_a_callback_may_cancel_other_calls() -> None:
    """Whoever gives everything up when the first call is lost hinders no other from being told."""
    scene = Scene()
    scene.router.holding = (Yield,)
    first, second, third = (scene.client.send("x") for _ in range(3))
    sent = [outcome(second), outcome(third)]
    first.addErrback(lambda _: second.cancel())
    scene.session._transport.abort()
    assert [failure.type for (failure,) in sent] == [CancelledError, CallLost]
    scene.close()


class SlowToLeave(ComponentSession):
    """
    A session of an application that takes its time when it ends.
    """

    def onLeave(self, details: object) -> Any:
        return Deferred[None]()


def test_a_session_that_takes_its_time_to_leave() -> None:
    """Its calls may have been sent, whatever Autobahn makes them fail with."""
    scene = Scene()
    client = PoolClient(scene.router.join(SlowToLeave(SESSION)), PREFIX, reactor=scene.memory.clock)
    scene.router.holding = (Yield,)
    sent = outcome(client.send("x"))
    client._calls._session._transport.abort()
    (failure,) = sent
    assert failure.check(CallLost)
    assert failure.value.may_have_been_sent
    scene.close()


def test_a_call_may_be_cancelled_at_any_moment() -> None:
    """Also when its transport is gone and nobody has been told yet."""
    scene = Scene()
    session = scene.router.join()
    client = PoolClient(session, PREFIX, reactor=scene.memory.clock)
    scene.router.holding = (Yield,)
    sending = client.send("x")
    sent = outcome(sending)
    link, session._transport = session._transport, None
    sending.cancel()
    assert sent[0].check(CancelledError)
    link.abort()
    scene.close()


def test_a_cancelled_batch_is_a_cancelled_call() -> None:
    """Its Deferred fails as any other, so that C{addTimeout} works with it; nobody logs it."""
    for shards in (0, 1):
        scene = Scene(client={"shards": shards}, shards=[0])
        scene.memory.server.refuse()
        for peer in scene.memory.server.open_peers:
            peer.drop()
        scene.memory.settle()
        sending = scene.client.send_many(["x", "y"], keys=["k", None])
        sent = outcome(sending)
        scene.memory.settle()
        assert scene.memory.pool.get_stats().queued_messages == 2
        sending.cancel()
        scene.memory.settle()
        assert scene.memory.pool.get_stats().queued_messages == 0
        assert sent[0].check(CancelledError)
        scene.close()


@pytest.mark.parametrize("serializer", ["cbor", "json"])
def test_any_key_can_travel(serializer: str) -> None:
    """A key that begins with NUL, which JSON takes for binary, does not end the session."""
    scene = Scene(serializer=serializer)
    assert scene.result(scene.client.send("x", key="\0k")) in (0, 1)
    assert scene.result(scene.client.send_many(["x"], key="\0k")) in ([(True, 0)], [(True, 1)])
    assert scene.session.is_attached()
    scene.close()


def test_a_call_may_have_a_deadline() -> None:
    """Without an answer in time, a call fails, and may have been sent."""
    scene = Scene(client={"call_timeout": 3.0})
    scene.router.holding = (Yield,)
    sent = outcome(scene.client.send("x"))
    scene.memory.advance(2.9)
    assert sent == []
    scene.memory.advance(0.2)
    (failure,) = sent
    assert failure.check(CallTimeout)
    assert failure.value.may_have_been_sent
    assert isinstance(failure.value, TimeoutError)
    scene.close()


def test_a_call_can_be_cancelled() -> None:
    """The Deferred fails as any cancelled Deferred does."""
    scene = Scene()
    scene.router.holding = (Yield,)
    sending = scene.client.send("x")
    sent = outcome(sending)
    sending.cancel()
    assert sent[0].check(CancelledError)
    scene.router.release()
    scene.close()


def test_what_no_session_could_send_is_refused() -> None:
    """Wrong types are refused before anything is sent, as by a pool."""
    scene = Scene()
    with pytest.raises(TypeError, match="str, bytes, bytearray or memoryview"):
        scene.client.send(17)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="UTF-8"):
        scene.client.send("\ud800")
    with pytest.raises(ValueError, match="must be UTF-8"):
        scene.client.send(b"\xff", binary=False)
    with pytest.raises(TypeError, match="binary"):
        scene.client.send("x", binary="yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="key"):
        scene.client.send("x", key=("a",))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a sequence of messages"):
        scene.client.send_many("abc")
    with pytest.raises(ValueError, match="keys: one for each message"):
        scene.client.send_many(["a"], keys=["k", "l"])
    assert isinstance(error_of(scene.client.send("x", timeout=-1)), InvalidArgument)
    scene.close()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"prefix": "no prefix"}, ValueError),
        ({"prefix": "wamp.feed"}, ValueError),
        ({"prefix": ""}, ValueError),
        ({"prefix": 5}, TypeError),
        ({"retry": 1}, TypeError),
        ({"retry_timeout": 0}, ValueError),
        ({"call_timeout": "5"}, TypeError),
        ({"shards": -1}, ValueError),
        ({"source": object()}, TypeError),
    ],
)
def test_wrong_options_are_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    """A client is not made with options that make no sense."""
    scene = Scene()
    name = "a session or a Component" if "source" in arguments else next(iter(arguments))
    with pytest.raises(error, match=name):
        PoolClient(
            **{
                "source": scene.session,
                "prefix": PREFIX,
                "reactor": scene.memory.clock,
                **arguments,
            }
        )
    scene.close()


def test_an_answer_that_says_nothing_is_no_success() -> None:
    """A link between two routers answers an error with nothing: that must not pass for success."""
    scene = Scene()
    scene.offered.lose()
    for verb in ("send", "send_many", "broadcast", "ping", "flush", "stats"):
        scene.result(scene.router.join().register(lambda *_, **__: None, f"{PREFIX}.{verb}"))
    calls = (
        scene.client.send("x", confirm=True),
        scene.client.broadcast("x"),
        scene.client.ping(),
        scene.client.flush(),
        scene.client.get_stats(),
    )
    for call in calls:
        error = error_of(call)
        assert isinstance(error, CallLost)
        assert error.may_have_been_sent
    ((succeeded, failure),) = scene.result(scene.client.send_many(["x"]))
    assert not succeeded
    assert failure.check(CallLost)
    scene.close()


# Made again


def test_a_confirmed_call_is_made_again_elsewhere() -> None:
    """With C{retry}, the loss of a component costs a confirmed message nothing but time."""
    scene, other = two_components({"retry": True})
    scene.router.holding = (Yield,)
    sent = outcome(scene.client.send("x", confirm=True))
    scene.memory.settle()
    assert received(scene.offered) == [b"x"]
    scene.router.holding = ()
    scene.offered.lose()
    scene.memory.advance(1)
    assert sent in ([0], [1])
    assert received(other) == [b"x"]
    other.memory.close()
    scene.close()


def test_a_plain_call_is_not_made_twice() -> None:
    """Without C{confirm}, a message that may have been sent is not sent again."""
    scene, other = two_components({"retry": True})
    scene.router.holding = (Yield,)
    sent = outcome(scene.client.send("x"))
    scene.memory.settle()
    scene.router.holding = ()
    scene.offered.lose()
    scene.memory.advance(1)
    assert sent[0].check(CallLost)
    assert received(other) == []
    other.memory.close()
    scene.close()


@pytest.mark.parametrize("uri", ["wamp.error.no_such_procedure", MAX])
@pytest.mark.parametrize("confirm", [True, False])
def test_a_call_that_was_not_sent_is_made_again(uri: str, confirm: bool) -> None:
    """A component that is not there yet, or busy, is waited for."""
    scene = Scene(client={"retry": True})
    scene.router.refused[f"{PREFIX}.send"] = uri
    sent = outcome(scene.client.send("x", confirm=confirm))
    scene.memory.advance(5)
    assert sent == []
    scene.router.refused.clear()
    scene.memory.advance(2)
    assert sent in ([0], [1])
    scene.close()


def test_making_again_has_an_end() -> None:
    """After C{retry_timeout} the next failure is the caller's."""
    scene = Scene(client={"retry": True, "retry_timeout": 10.0})
    scene.router.refused[f"{PREFIX}.send"] = MAX
    sent = outcome(scene.client.send("x"))
    scene.memory.advance(9)
    assert sent == []
    scene.memory.advance(3)
    assert sent[0].check(TooManyCalls)
    scene.close()


def test_what_may_have_been_sent_stays_so() -> None:
    """An attempt that could not be made does not hide that one before it may have succeeded."""
    scene = Scene(client={"retry": True, "retry_timeout": 5.0})
    scene.router.holding = (Yield,)
    sent = outcome(scene.client.send("x", confirm=True))
    batch = outcome(scene.client.send_many(["y"], confirm=True))
    scene.memory.settle()
    scene.offered.lose()
    scene.memory.advance(10)
    ((_, of_batch),) = batch[0]
    for failure in (sent[0], of_batch):
        assert failure.check(CallLost)
        assert failure.value.may_have_been_sent
    scene.close()


def test_the_last_attempt_of_a_batch_is_what_counts() -> None:
    """A message that was not sent at first, and perhaps later, is not told to be unsent."""
    scene, other = two_components({"retry": True})
    original = scene.memory.pool.send
    scene.memory.pool.send = (  # type: ignore[method-assign]
        lambda data, **options: _failing() if data == "b" else original(data, **options)
    )
    sent = outcome(scene.client.send_many(["a", "b"]))
    scene.router.holding = (Yield,)
    scene.memory.advance(1)
    assert received(other) == [b"b"]
    other.lose()
    scene.memory.advance(1)
    (first, second), *_ = sent
    assert first[0]
    assert second[1].check(CallLost)
    assert second[1].value.may_have_been_sent
    other.memory.close()
    scene.close()


def test_making_again_can_be_cancelled() -> None:
    """Cancelled between two attempts, there is no further one, and no timer is left."""
    scene = Scene(client={"retry": True})
    scene.router.refused[f"{PREFIX}.send"] = MAX
    sending = scene.client.send("x")
    sent = outcome(sending)
    scene.memory.advance(1)
    sending.cancel()
    assert sent[0].check(CancelledError)
    scene.close()


def test_a_mistake_is_not_made_again() -> None:
    """What would fail in the same way fails at once."""
    scene = Scene(client={"retry": True}, max_payload_size=10)
    for wrong in (scene.client.send("x", timeout=-1), scene.client.send("x" * 11)):
        assert isinstance(error_of(wrong), WampError)
    scene.close()


def test_of_a_batch_only_what_failed_is_sent_again() -> None:
    """The messages of a batch that were sent are not sent once more with those that were not."""
    scene, other = two_components({"retry": True})
    original = scene.memory.pool.send
    scene.memory.pool.send = (  # type: ignore[method-assign]
        lambda data, **options: _failing() if data == "b" else original(data, **options)
    )
    sent = outcome(scene.client.send_many(["a", "b", "c"], confirm=True))
    scene.memory.advance(1)
    assert [succeeded for succeeded, _ in sent[0]] == [True, True, True]
    assert received(scene.offered) == [b"a", b"c"]
    assert received(other) == [b"b"]
    other.memory.close()
    scene.close()


def _failing() -> Any:
    from twisted.internet.defer import fail

    return fail(PoolClosed())


def test_without_retry_a_batch_tells_what_failed() -> None:
    """A batch does not fail as a whole for one message, nor for a lost call."""
    scene = Scene()
    original = scene.memory.pool.send
    scene.memory.pool.send = (  # type: ignore[method-assign]
        lambda data, **options: _failing() if data == "b" else original(data, **options)
    )
    results = scene.result(scene.client.send_many(["a", "b"]))
    assert results[0] == (True, 0)
    assert results[1][1].check(PoolClosed)
    scene.router.refused[f"{PREFIX}.send_many"] = MAX
    results = scene.result(scene.client.send_many(["a", "b"]))
    assert [failure.check(TooManyCalls) for _, failure in results] == [TooManyCalls] * 2
    scene.close()


def send_and_keep(client: PoolClient, payload: bytes, kept: list[Any]) -> None:
    """
    Send it with every verb, and keep what becomes of it.
    """
    for confirm in (False, True):
        client.send(payload, confirm=confirm).addBoth(kept.append)
        client.send_many([payload, payload], confirm=confirm).addBoth(kept.append)
        client.broadcast(payload, confirm=confirm).addBoth(kept.append)
    sending = client.send_many([payload])
    sending.addBoth(kept.append)
    sending.cancel()


@pytest.mark.parametrize("retry", [False, True])
def test_a_failed_call_does_not_keep_its_messages(retry: bool) -> None:
    """However it has failed: for as long as the caller keeps the failure, nobody has the data."""
    scene = Scene(client={"retry": retry, "retry_timeout": 2.0, "call_timeout": 5.0})
    payload = bytes(65536)
    references = sys.getrefcount(payload)
    kept: list[Any] = []
    for verb in ("send", "send_many", "broadcast"):
        scene.router.refused[f"{PREFIX}.{verb}"] = MAX
    send_and_keep(scene.client, payload, kept)
    scene.memory.advance(20)
    scene.router.refused.clear()
    scene.router.holding = (Yield,)
    send_and_keep(scene.client, payload, kept)
    scene.memory.advance(20)
    entries = [entry for result in kept if isinstance(result, list) for _, entry in result]
    failures = [each for each in [*kept, *entries] if isinstance(each, Failure)]
    assert (len(kept), len(failures)) == (14, 18)
    for failure in failures:
        assert failure.value is not None
        assert failure.value.__traceback__ is None
    scene.close()
    del scene
    gc.collect()
    assert sys.getrefcount(payload) == references


def test_a_wider_search_is_for_what_may_be_repeated() -> None:
    """A broadcast that may have happened is not made again; a question is."""
    scene = Scene(client={"retry": True})
    scene.router.holding = (Yield,)
    broadcast = outcome(scene.client.broadcast("x", confirm=True))
    asked = outcome(scene.client.get_stats())
    scene.router.holding = ()
    scene.offered.lose()
    scene.offered.join()
    scene.memory.advance(2)
    assert broadcast[0].check(CallLost)
    assert asked[0]["total"] == 2
    scene.close()


# Shards


def test_the_shard_of_a_key_is_the_same_everywhere() -> None:
    """Callers of any version and language agree: these are promised."""
    assert [shard_of(key, 8) for key in ("a", "b", "order 17", b"a", 17, "17")] == [
        0,
        6,
        1,
        0,
        4,
        4,
    ]
    assert shard_of("a", 1) == 0


def test_one_shard_more_moves_only_its_share() -> None:
    """No key moves between the shards that there were."""
    moved = 0
    for number in range(2000):
        before, after = shard_of(number, 4), shard_of(number, 5)
        if before != after:
            assert after == 4
            moved += 1
    assert 300 < moved < 500


def test_keys_are_spread_evenly_over_shards() -> None:
    """Each shard gets about as many keys."""
    counts = [0] * 8
    for number in range(8000):
        counts[shard_of(f"customer {number}", 8)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


def test_messages_with_a_key_go_to_its_shard() -> None:
    """One component has each shard, whoever the router would have called next."""
    scene, other = two_components({"shards": 2}, shards=[0])
    third = MemoryPool(pool_size=1, logger=False, clock=scene.memory.clock)
    shard_1 = Offered(scene.router, third, {"shards": [1]})
    third.open()
    shard_1.join()
    keys = [f"key {number}" for number in range(20)]
    for key in keys:
        scene.result(scene.client.send(key, key=key))
    results = scene.result(scene.client.send_many(keys, keys=keys))
    assert all(succeeded for succeeded, _ in results)
    of_1 = [key.encode() for key in keys if shard_of(key, 2) == 1]
    assert received(shard_1) == of_1 * 2
    assert len(received(scene.offered)) + len(received(other)) == 40 - 2 * len(of_1)
    assert len(scene.result(scene.client.broadcast("x"))) == 3
    assert scene.result(scene.client.flush()) is None
    assert scene.result(scene.client.get_stats(shard=1))["total"] == 1
    for memory in (third, other.memory):
        memory.close()
    scene.close()


def test_a_shard_that_nobody_offers() -> None:
    """A key has one shard: without it, the call fails, and goes nowhere else."""
    scene = Scene(client={"shards": 1})
    assert isinstance(error_of(scene.client.send("x", key="k")), NotOffered)
    assert isinstance(error_of(scene.client.broadcast("x")), NotOffered)
    assert scene.result(scene.client.send("x")) == 0
    scene.close()


# Sessions of a component, one after another


class Source:
    """
    As much of a C{Component} as a client looks at.
    """

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}

    def on(self, event: str, handler: Any) -> None:
        self.handlers[event] = handler

    def start(self) -> None: ...


def test_a_client_uses_one_session_after_another() -> None:
    """With a component, calls go on in its next session; with C{retry}, they wait for it."""
    scene = Scene()
    source = Source()
    client = PoolClient(source, PREFIX, retry=True, reactor=scene.memory.clock)
    assert repr(client) == f"<PoolClient {PREFIX}>"
    sent = outcome(client.send("x"))
    scene.memory.advance(3)
    assert sent == []
    source.handlers["join"](scene.session, None)
    scene.memory.advance(1)
    assert sent == [0]
    later = scene.router.join()
    source.handlers["join"](later, None)
    scene.router.holding = (Yield,)
    under_way = outcome(client.send("y"))
    # The transport of the first session closes only now: that is not the end of the second.
    source.handlers["disconnect"](scene.session, was_clean=True)
    assert under_way == []
    scene.router.release()
    assert under_way == [1]
    scene.close()
