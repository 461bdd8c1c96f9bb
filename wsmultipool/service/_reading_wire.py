"""
What clients send, read by the wire: ordinary messages in loops of our own, the rest by Autobahn.

Whatever is not a whole ordinary message goes to Autobahn's parser, octet for octet and frame by
frame.  So there is one place that knows what to do about fragments, control frames and all that a
client may do wrong, and it is not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._client_frames import (
    BINARY,
    FIN,
    frame_size,
    may_be_ordinary,
    read_header,
    read_messages,
)
from ._gathered import GatheredMessage

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from ._relay_roles import Door, Guest
    from .relay_options import RelayOptions

# A frame no longer than this waits in one piece; of a longer one Autobahn gathers the parts.
_LONGEST_WHOLE = 262144
# So that not too many are unmasked in vain if the client is to be read from no more.
_MOST_AT_ONCE = 64
# One client's part of its turn, in seconds; the step that goes beyond is finished.
_SLICE = 0.001
# What a client may hold of a message without being asked how long: about what one read brings.
_FREE = 65536
_MIB = 1024 * 1024


class ReadingWire:
    """
    Mixed into Autobahn's protocol, whose attributes these are where they have no underscore.

    @ivar ordinary_frames: how many frames were read without Autobahn.
    """

    STATE_CLOSED: int
    STATE_CONNECTING: int
    STATE_OPEN: int
    current_frame: Any
    current_frame_masker: Any
    data: bytes
    failedByMe: bool
    inside_message: bool
    state: int
    transport: Any
    _door: Door
    _guest: Guest | None
    _options: RelayOptions
    _reactor: IReactorTime

    def __init__(self) -> None:
        super().__init__()
        # Autobahn's for the message that is being received, which it joins at its end.
        self.message_data: Any = None
        self.ordinary_frames = 0
        # It is read from as long as nothing is in the way: what it has sent, what all others have
        # begun to send, and those who have their turn before it.
        self._reading = True
        self._has_room = True
        self._awaits_turn = False
        self._consuming = False
        self._discarding = False
        # What has arrived and was not read is this, from C{_at} on.
        self._unread = b""
        self._at = 0
        # Bytes of an unfinished message that count.
        self._held = 0

    # Autobahn's

    def processData(self) -> bool:
        return bool(super().processData())  # type: ignore[misc]

    def processHandshake(self) -> None:
        super().processHandshake()  # type: ignore[misc]

    def pause_reading(self) -> None:
        """Read nothing more from the client, and report nothing, until L{resume_reading}."""
        if self._reading:
            self._reading = False
            self._adjust_transport()

    def resume_reading(self) -> None:
        """Undo L{pause_reading}; what was held back is reported first."""
        if self._reading or self.state != self.STATE_OPEN:
            return
        self._reading = True
        self._consume()
        self._adjust_transport()  # who was told of it may have paused again

    def _adjust_transport(self) -> None:
        if self._is_read_from:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()
        if self._held:
            self._limit_time()

    @property
    def _is_read_from(self) -> bool:
        return self._reading and self._has_room and not self._awaits_turn

    def dataReceived(self, data: bytes) -> None:
        if self._discarding:
            return
        if self.state == self.STATE_CONNECTING:
            super()._dataReceived(data)  # type: ignore[misc]
        else:
            self._append(data)
            self._consume()

    def _append(self, data: bytes) -> None:
        rest = self._unread[self._at :]
        self._unread, self._at = rest + data if rest else data, 0

    def consumeData(self) -> None:
        """Autobahn calls this for the handshake, and once more for what is behind it."""
        if self.state == self.STATE_CONNECTING:
            self.processHandshake()
        elif self.state == self.STATE_OPEN:
            behind, self.data = self.data, b""
            self._append(behind)
            self._consume()

    def _consume(self) -> None:
        if self._consuming or self._awaits_turn:
            return
        self._consuming = True
        until: float | None = None
        is_late = False
        try:
            while (
                self._reading
                and self._at < len(self._unread)
                and not is_late
                and self._consume_some()
            ):
                if self._at < len(self._unread):  # mostly one step takes everything
                    now = self._reactor.seconds()
                    until = now + _SLICE if until is None else until
                    is_late = now >= until
        finally:
            self._consuming = False
        held = self.message_data.size if self.inside_message else 0
        if self._at == len(self._unread):
            self._unread, self._at = b"", 0  # it may be large, and clients many
        elif self._reading and not is_late:
            held += len(self._unread) - self._at
        if held > _FREE or self._held:
            self._hold(held if held > _FREE else 0)
        if is_late:
            self._awaits_turn = True
            self._adjust_transport()
            self._door.share.do(self._take_turn)

    def _take_turn(self) -> None:
        self._awaits_turn = False
        self._consume()
        self._adjust_transport()

    def _consume_some(self) -> bool:
        """
        Take one step: a batch of messages, or one other frame, or as much of it as is there.

        @return: whether there may be another step to take.
        """
        if self.failedByMe or self.state == self.STATE_CLOSED:
            self._discard()
            return False
        if self.state != self.STATE_OPEN or self.inside_message or self.current_frame is not None:
            return self._have_autobahn_parse()
        data, begin = self._unread, self._at
        payloads, at = read_messages(data, begin, self._options.max_message_size, _MOST_AT_ONCE)
        if not payloads:
            return not self._may_wait_for_more() and self._have_autobahn_parse()
        assert self._guest is not None
        self._at = at
        taken = self._guest.receive(payloads, data[begin] == FIN | BINARY)
        self.ordinary_frames += taken
        for payload in payloads[taken:]:
            self._at -= frame_size(len(payload))
        return True

    def _may_wait_for_more(self) -> bool:
        """Whether an ordinary frame, and not too long a one, is there in part."""
        header = read_header(self._unread, self._at)
        if header is None:
            return may_be_ordinary(self._unread, self._at)
        is_whole = len(self._unread) - self._at >= header.size
        return header.is_ordinary and not is_whole and header.size <= _LONGEST_WHOLE

    def _have_autobahn_parse(self) -> bool:
        """
        Have Autobahn parse the rest of the frame that it is in, or else the next one; it must not
        see more, as what follows may be ordinary.
        """
        data, at = self._unread, self._at
        frame = self.current_frame
        if frame is not None:
            end = at + frame.length - self.current_frame_masker.pointer()
        else:
            header = read_header(data, at)
            end = len(data) if header is None else at + header.size
        self.data = data[at:end]
        self._at = min(end, len(data))
        try:
            while self.processData() and self.state != self.STATE_CLOSED:
                pass
        except Exception as error:
            # A flaw in Autobahn's parser, which the client has found.
            self._fail(f"its octets upset the parser: {type(error).__name__}")
        rest, self.data = self.data, b""
        self._at -= len(rest)  # a header of which a part is missing
        return not rest

    def onMessageBegin(self, isBinary: bool) -> None:
        super().onMessageBegin(isBinary)  # type: ignore[misc]
        self.message_data = GatheredMessage()

    def onMessageFrameData(self, payload: bytes) -> None:
        if self.state == self.STATE_OPEN:  # else nobody will be told of the message
            self.message_data.add(payload)

    def onMessageFrame(self, payload: object) -> None:
        """Autobahn would add the frame as a whole, of which all parts were."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        assert self._guest is not None
        if self.state == self.STATE_OPEN:
            # It was being read, so it takes this one, and only what follows may have to wait.
            self._guest.receive([payload], isBinary)

    # Unfinished messages

    def _hold(self, size: int) -> None:
        """Hold so many bytes of an unfinished message; it has some time for each further MiB."""
        is_next = not self._held or size // _MIB != self._held // _MIB
        self._held = size
        if not size or is_next:
            self._limit_time()
        self._door.unfinished.hold(self, size)

    def _let_go(self) -> None:
        """Forget an unfinished message."""
        if self.message_data is not None:
            self.message_data.clear()
        if self._held:
            self._hold(0)

    def wait_for_room(self) -> None:
        """Others have begun to send so much that nothing more can be read."""
        self._has_room = False
        self._adjust_transport()

    def go_on(self) -> None:
        """There is room again."""
        self._has_room = True
        self._adjust_transport()

    def _limit_time(self) -> None:
        """Have it finish in time what it holds, or go on with it; time without reading is free."""
        if self.state != self.STATE_OPEN:
            return
        if self._held and self._is_read_from:
            self._set_deadline(self._options.unfinished_timeout, self._not_finished)
        else:
            self._cancel_deadline()

    def _not_finished(self) -> None:
        assert self._guest is not None
        self._guest.did_not_finish()

    # What a wire does about what it has read

    def _set_deadline(self, seconds: float, call: Any) -> None:
        raise NotImplementedError

    def _cancel_deadline(self) -> None:
        raise NotImplementedError

    def _fail(self, text: str) -> None:
        raise NotImplementedError

    def _discard(self) -> None:
        raise NotImplementedError
