"""
What can go wrong, as one tree.

::

    PoolError
    ├── PoolClosed             close() or destroy() was called
    ├── PoolExhausted          every connection of the pool has given up
    ├── NotConnected           no connection is open, and the call does not wait for one
    ├── NoAsyncioLoop          a hook needs asyncio, which does not run  (a RuntimeError)
    ├── WrongThread            called from a thread that is not the reactor's (a RuntimeError)
    ├── SendError              one message was not accepted, or will not be sent
    │   ├── QueueOverflow      dropped from, or refused by, the full message queue
    │   ├── BufferFull         max_buffered_bytes is reached
    │   ├── SendTimeout        no connection took it in time          (a TimeoutError)
    │   ├── FragmentLost       earlier fragments of it went with their connection
    │   └── DeliveryUnknown    written, and its connection lost before the proof that it arrived
    ├── FlushTimeout           not everything was proven to have arrived in time (a TimeoutError)
    ├── PingTimeout            no pong in time                        (a TimeoutError)
    └── ConnectionFailed       an attempt or a connection failed; the pool tries again
        ├── URLFailed          the url callable failed
        ├── HeadersFailed      the headers callable failed
        ├── TransportFailed    no TCP connection could be made
        ├── OpenTimeout        not open within open_timeout           (a TimeoutError)
        ├── ProxyRefused       the HTTP proxy refused the CONNECT
        ├── UpgradeRejected    the server answered the upgrade with another status
        ├── HandshakeInvalid   the server's answer is not a WebSocket handshake
        ├── OnConnectFailed    the on_connect hook failed
        ├── ProtocolViolation  the peer broke RFC 6455, or exceeded max_message_size
        ├── HeartbeatTimeout   the peer fell silent                   (a TimeoutError)
        ├── PongOverdue        the peer talks, and does not answer (a TimeoutError)
        ├── CloseTimeout       the closing handshake took too long    (a TimeoutError)
        ├── ConnectionClosed   it ended with a closing handshake: the peer's code and words
        ├── ConnectionDropped  it ended without a closing handshake, or TLS was not agreed on
        └── GaveUp             max_reconnect_attempts is reached; no further attempt

Facts are attributes; the text is built from them in C{__str__}; the low-level reason is kept as
C{__cause__}.  No text holds a credential, a header value the user gave, or a URL's query string;
where a peer's words in it hold one, it is replaced by C{***}.

Mistakes of the caller (a wrong type, an option out of range) are C{TypeError} and C{ValueError},
raised at once; they are not part of this tree.

@since: 0.1.0
"""

from __future__ import annotations

from ._words import counted

__all__ = [
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
]


class PoolError(Exception):
    """
    The base of everything this library raises or fails a Deferred with at run time.
    """


class PoolClosed(PoolError):
    """
    The pool was closed or destroyed before, or while, this was under way.
    """

    def __str__(self) -> str:
        return "the pool is closed"


class PoolExhausted(PoolError):
    """
    Every connection has given up after C{max_reconnect_attempts} consecutive failures; the failure
    that was the last straw is the C{__cause__}.

    @ivar reason: that failure in words; C{None} if it is not known.
    """

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        text = "every connection of the pool has given up"
        return text if self.reason is None else f"{text}: {self.reason}"


class NotConnected(PoolError):
    """
    No connection is open, and this call does not wait for one.
    """

    def __str__(self) -> str:
        return "no connection is open"


class WrongThread(PoolError, RuntimeError):
    """
    A pool was called, or built, in a thread that its reactor does not run in.  Nothing was done.

    @since: 0.2.0
    """

    def __str__(self) -> str:
        return (
            "this is not the reactor's thread: use reactor.callFromThread(pool.send, ...) or, to"
            " wait for the outcome, twisted.internet.threads.blockingCallFromThread(reactor,"
            " pool.send, ...)"
        )


