"""
The caller's side: a pool somewhere behind a router, used like a pool.

@since: 0.1.0
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredList, FirstError, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from .._deadline_clock import DeadlineClock
from ..errors import PoolError
from ..messages import SendData
from ._calls import Calls
from ._checks import check_integer, check_seconds, check_uri
from ._outbound import Batch, Key, outbound, outbound_batch, outbound_key
from ._retrying import may_be_repeated, may_have_been_sent, retrying, without_frames
from .errors import WampError
from .sharding import shard_of

__all__ = ["Key", "PoolClient"]

_T = TypeVar("_T")


class PoolClient:
    """
    Calls the procedures of the components that offer a pool, with the verbs of a pool.

    What the pool answers with is the same as without a router, exceptions included; what goes wrong
    on the way is a L{WampError<wsmultipool.wamp.WampError>}.

    C{broadcast}, C{flush}, C{ping} and C{get_stats} are about the pool of one component, whichever
    the router chooses; with C{shards}, C{broadcast} and C{flush} are about those of all shards.

    @param source: an C{ApplicationSession}, or a C{Component} that was not started yet, of which
        each session is used in turn.
    @param prefix: that of the components.
    @param retry: make a call again that was lost or refused on the way, until C{retry_timeout} is
        over.  One that may have sent something is made again only if it was with C{confirm=True}:
        at least once; all others: at most once.
    @param retry_timeout: seconds.
    @param call_timeout: seconds to wait for an answer.  C{None} for as long as the session lasts,
        since only the caller knows how long a pool may take: a message may wait for a connection,
        or for its confirmation.  If the component is lost the router says so; that the router is
        lost is noticed by the pings of the session's transport, which are off unless you set them.
    @param shards: how many shards the components offer together.  Messages with a key then go to
        the shard of that key, so that they keep their order across machines.  0 for none.
    @param reactor: C{None} for the global one.
    @raise TypeError: an argument is of the wrong type.
    @raise ValueError: an argument is out of range.
    @since: 0.1.0
    """

    def __init__(
        self,
        source: Any,
        prefix: str,
        *,
        retry: bool = False,
        retry_timeout: float = 60.0,
        call_timeout: float | None = None,
        shards: int = 0,
        reactor: IReactorTime | None = None,
    ) -> None:
        self._prefix = check_uri("prefix", prefix)
        if not isinstance(retry, bool):
            raise TypeError(f"retry must be True or False, not {retry!r}")
        self._retry = retry
        self._retry_timeout = check_seconds("retry_timeout", retry_timeout)
        if call_timeout is not None:
            check_seconds("call_timeout", call_timeout)
        self._shards = check_integer("shards", shards, at_least=0)
        if reactor is None:
            from twisted.internet import reactor as global_reactor

            reactor = IReactorTime(global_reactor)
        self._reactor = DeadlineClock(reactor)
        self._calls = Calls(source, prefix, call_timeout, reactor)

    def __repr__(self) -> str:
        return f"<PoolClient {self._prefix}>"

    def send(
        self,
        data: SendData,
        *,
        binary: bool | None = None,
        key: Key | None = None,
        timeout: float | None = None,
        confirm: bool = False,
    ) -> Deferred[int]:
        """
        Send one message over one of the pools.

        @param data: C{str} is sent as text, the others as binary.
        @param binary: send as binary or as text, whatever the type of C{data}.
        @param key: messages with equal keys keep their order within one component; with C{shards},
            everywhere.
        @param timeout: seconds the pool has until a connection must have taken it.
        @param confirm: wait for the proof that the peer has received it.
        @return: a Deferred that fires with the number of a connection, as that of
            L{wsmultipool.ReconnectingPoolFactory.send}, and fails as that does, or with a
            C{WampError}.  Cancelling it withdraws the message if it was not taken yet.
        @raise TypeError: an argument is of the wrong type.
        @raise ValueError: text can't be UTF-8, or bytes sent as text are not.
        @since: 0.1.0
        """
        key = outbound_key(key)
        message = outbound(data, binary)
        options = _given(binary=message.binary, key=key, timeout=timeout, confirm=confirm or None)
        procedure = f"{self._of(key)}.send"
        return self._again(
            lambda: self._calls.call(procedure, [message.data], options, int), confirm
        )

    def send_many(
        self,
        messages: Sequence[SendData],
        *,
        binary: bool | None = None,
        key: Key | None = None,
        keys: Sequence[Key | None] | None = None,
        timeout: float | None = None,
        confirm: bool = False,
    ) -> Deferred[list[tuple[bool, int | Failure]]]:
        """
        Send several messages with one call, which costs the router as much as one message.

        @param messages: no more than the component's C{max_batch_size}.
        @param key: one for all of them.
        @param keys: or one for each of them.
        @return: a Deferred that fires with one entry for each message, in their order: C{(True,
            connection)}, or C{(False, failure)} with a failure as that of L{send}.  Cancelling it
            withdraws what was not taken yet.
        @raise TypeError: an argument is of the wrong type.
        @raise ValueError: as L{send}; or C{keys} are not as many as the messages.
        @since: 0.1.0
        """
        batch = outbound_batch(messages, binary, key, keys)
        if not batch.messages:
            return succeed([])
        options = _given(timeout=timeout, confirm=confirm or None)
        if self._shards and batch.key is not None:
            sent = Deferred.fromCoroutine(self._over_shards(batch, options, confirm))
        else:
            sent = Deferred.fromCoroutine(self._batch(self._prefix, batch, options, confirm))
        return sent.addErrback(without_frames)

    def broadcast(
        self,
        data: SendData,
        *,
        binary: bool | None = None,
        timeout: float | None = None,
        confirm: bool = False,
    ) -> Deferred[list[tuple[bool, int | Failure]]]:
        """
        Send one message on every open connection of one component; with C{shards}, of every shard.

        @return: a Deferred that fires with one entry for each connection, as that of
            L{wsmultipool.ReconnectingPoolFactory.broadcast}, and fails with a C{WampError}.
        @raise TypeError: as L{send}.
        @raise ValueError: as L{send}.
        @since: 0.1.0
        """
        message = outbound(data, binary)
        options = _given(binary=message.binary, timeout=timeout, confirm=confirm or None)
        answers = self._everywhere("broadcast", [message.data], options, list)
        return answers.addCallback(
            lambda results: [self._entry(each) for result in results for each in result]
        )

    def flush(self, timeout: float | None = None) -> Deferred[None]:
        """
        Wait for the proof that everything that one component has accepted was received; with
        C{shards}, that every shard has.

        @return: a Deferred that fires when it was, and fails as that of
            L{wsmultipool.ReconnectingPoolFactory.flush}, or with a C{WampError}.
        @since: 0.1.0
        """
        flushed = self._everywhere("flush", [], _given(timeout=timeout), bool)
        return flushed.addCallback(lambda _: None)

    def ping(self, data: bytes | str = b"", *, timeout: float | None = None) -> Deferred[float]:
        """
        Measure one round trip between the pool of one component and its server.

        @return: a Deferred that fires with seconds, and fails as that of
            L{wsmultipool.ReconnectingPoolFactory.ping}, or with a C{WampError}.
        @since: 0.1.0
        """
        payload = outbound(data, None).data
        procedure, options = f"{self._prefix}.ping", _given(timeout=timeout)
        return self._again(
            lambda: self._calls.call(procedure, [payload], options, (int, float)), True
        )

    def get_stats(self, shard: int | None = None) -> Deferred[dict[str, Any]]:
        """
        Ask one component how its pool is.

        @param shard: that of this shard.
        @return: a Deferred that fires with what L{wsmultipool.PoolStats.as_dict} returns, and
            under C{wamp} what was offered, called and published; it fails with a C{WampError}.
        @since: 0.1.0
        """
        procedure = f"{self._prefix if shard is None else self._shard(shard)}.stats"
        return self._again(lambda: self._calls.call(procedure, [], {}, dict), True)

    # Where a call goes, and how often

    def _shard(self, number: int) -> str:
        return f"{self._prefix}.shard.{number}"

    def _of(self, key: Key | None) -> str:
        if key is None or not self._shards:
            return self._prefix
        return self._shard(shard_of(key, self._shards))

    def _everywhere(
        self, verb: str, arguments: list[Any], options: Mapping[str, Any], wanted: type[Any]
    ) -> Deferred[list[Any]]:
        """Call one component, or all shards; fail as the first that fails."""
        prefixes = [self._shard(number) for number in range(self._shards)] or [self._prefix]

        def call(prefix: str) -> Deferred[Any]:
            return self._again(
                lambda: self._calls.call(f"{prefix}.{verb}", arguments, options, wanted), False
            )

        return _all([call(prefix) for prefix in prefixes])

    def _again(self, attempt: Callable[[], Deferred[_T]], twice: bool) -> Deferred[_T]:
        if not self._retry:
            return attempt()
        again = retrying(attempt, twice, self._retry_timeout, self._reactor)
        return Deferred.fromCoroutine(again).addErrback(without_frames)

    # Several messages

    async def _over_shards(
        self, batch: Batch, options: dict[str, Any], confirm: bool
    ) -> list[tuple[bool, int | Failure]]:
        results: list[Any] = [None] * len(batch.messages)
        places: dict[str, list[int]] = {}
        keys = batch.key if isinstance(batch.key, list) else [batch.key] * len(results)
        for place, key in enumerate(keys):
            places.setdefault(self._of(key), []).append(place)

        async def to_one(prefix: str, of_these: list[int]) -> None:
            entries = await self._batch(prefix, batch.only(of_these), options, confirm)
            for place, entry in zip(of_these, entries, strict=True):
                results[place] = entry

        await _all([Deferred.fromCoroutine(to_one(*each)) for each in places.items()])
        return results

    async def _batch(
        self, prefix: str, batch: Batch, options: dict[str, Any], confirm: bool
    ) -> list[tuple[bool, int | Failure]]:
        """Call one component; with C{retry}, call again for the messages that need it."""
        entries: list[Any] = [None] * len(batch.messages)
        left = list(range(len(entries)))
        # Of a call before, which may have sent all that is left.
        unsure: Failure | None = None

        async def attempt() -> None:
            nonlocal left, unsure
            these = batch.only(left)
            try:
                answer = await self._calls.call(
                    f"{prefix}.send_many", [these.messages], {**options, **these.options()}, list
                )
            except WampError as lost:
                if lost.may_have_been_sent:
                    unsure = Failure(lost.with_traceback(None))
                raise
            failed: list[int] = []
            reason: PoolError | None = None
            for place, entry in zip(left, answer, strict=True):
                if type(entry) is int:
                    entries[place] = (True, entry)
                    continue
                error = self._calls.error_of(entry)
                told = unsure is None or may_have_been_sent(error)
                entries[place] = (False, Failure(error) if told else unsure)
                if may_be_repeated(error, confirm):
                    failed.append(place)
                    reason = reason or error
            left = failed
            if reason is not None and self._retry:
                raise reason

        try:
            await self._again(lambda: Deferred.fromCoroutine(attempt()), confirm)
        except CancelledError:
            raise
        except Exception as error:
            failure = Failure(error.with_traceback(None))
            for place in left:
                entries[place] = (False, unsure) if unsure else entries[place] or (False, failure)
        return entries

    def _entry(self, entry: Any) -> tuple[bool, int | Failure]:
        if isinstance(entry, Mapping):
            return False, Failure(self._calls.error_of(entry))
        return True, entry


def _given(**options: Any) -> dict[str, Any]:
    """Leave out what was not given."""
    return {name: value for name, value in options.items() if value is not None}


def _all(deferreds: list[Deferred[_T]]) -> Deferred[list[_T]]:
    """Wait for all; fail as the first that fails."""
    gathered: Deferred[Any] = DeferredList(deferreds, fireOnOneErrback=True, consumeErrors=True)

    def results(pairs: list[tuple[bool, _T]]) -> list[_T]:
        return [result for _, result in pairs]

    def first_error(failure: Failure) -> Any:
        failure.trap(FirstError)
        assert isinstance(failure.value, FirstError)
        return failure.value.subFailure

    return gathered.addCallbacks(results, first_error)
