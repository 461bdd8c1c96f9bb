"""
Autobahn's parser, put right where it says other things than the RFCs, or keeps what nobody wants.

It goes on after a violation, in search of the peer's Close frame, and after that frame as well.
What arrives then is not looked at any more, and not kept.
"""

from __future__ import annotations

import zlib
from typing import Any

from autobahn.twisted.websocket import WebSocketClientProtocol

from ._close_frames import CloseFrames

_FIRST_CONTROL_OPCODE = 0x8  # RFC 6455, section 5.2
_CLOSE = 0x8
_LONGEST_CONTROL_PAYLOAD = 125  # section 5.5

# Shorter parts of a message are gathered: a C{bytes} takes some 40 octets besides its own.
_LEAST_BY_ITSELF = 1024


class ParsingProtocol(CloseFrames, WebSocketClientProtocol):  # type: ignore[misc]
    """
    Parses frames, all of them.
    """

    # Autobahn does not say more of these, or too much.
    current_frame: Any
    message_data: Any
    _isMessageCompressed: bool

    def processData(self) -> bool:
        if self.peer_has_closed:  # what follows is discarded (RFC 6455, section 1.4)
            self.data = b""
            return False
        return bool(super().processData())

    # Frames

    def _is_unwanted(self) -> bool:
        """Whether nobody wants the frame that is being parsed; a Close frame is always wanted."""
        frame = self.current_frame
        is_close = frame.opcode == _CLOSE and frame.length <= _LONGEST_CONTROL_PAYLOAD
        return self.failedByMe and not is_close

    def onFrameData(self, payload: bytes) -> None:
        if self._is_unwanted():
            return
        if self.current_frame.opcode < _FIRST_CONTROL_OPCODE and self._isMessageCompressed:
            # Autobahn will subtract it, as the length of the frame had been added.
            self.message_data_total_length += len(payload)
        # Autobahn returns False if the message is refused, and would not come to the frame's end.
        try:
            super().onFrameData(payload)
        except zlib.error as error:
            self._refuse_compressed(error)

    def onFrameEnd(self) -> None:
        if not self._is_unwanted():
            try:
                super().onFrameEnd()
            except zlib.error as error:
                self._refuse_compressed(error)
        frame = self.current_frame
        if frame is not None:  # Autobahn has not seen its end
            if frame.opcode < _FIRST_CONTROL_OPCODE:
                self.inside_message = not frame.fin
            self.current_frame = None

    def _refuse_compressed(self, error: zlib.error) -> None:
        self._invalid_payload(f"received WebSocket message cannot be decompressed: {error}")

    # Messages

    def onMessageFrameBegin(self, length: int) -> None:
        # What counts is how long a message is when it has been decompressed.
        super().onMessageFrameBegin(0 if self._isMessageCompressed else length)

    def onMessageFrameData(self, payload: bytes) -> None:
        parts = self.message_data
        if len(payload) >= _LEAST_BY_ITSELF:
            parts.append(payload)
            return
        if not parts or not isinstance(parts[-1], bytearray):
            parts.append(bytearray())
        parts[-1] += payload