class NoAsyncioLoop(PoolError, RuntimeError):
    """
    A hook or a handler waits for something of asyncio's, and no asyncio loop runs in the reactor's
    thread, or another one than that is for; asyncio's own error, if there was one, is the
    C{__cause__}.

    @since: 0.2.0
    """

    def __str__(self) -> str:
        return (
            "it needs asyncio, whose loop does not run here: install Twisted's asyncio reactor"
            " before any other import of Twisted's (from twisted.internet import asyncioreactor;"
            " asyncioreactor.install()), or use Twisted's counterpart, such as"
            " twisted.internet.task.deferLater for asyncio.sleep"
        )


class SendError(PoolError):
    """
    One message was not accepted, or will not be sent.
    """


class QueueOverflow(SendError):
    """
    The message was dropped from, or refused by, the full message queue.

    @ivar limit: C{message_queue_size}, in messages.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"the message queue is full (message_queue_size={self.limit})"


class BufferFull(SendError):
    """
    The pool holds as many unwritten bytes as it may; the message was not accepted.

    @ivar size: payload bytes of the refused message.
    @ivar buffered: payload bytes the pool held at that moment.
    @ivar limit: C{max_buffered_bytes}.
    """

    def __init__(self, size: int, buffered: int, limit: int) -> None:
        super().__init__(size, buffered, limit)
        self.size = size
        self.buffered = buffered
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"a message of {counted(self.size, 'byte')} does not fit:"
            f" {counted(self.buffered, 'byte')} buffered (max_buffered_bytes={self.limit})"
        )


class SendTimeout(SendError, TimeoutError):
    """
    No connection took the message in time; it will not be sent later.

    @ivar timeout: seconds waited.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.timeout = timeout

    def __str__(self) -> str:
        return f"no connection took the message within {self.timeout:g} s"


class FragmentLost(SendError):
    """
    Earlier fragments of this message went down with their connection, so the rest is void.
    """

    def __str__(self) -> str:
        return "earlier fragments of this message were lost with their connection"


class DeliveryUnknown(SendError):
    """
    A message, or several of them, was written to a connection that was lost before the peer proved
    to have received it: it may have arrived, or not.

    From a confirmed send it is about one message, which was written as often as it may be, or for
    which no connection was left; what prevented another delivery is the C{__cause__}.  From
    C{flush} it is about all messages that this is true of; the C{__cause__} is what ended the
    latest of their connections.

    @ivar messages: how many messages it is about.
    @ivar deliveries: how often each of them was written.
    @ivar data: the payload of the one message, which may be sent again; C{None} from C{flush}.
    @ivar is_binary: whether that is binary or text.
    """

    def __init__(
        self,
        messages: int,
        deliveries: int,
        data: bytes | None = None,
        is_binary: bool = False,
    ) -> None:
        # Not the data: it is the user's, and args end up in logs.
        super().__init__(messages, deliveries)
        self.messages = messages
        self.deliveries = deliveries
        self.data = data
        self.is_binary = is_binary

    def __str__(self) -> str:
        times = "once" if self.deliveries == 1 else f"{self.deliveries} times"
        if self.data is not None:
            messages = f"a message of {counted(len(self.data), 'byte')} was"
        else:
            verb = "was" if self.messages == 1 else "were"
            messages = f"{counted(self.messages, 'message')} {verb}"
        return _with_cause(f"{messages} written {times} and may have arrived, or not", self)


class FlushTimeout(PoolError, TimeoutError):
    """
    Not everything was written and proven to have arrived in time.

    @ivar timeout: seconds waited.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.timeout = timeout

    def __str__(self) -> str:
        return f"not everything was confirmed within {self.timeout:g} s"


class PingTimeout(PoolError, TimeoutError):
    """
    The matching pong did not arrive in time.

    @ivar timeout: seconds waited.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.timeout = timeout

    def __str__(self) -> str:
        return f"no pong within {self.timeout:g} s"


