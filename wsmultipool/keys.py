"""
Keys that say more than which messages belong together.
"""

from __future__ import annotations

__all__ = ["PinnedKey"]


class PinnedKey:
    """
    A key for C{send} that stays with one connection until that one is lost::

        key = PinnedKey()
        pool.send("subscribe", key=key)

    Other keys move when a connection opens that suits them better, so that load spreads; then the
    answer to what was sent before comes on a connection that the key has left.  Messages of a
    pinned key, and the answers to them, are on the same connection for as long as it is open.
    L{wsmultipool.ReconnectingPoolFactory.connection_of} tells which.

    Each is equal to itself only.  A pool does not keep it: once the program has let go of it, it
    costs nothing any more.

    @since: 0.1.0
    """

    __slots__ = ("__weakref__",)
