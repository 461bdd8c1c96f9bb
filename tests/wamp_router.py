"""
A WAMP router in memory: as much of one as the tests need, for Autobahn's own sessions.

Every message passes through a real serializer in both directions.  Nothing waits for time: a
message is delivered as soon as the one before it was dealt with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from autobahn.wamp import message, role
from autobahn.wamp.serializer import create_transport_serializer
from autobahn.wamp.types import ComponentConfig
from twisted.internet.defer import Deferred

from wsmultipool.wamp._sessions import ComponentSession

_ROLES = {
    "broker": role.RoleBrokerFeatures(),
    "dealer": role.RoleDealerFeatures(call_canceling=True),
}


class Link:
    """
    One session's transport, as Autobahn wants it, with the router at its other end.

    @ivar session: whose it is.
    """

    transport_details = None

    def __init__(self, router: MemoryRouter, session: Any) -> None:
        self.router = router
        self.session = session
        self.is_closed: Deferred[None] = Deferred()
        self.open = True
        self._serializer = router.serializer

    def send(self, msg: Any) -> None:
        """Take a message of the session."""
        octets, is_binary = self._serializer.serialize(msg)
        (received,) = self._serializer.unserialize(octets, is_binary)
        self.router.later(lambda: self.router.received(self, received))

    def deliver(self, msg: Any) -> None:
        """Give a message to the session."""
        octets, is_binary = self._serializer.serialize(msg)
        (received,) = self._serializer.unserialize(octets, is_binary)
        if self.open:
            self.session.onMessage(received)

    def isOpen(self) -> bool:
        return self.open

    def close(self) -> None:
        self.router.lose(self, clean=True)

    def abort(self) -> None:
        self.router.lose(self)


class MemoryRouter:
    """
    One realm.

    @ivar published: topic and arguments of everything that was published.
    @ivar refused: what is refused: the URI of the error, by procedure or topic.
    @ivar abort: the reason to let no session in; C{None} to let all in.
    @ivar holding: messages of these classes are kept until L{release}.
    @ivar registered: C{(procedure, invoke, concurrency)} of every registration ever made.
    """

    def __init__(self, serializer: str = "cbor") -> None:
        self.serializer = create_transport_serializer(serializer)
        self.published: list[tuple[Any, ...]] = []
        self.refused: dict[str, str] = {}
        self.holding: tuple[type[Any], ...] = ()
        self.abort: str | None = None
        self.registered: list[tuple[str, str, int | None]] = []
        self._held: list[tuple[Link, Any]] = []
        self._work: deque[Callable[[], object]] = deque()
        self._working = False
        self._number = 100
        self._procedures: dict[str, list[tuple[Link, int]]] = {}
        self._topics: dict[str, list[tuple[Link, int]]] = {}
        self._calls: dict[int, tuple[Link, int, Link, int]] = {}

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def later(self, work: Callable[[], object]) -> None:
        """Do this when what is being done is done."""
        self._work.append(work)
        if self._working:
            return
        self._working = True
        while self._work:
            self._work.popleft()()
        self._working = False

    def join(self, session: Any = None) -> Any:
        """Let a session in; without one, a new one that is only there to call and subscribe."""
        if session is None:
            session = ComponentSession(ComponentConfig("realm1", {}))
        self.later(lambda: session.onOpen(Link(self, session)))
        return session

    def lose(self, link: Link, clean: bool = False) -> None:
        """End a transport."""
        if not link.open:
            return
        link.open = False
        for callees in [*self._procedures.values(), *self._topics.values()]:
            callees[:] = [entry for entry in callees if entry[0] is not link]
        for number, (caller, request, callee, _) in list(self._calls.items()):
            if callee is link:
                del self._calls[number]
                self.reply(caller, self.error(48, request, "wamp.error.canceled"))
            elif caller is link:
                del self._calls[number]
                self.reply(callee, message.Interrupt(number, message.Interrupt.KILLNOWAIT))
        self.later(lambda: link.session.onClose(clean))

    def say_goodbye(self, session: Any, reason: str) -> None:
        """End a session politely."""
        self.reply(session._transport, message.Goodbye(reason))

    def release(self) -> None:
        """Deal with what was held, and hold no more."""
        self.holding = ()
        held, self._held = self._held, []

        def deal() -> None:
            for link, msg in held:
                self.received(link, msg)

        self.later(deal)

    def offers(self, procedure: str) -> int:
        """How many sessions offer a procedure now."""
        return len(self._procedures.get(procedure, []))

    def reply(self, link: Link, msg: Any) -> None:
        self.later(lambda: link.deliver(msg))

    def error(self, kind: int, request: int, uri: str, args: Any = None, kwargs: Any = None) -> Any:
        return message.Error(kind, request, uri, args=args, kwargs=kwargs)

    def received(self, link: Link, msg: Any) -> None:
        """Deal with a message."""
        if not link.open:
            return
        if isinstance(msg, self.holding):
            self._held.append((link, msg))
            return
        getattr(self, f"_{type(msg).__name__.lower()}")(link, msg)

    def _hello(self, link: Link, msg: Any) -> None:
        if self.abort is not None:
            self.reply(link, message.Abort(self.abort))
            return
        self.reply(link, message.Welcome(self.next_number(), _ROLES, realm=msg.realm))

    def _goodbye(self, link: Link, msg: Any) -> None:
        if msg.reason == "wamp.close.goodbye_and_out":
            return
        self.reply(link, message.Goodbye("wamp.close.goodbye_and_out"))

    def _register(self, link: Link, msg: Any) -> None:
        if msg.procedure in self.refused:
            uri = self.refused[msg.procedure]
            self.reply(link, self.error(64, msg.request, uri))
            return
        number = self.next_number()
        self.registered.append((msg.procedure, msg.invoke, msg.concurrency))
        self._procedures.setdefault(msg.procedure, []).append((link, number))
        self.reply(link, message.Registered(msg.request, number))

    def _unregister(self, link: Link, msg: Any) -> None:
        for callees in self._procedures.values():
            callees[:] = [entry for entry in callees if entry[1] != msg.registration]
        self.reply(link, message.Unregistered(msg.request))

    def _subscribe(self, link: Link, msg: Any) -> None:
        number = self.next_number()
        self._topics.setdefault(msg.topic, []).append((link, number))
        self.reply(link, message.Subscribed(msg.request, number))

    def _publish(self, link: Link, msg: Any) -> None:
        if msg.topic in self.refused:
            self.reply(link, self.error(16, msg.request, self.refused[msg.topic]))
            return
        self.published.append((msg.topic, *(msg.args or ())))
        for subscriber, number in self._topics.get(msg.topic, []):
            self.reply(subscriber, message.Event(number, self.next_number(), args=msg.args))
        if msg.acknowledge:
            self.reply(link, message.Published(msg.request, self.next_number()))

    def _call(self, link: Link, msg: Any) -> None:
        callees = self._procedures.get(msg.procedure)
        if msg.procedure in self.refused or not callees:
            uri = self.refused.get(msg.procedure, "wamp.error.no_such_procedure")
            self.reply(link, self.error(48, msg.request, uri))
            return
        callee, registration = callees.pop(0)
        callees.append((callee, registration))
        number = self.next_number()
        self._calls[number] = (link, msg.request, callee, registration)
        self.reply(
            callee, message.Invocation(number, registration, args=msg.args, kwargs=msg.kwargs)
        )

    def _yield(self, link: Link, msg: Any) -> None:
        if msg.request in self._calls:
            caller, request, _, _ = self._calls.pop(msg.request)
            self.reply(caller, message.Result(request, args=msg.args, kwargs=msg.kwargs))

    def _error(self, link: Link, msg: Any) -> None:
        if msg.request in self._calls:
            caller, request, _, _ = self._calls.pop(msg.request)
            self.reply(caller, self.error(48, request, msg.error, msg.args, msg.kwargs))

    def _cancel(self, link: Link, msg: Any) -> None:
        for number, (caller, request, callee, _) in list(self._calls.items()):
            if caller is link and request == msg.request:
                del self._calls[number]
                self.reply(callee, message.Interrupt(number))
                self.reply(caller, self.error(48, request, "wamp.error.canceled"))
