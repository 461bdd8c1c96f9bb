"""
TLS with the server, by options that may change while the pool is open.

@since: 0.1.0
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .. import WebSocketFactory

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

    from ..options import PoolOptions, ServerURL, TLSOptions, WebSocketOptions

__all__ = ["LatestTLS"]


class LatestTLS(WebSocketFactory):
    """
    Makes the endpoint of each attempt to connect with the TLS options of that moment.

    @since: 0.1.0
    """

    def __init__(self) -> None:
        super().__init__()
        self._latest: WebSocketOptions | None = None

    def use(self, present: WebSocketOptions, tls: TLSOptions | None) -> None:
        """
        Have other TLS options from now on.

        @param present: the options of the pool's WebSockets.
        @param tls: what replaces those in there.
        @since: 0.1.0
        """
        # Made once, as they keep what is made of the certificates.
        self._latest = replace(present, tls=tls)

    def build_endpoint(
        self, reactor: IReactorTime, url: ServerURL, options: PoolOptions
    ) -> IStreamClientEndpoint:
        """
        @since: 0.1.0
        """
        if self._latest is not None:
            options = replace(options, ws_options=self._latest)
        return super().build_endpoint(reactor, url, options)
