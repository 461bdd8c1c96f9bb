"""
One run of C{wsmultipool cat}: from standard input through a pool, and to standard output.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from twisted.internet.defer import CancelledError, Deferred, TimeoutError

from .._deadline_clock import DeadlineClock
from .._patience import Patience
from .._refusals import Refusals
from ..errors import PoolError
from ..options import ServerURL
from ..pool import ReconnectingPoolFactory
from .cat_report import Report
from .confirmations import Confirmations
from .message_framing import LengthPrefixed, Lines, StreamError
from .standard_streams import InputStream, OutputStream

if TYPE_CHECKING:
    from ..service.configuration import Configuration

__all__ = ["Cat", "CatOptions"]

_BROKEN_PIPE = 141  # what shells report of a program that SIGPIPE ended
_LONGEST_INPUT = 100 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class CatOptions:
    """
    What may be said on the command line.

    @ivar configuration: of the pool.
    @ivar binary: send binary messages.
    @ivar length_prefixed: messages have their length before them; else they are lines.
    @ivar confirm: send again what is not known to have been received.
    @ivar expect: messages to wait for at the end of the input.
    @ivar linger: seconds to receive for at the end of the input.
    @ivar timeout: seconds to wait for a connection, for the proof of receipt, for one more
        confirmation, and for one more expected message.
    @ivar progress: whether to report it; C{None} to decide by where it would go.
    """

    configuration: Configuration
    binary: bool = False
    length_prefixed: bool = False
    confirm: bool = False
    expect: int = 0
    linger: float = 0
    timeout: float = 30.0
    progress: bool | None = None


class _GivenUp(Exception):
    """Why the run is over before its end, in words."""


class _NobodyReads(_GivenUp):
    """The reader of the output has read enough."""


class Cat:
    """
    One run.

    @param reactor: watches descriptors as well.
    @param err: where the progress goes, and everything that goes wrong.
    @param input_descriptor: where messages to send come from.
    @param output_descriptor: where those that arrive go.
    """

    def __init__(
        self,
        reactor: Any,
        options: CatOptions,
        err: TextIO,
        input_descriptor: int = 0,
        output_descriptor: int = 1,
    ) -> None:
        self._reactor = reactor
        self._clock = clock = DeadlineClock(reactor)
        self._options = options
        self._framing: LengthPrefixed | Lines
        if options.length_prefixed:
            self._framing = LengthPrefixed(_LONGEST_INPUT)
        else:
            self._framing = Lines(_LONGEST_INPUT, binary=options.binary)
        self._input = InputStream(reactor, input_descriptor)
        self._pool = self._build_pool()
        self._output = OutputStream(
            reactor,
            self._pool.pause_receiving,
            self._pool.resume_receiving,
            self._output_lost,
            output_descriptor,
        )
        self._report = Report(err, reactor, self._pool, options.progress, output_descriptor)
        self._refusals = Refusals(clock, self._pool, self._report.note_once)
        self._refusals.limit(options.timeout, lambda: self._give_up(self._refused()))
        self._expected: Deferred[None] = Deferred()
        timeout, held = options.timeout, self._output.is_full
        self._confirmations = Confirmations(
            clock, timeout, held, lambda reason: self._give_up(_GivenUp(reason))
        )
        self._silence = Patience(clock, timeout, held, self._none_comes)
        self._running: Deferred[None] | None = None
        self._reason: Exception | None = None

    def _build_pool(self) -> ReconnectingPoolFactory:
        configuration = self._options.configuration
        options: dict[str, Any] = {
            "overflow": "wait",
            "logger": False,
            **configuration.pool,
            "ws_options": configuration.websocket_options(lambda: configuration.headers),
        }
        pool = ReconnectingPoolFactory(configuration.urls[0], reactor=self._reactor, **options)
        pool.on("message", self._received)
        pool.on("error", self._failed)
        return pool

    async def run(self) -> int:
        """
        Send everything, and receive until it is time to end.

        @return: the exit status.
        """
        self._running = Deferred.fromCoroutine(self._run())
        try:
            await self._running
        except (_GivenUp, StreamError) as error:
            self._reason = self._reason or error
        except CancelledError:
            if self._reason is None:
                raise
        finally:
            # When the last connection is gone, each message has come to its end, and the server has
            # said what it had to say.
            await self._pool.close()
            self._refusals.stop()
        return self._status()

    async def _run(self) -> None:
        try:
            self._report.start()
            await self._connected()
            await self._send_all()
            await self._proven()
            await self._arrived()
            self._pool.off("error", self._failed)  # what fails from here on fails because of us
            await self._pool.close()
            await self._output.when_written()
            self._check_served()
        finally:
            self._pool.off("error", self._failed)
            self._silence.stop()
            self._confirmations.stop()
            self._pool.destroy()
            self._output.stop()
            self._report.stop()

    def _give_up(self, reason: Exception) -> None:
        """End the run, whatever it waits for; the first reason counts."""
        if self._reason is None:
            self._reason = reason
            assert self._running is not None
            # Not now: this may be called by what the run does just now.
            self._reactor.callLater(0, self._running.cancel)

    def _status(self) -> int:
        """
        Say why the run is over before its end, if it is.

        @return: the exit status.
        """
        match self._reason:
            case None:
                return 0
            case _NobodyReads():
                return _BROKEN_PIPE
        counts = f" ({self._confirmations})" if self._options.confirm else ""
        self._report.note(f"{self._reason}{counts}")
        return 1

    async def _connected(self) -> None:
        timeout = self._options.timeout
        try:
            await self._limited(self._pool.when_open(), timeout)
        except TimeoutError:
            url = ServerURL.parse(self._options.configuration.urls[0])
            raise _GivenUp(f"no connection to {url} opened within {timeout:g} s") from None
        except PoolError as error:
            raise _GivenUp(str(error)) from None

    async def _send_all(self) -> None:
        try:
            while data := await self._input.read():
                await self._send_each(self._framing.feed(data))
        except OSError as error:
            raise _GivenUp(f"standard input: {error.strerror}") from None
        await self._send_each(self._framing.end())
        if self._options.confirm:
            await self._confirmations.settled()

    async def _send_each(self, messages: Iterable[bytes]) -> None:
        options, report, send = self._options, self._report, self._pool.send
        # With confirm, it is the confirmation that may not take longer.
        limited = not (options.confirm or math.isinf(options.timeout))
        timeout = options.timeout if limited else None
        for number, message in enumerate(messages, report.sent + 1):
            report.sent = number
            report.sent_bytes += len(message)
            if options.confirm:
                await self._confirmations.room()
            try:
                sent = send(
                    message, binary=options.binary, timeout=timeout, confirm=options.confirm
                )
            except ValueError:
                raise _GivenUp(
                    f"message {number:,} is not UTF-8: --binary sends what is not text"
                ) from None
            if options.confirm:
                self._confirmations.follow(sent)
            else:
                try:
                    await sent
                except PoolError as error:
                    raise _GivenUp(f"message {number:,} was not sent: {error}") from None

    async def _proven(self) -> None:
        """
        Wait until the server is known to have received everything.
        """
        timeout = self._options.timeout
        try:
            await self._pool.flush(None if math.isinf(timeout) else timeout)
        except PoolError as error:
            raise _GivenUp(f"not everything is known to have been received: {error}") from None

    async def _arrived(self) -> None:
        """
        Wait for messages from the server.
        """
        expect, linger = self._options.expect, self._options.linger
        if not (expect or linger):
            return
        if expect and self._report.received >= expect:
            return
        if not linger:
            self._silence.start()
        try:
            await self._limited(self._expected, linger or math.inf)
        except TimeoutError:
            if expect:
                raise _GivenUp(self._too_few()) from None

    def _check_served(self) -> None:
        """
        Fail if nothing came of the run but that the server has turned us away.
        """
        # Not before the last connection is gone: a server that has closed it may leave TCP open.
        idle = self._options.linger or not self._report.sent
        if idle and not self._options.expect and self._refusals.latest is not None:
            raise self._refused()

    def _refused(self) -> _GivenUp:
        return _GivenUp(f"the server turns us away: {self._refusals.latest}")

    def _none_comes(self) -> None:
        self._give_up(_GivenUp(f"{self._too_few()}, and none for {self._options.timeout:g} s"))

    def _too_few(self) -> str:
        return f"{self._report.received:,} of {self._options.expect:,} expected messages arrived"

    def _limited(self, waiting: Deferred[None], seconds: float) -> Deferred[None]:
        return waiting if math.isinf(seconds) else waiting.addTimeout(seconds, self._clock)

    def _received(self, data: bytes, is_binary: bool, connection_id: int) -> None:
        report, expect = self._report, self._options.expect
        report.received += 1
        self._silence.progress()
        self._refusals.heard()
        report.received_bytes += len(data)
        self._output.write(self._framing.encode(data))
        if report.received == expect and not self._expected.called:
            self._expected.callback(None)

    def _output_lost(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            self._give_up(_NobodyReads())
        else:
            self._give_up(_GivenUp(f"standard output: {error.strerror}"))

    def _failed(self, error: Exception, connection_id: int) -> None:
        self._report.note_once(str(error))