class ConnectionFailed(PoolError):
    """
    An attempt to connect, or an open connection, failed.  The pool goes on trying.

    @ivar url: the server that this is about, without credentials and query string; C{None} before
        the connection has reported it.
    @ivar stage: how far the attempt had come: C{url} or C{headers} (the callables that make them),
        C{name look-up}, C{TCP}, C{TLS}, C{upgrade} or C{on_connect}; on the way to a proxy C{proxy
        name look-up}, C{proxy TCP} and C{proxy}; C{transport} for an endpoint that does not tell
        what it is doing.  C{None} if the connection was open.
    """

    url: str | None = None
    stage: str | None = None

    def _at_stage(self) -> str:
        return "" if self.stage is None else f" (stage: {self.stage})"


class URLFailed(ConnectionFailed):
    """
    The C{url} callable raised, its Deferred failed, or it returned no URL that will do; that error
    is the C{__cause__}.

    @since: 0.2.0
    """

    def __str__(self) -> str:
        # Of a user's error only the type: its text may hold a token.
        return _with_cause(f"the URL could not be had: {type(self.__cause__).__name__}", self)


class HeadersFailed(ConnectionFailed):
    """
    The C{headers} callable raised, its Deferred failed, or it returned no headers; that error is
    the C{__cause__}.
    """

    def __str__(self) -> str:
        # Of a user's error only the type: its text may hold a token.
        return _with_cause(f"the headers could not be had: {type(self.__cause__).__name__}", self)


class TransportFailed(ConnectionFailed):
    """
    No TCP connection to the server, or to the proxy, could be made, possibly because its name could
    not be looked up, as C{stage} tells; the transport's error is the C{__cause__}.

    @ivar reason: that error in words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"no connection could be made{self._at_stage()}: {self.reason}"


class OpenTimeout(ConnectionFailed, TimeoutError):
    """
    The connection was not ready for traffic in time.

    @ivar timeout: C{open_timeout}, in seconds.
    @ivar stage: what it was waiting for, e.g. C{"upgrade"}.
    """

    def __init__(self, timeout: float, stage: str) -> None:
        super().__init__(timeout)
        # Two arguments would be an errno and its text to OSError, which TimeoutError is.
        self.args = (timeout, stage)
        self.timeout = timeout
        self.stage = stage

    def __str__(self) -> str:
        return f"not open within {self.timeout:g} s{self._at_stage()}"


class ProxyRefused(ConnectionFailed):
    """
    The HTTP proxy did not open the tunnel.

    @ivar status: its status code, e.g. 407 when it wants (other) credentials; C{None} when its
        answer was no HTTP response.
    @ivar reason: its reason phrase, or what was wrong with the answer.
    """

    def __init__(self, status: int | None, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        if self.status is None:
            return f"the proxy's answer is no HTTP response: {self.reason}"
        hint = " (it wants credentials)" if self.status == 407 else ""
        return f"the proxy refused the tunnel: {self.status} {self.reason}{hint}"


class UpgradeRejected(ConnectionFailed):
    """
    The server answered the upgrade request with something else than 101.

    @ivar status: the HTTP status code.
    @ivar reason: the reason phrase.
    @ivar retry_after: seconds the server asked to wait (C{Retry-After}), or C{None}.
    @ivar explanation: the beginning of what the body said, if it was text; possibly empty.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        retry_after: float | None = None,
        explanation: str = "",
    ) -> None:
        super().__init__(status, reason, retry_after, explanation)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        self.explanation = explanation

    def __str__(self) -> str:
        said = f"the server rejected the upgrade: {self.status} {self.reason}".rstrip()
        return f"{said}: {self.explanation}" if self.explanation else said


class HandshakeInvalid(ConnectionFailed):
    """
    The server's answer to the upgrade request breaks HTTP or RFC 6455, section 4.

    @ivar reason: what is wrong with it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"not a valid WebSocket handshake: {self.reason}"


class OnConnectFailed(ConnectionFailed):
    """
    The C{on_connect} hook raised, or its Deferred failed; that error is the C{__cause__}.
    """

    def __str__(self) -> str:
        # Only the type: the text of a user's error may hold what the hook was given.
        return _with_cause(f"on_connect failed: {type(self.__cause__).__name__}", self)


class ProtocolViolation(ConnectionFailed):
    """
    The peer broke RFC 6455 on an open connection, or sent more than C{max_message_size}.

    @ivar code: the close code it was sent for that (RFC 6455, section 7.4.1).
    @ivar reason: what it did.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"the peer violated the protocol ({self.code}): {self.reason}"


