"""
Reads cut into small pieces, between the transport and the WebSocket on it.

TCP may deliver a stream in pieces of any size, and a parser has to cope; over loopback it hardly
ever does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IAddress

# Of each read that is not cut wholly, this much at both ends is.
EDGE = 64


class Cut:
    """
    How reads are cut, and how many pieces came of it.

    @ivar size: octets per piece; 0 leaves reads whole.
    @ivar limit: how many octets of a connection are cut wholly; C{None} for all.  Of later reads
        only the ends are cut: a call for each octet of 16 MiB takes a minute.
    @ivar pieces: the pieces delivered so far.
    """

    def __init__(self, size: int, limit: int | None = None) -> None:
        self.size = size
        self.limit = limit
        self.pieces = 0

    def apply(self, data: bytes, before: int) -> Iterator[bytes]:
        """
        Return the pieces of one read, in order.

        @param before: how many octets of the connection came before it.
        """
        length = len(data)
        if not self.size:
            bounds = [0, length]
        elif self.limit is None or before + length <= self.limit or length <= 2 * EDGE:
            bounds = [*range(0, length, self.size), length]
        else:
            head = max(self.limit - before, EDGE)
            tail = max(length - EDGE, head)
            bounds = [*range(0, head, self.size), head, *range(tail, length, self.size), length]
        for start, end in pairwise(bounds):
            if start < end:
                self.pieces += 1
                yield data[start:end]


class _CutConnection(ProtocolWrapper):
    """
    Between one transport and the protocol on it.
    """

    _received = 0
    _aborted = False

    def abortConnection(self) -> None:
        self._aborted = True
        cast(Any, self.transport).abortConnection()

    def dataReceived(self, data: bytes) -> None:
        assert isinstance(self.factory, _CuttingFactory)
        for piece in self.factory.cut.apply(data, self._received):
            # A transport that was aborted delivers nothing more, not even what it has read.
            if self._aborted:
                return
            self._received += len(piece)
            assert self.wrappedProtocol is not None
            self.wrappedProtocol.dataReceived(piece)


class _CuttingFactory(WrappingFactory):
    protocol = _CutConnection
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, cut: Cut) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.cut = cut

    def buildProtocol(self, addr: IAddress | None) -> _CutConnection | None:  # type: ignore[override]
        wire = self.wrappedFactory.buildProtocol(addr)
        # None if the pool has changed its mind.
        return None if wire is None else _CutConnection(self, wire)  # type: ignore[arg-type]


@implementer(IStreamClientEndpoint)
class CuttingEndpoint:
    """
    Connects as another endpoint does, and cuts what is read.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, cut: Cut) -> None:
        self._endpoint = endpoint
        self._cut = cut

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return self._endpoint.connect(_CuttingFactory(protocolFactory, self._cut))
