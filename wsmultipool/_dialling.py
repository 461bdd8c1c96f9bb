"""
Getting a transport for a WebSocket: first its URL and the headers, which may come from user
code; then the endpoint's answer.

Either may take its time, fail, or answer when nobody wants to know any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred
from twisted.python.failure import Failure

from ._attempt import Attempt, OneProtocol
from ._pass_on import pass_on
from ._quotes import quote, secrets_of
from ._reasons import in_words
from ._request import failed
from ._stages import HEADERS, TRANSPORT, UPGRADE, URL, stage_of
from ._urls import ProxyOptions
from .errors import ConnectionFailed, HeadersFailed, TransportFailed, URLFailed

if TYPE_CHECKING:
    from ._connection import PooledConnection
    from ._owner import LifecycleOwner
    from .handshake import UpgradeRequest
    from .interfaces import IWebSocketWire
    from .options import ServerURL

_T = TypeVar("_T")


class Dialling(Attempt):
    """
    One attempt to connect, until there is a transport; what follows is told by the wire.

    @param attached: called with the wire that has got a transport, if that is still wanted.
    @param failed: called, instead, with why there is none.
    @ivar request: the upgrade request, as soon as its headers are known.
    """

    request: UpgradeRequest

    def __init__(
        self,
        url: ServerURL,
        connection: PooledConnection,
        owner: LifecycleOwner,
        attached: Callable[[IWebSocketWire], None],
        failed: Callable[[ConnectionFailed], None],
    ) -> None:
        super().__init__()
        self._stage = URL
        self._at: object = None
        self._url = url
        self._connection = connection
        self._owner = owner
        self._attached = attached
        self._failed = failed
        self._has_wire = False

    @property
    def stage(self) -> str:
        """What it is doing, or was when it failed; see L{wsmultipool._stages}."""
        return stage_of(self._at, self._stage)

    def reached(self, stage: str, at: object = None) -> None:
        """
        A stage begins.

        @param at: what knows more exactly, if it has a C{stage}.
        """
        self._stage, self._at = stage, at

    def begin(self) -> None:
        """Begin, which may call back at once."""
        url = self._ask(self._owner.build_url, self._url, URLFailed)
        request = url.addCallback(self._build_request)
        self.wait(request.addCallback(self._dial), self._dialled, self._not_dialled)

    def _build_request(self, url: ServerURL) -> Deferred[UpgradeRequest]:
        if not self.wanted:
            return fail(CancelledError())
        self.reached(HEADERS)
        return self._ask(self._owner.build_request, url, HeadersFailed)

    def _ask(
        self,
        build: Callable[[ServerURL, PooledConnection], Deferred[_T]],
        url: ServerURL,
        kind: type[ConnectionFailed],
    ) -> Deferred[_T]:
        try:
            return build(url, self._connection)
        except BaseException as raised:
            pass_on(self._owner.reactor, raised)
            return failed(Failure(raised), kind)

    def _dial(self, request: UpgradeRequest) -> Deferred[object]:
        if not self.wanted:
            return fail(CancelledError())
        self.request = request
        owner = self._owner
        wire = owner.ws_factory.build_protocol(request, owner.options)
        endpoint = owner.ws_factory.build_endpoint(owner.reactor, request.url, owner.options)
        self.reached(TRANSPORT, endpoint)
        return maybeDeferred(endpoint.connect, OneProtocol(wire, self._attach))

    def _attach(self, wire: IWebSocketWire) -> bool:
        """
        The transport of C{wire} is there.

        @return: whether it is still wanted.
        """
        if not self.wanted or self._has_wire:
            return False
        self._has_wire = True
        self.reached(UPGRADE, wire)
        self._attached(wire)
        return True

    def quote(self, words: str) -> str:
        """
        @param words: of the peer that was asked for this attempt's WebSocket.
        @return: them as errors and logs may show them.
        """
        proxy = self._owner.options.ws_options.proxy
        credentials = None if proxy is None else ProxyOptions.of(proxy).credentials
        return quote(words, secrets_of(self.request, credentials))

    def _dialled(self) -> None:
        # What follows is told by the wire, and may have been told already.
        if not self._has_wire:
            self._not_dialled(TransportFailed("the endpoint made no connection"))

    def _not_dialled(self, error: BaseException) -> None:
        """
        The headers, or the transport, could not be had.
        """
        if not isinstance(error, ConnectionFailed):
            described = TransportFailed(in_words(error))
            described.__cause__ = error
            error = described
        self._failed(error)
