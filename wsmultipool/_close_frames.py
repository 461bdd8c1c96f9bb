"""
The peer's Close frame, on either side of a WebSocket (RFC 6455, sections 5.5.1 and 7.4).

Autobahn knows which codes and reasons are valid, and takes a connection for closed in good order
even if they are not; it answers every Close frame with 1000; and it remembers of a violation only
what it has sent for it, which is nothing if this side had been closing already.
"""

from __future__ import annotations

from typing import Any

_NORMAL = 1000
_BAD_GATEWAY = 1014  # registered after RFC 6455
_CODE_IN_PART = 1


class CloseFrames:
    """
    Mixed into Autobahn's protocols, whose attributes these are where nothing else is said.

    @ivar peer_has_closed: ours: whether the peer's Close frame has arrived.
    @ivar violation: ours: what the peer did wrong first, and the close code for that.
    """

    current_frame: Any
    remoteCloseCode: int | None
    wasClean: bool

    peer_has_closed = False
    violation: tuple[int, str] | None = None
    _answer = _NORMAL

    def _fail_connection(self, code: int = 1001, reason: str = "going away") -> None:
        if self.violation is None:
            self.violation = (code, reason)
        super()._fail_connection(code, reason)  # type: ignore[misc]

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """Send a Close frame; one that answers the peer's has the peer's code."""
        code = self._answer if isReply else code
        super().sendCloseFrame(code, reasonUtf8, isReply)  # type: ignore[misc]

    def onCloseFrame(self, code: Any, reasonRaw: Any) -> bool | None:
        """
        The peer's Close frame arrived, valid or not.
        """
        self._answer = _NORMAL if code is None else code
        before = self.violation
        # Autobahn does not know this code, which may come as well as the others.
        known = _NORMAL if code == _BAD_GATEWAY else code
        dropped: bool | None = super().onCloseFrame(known, reasonRaw)  # type: ignore[misc]
        if code == _BAD_GATEWAY:
            self.remoteCloseCode = code
        if self.violation is not before or self.current_frame.length == _CODE_IN_PART:
            self.wasClean = False
        self.peer_has_closed = True
        return dropped
