"""
The Deferred of a message that is to be confirmed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy_deferred import LazyDeferred

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from .messages import Message


class Confirmation(LazyDeferred[int]):
    """
    Fires with the id of the connection on which the peer has received the message.

    @ivar message: what there is to withdraw when this is cancelled: nothing, as long as the message
        is a L{wsmultipool.messages.PlainMessage} that some connection has, and after the end.
    """

    message: Message | None = None

    def callback(self, result: int | Failure) -> None:
        self.message = None  # with its payload, which a caller who keeps this need not keep
        super().callback(result)

    def errback(self, fail: Failure | BaseException | None = None) -> None:
        self.message = None
        super().errback(fail)

    def cancel(self) -> None:
        if self.message is not None and not self.called:
            self.message.cancel(self)
        super().cancel()