class HeartbeatTimeout(ConnectionFailed, TimeoutError):
    """
    Nothing at all arrived after a heartbeat ping; the connection was aborted.

    @ivar timeout: C{heartbeat_timeout}, in seconds.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.timeout = timeout

    def __str__(self) -> str:
        return f"nothing arrived within {self.timeout:g} s of a heartbeat ping"


class PongOverdue(ConnectionFailed, TimeoutError):
    """
    The heartbeat is on, and a ping that confirmed messages wait for was not answered, although the
    peer was heard: it talks, and does not read.  The connection was aborted.

    @ivar timeout: C{heartbeat_interval} and C{heartbeat_timeout} together, in seconds.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.timeout = timeout

    def __str__(self) -> str:
        return f"a ping was not answered within {self.timeout:g} s"


class CloseTimeout(ConnectionFailed, TimeoutError):
    """
    The closing handshake, or the drop of the TCP connection after it, took too long; the
    connection was aborted.  If the peer had closed the WebSocket, that is the C{__cause__}.

    @ivar timeout: C{close_timeout}, in seconds.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.timeout = timeout

    def __str__(self) -> str:
        if isinstance(self.__cause__, ConnectionClosed):
            return f"{self.__cause__}, and did not end TCP within {self.timeout:g} s"
        return f"the closing handshake was not over within {self.timeout:g} s"


_ORDERLY = frozenset({1000, 1001, 1005, 1012})  # RFC 6455, section 7.4.1, and IANA's registry


class ConnectionClosed(ConnectionFailed):
    """
    The connection ended with a closing handshake (RFC 6455, section 7).  What waited for something
    on it fails with this, or has it as its C{__cause__}.

    The event C{error} has it only where a connection was closed before it was open: the end of one
    that was open is the event C{close}.

    @ivar code: the code of the Close frame of the side that began; 1005 if it had none.
    @ivar reason: that side's words, in printable ASCII and without secrets; may be empty.
    @ivar by_peer: whether the peer began, and not this side.
    """

    def __init__(self, code: int, reason: str = "", by_peer: bool = True) -> None:
        super().__init__(code, reason, by_peer)
        self.code = code
        self.reason = reason
        self.by_peer = by_peer

    @property
    def orderly(self) -> bool:
        """
        Whether the code is that of a server, or a client, that is through, goes away or restarts.
        All others say that something is wrong with one of them.
        """
        return self.code in _ORDERLY

    def __str__(self) -> str:
        side = "the peer" if self.by_peer else "this side"
        text = f"{side} closed the connection{self._at_stage()}"
        text += " without a code" if self.code == 1005 else f": {self.code}"
        return f'{text} "{self.reason}"' if self.reason else text


class ConnectionDropped(ConnectionFailed):
    """
    The connection ended without a closing handshake, possibly before it was open, as when TLS could
    not be agreed on; the transport's reason is the C{__cause__}.

    @ivar reason: that reason in words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the connection was dropped{self._at_stage()}: {self.reason}"


class GaveUp(ConnectionFailed):
    """
    One connection has failed C{max_reconnect_attempts} times in a row and tries no more; its last
    failure is the C{__cause__}.

    @ivar connection_id: which one.
    @ivar attempts: consecutive failures.
    """

    def __init__(self, connection_id: int, attempts: int) -> None:
        super().__init__(connection_id, attempts)
        self.connection_id = connection_id
        self.attempts = attempts

    def __str__(self) -> str:
        text = f"connection {self.connection_id} gave up after {counted(self.attempts, 'attempt')}"
        return _with_cause(text, self)


def _with_cause(text: str, error: PoolError) -> str:
    """Add the words of a cause that is an error of ours, and so holds no secret."""
    return f"{text}: {error.__cause__}" if isinstance(error.__cause__, PoolError) else text
