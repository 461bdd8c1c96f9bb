"""
Tests for L{wsmultipool._name_lookup}: one look-up of a name at a time, shared by all who ask.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from errno import EMFILE
from typing import Any, cast

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from wsmultipool._name_lookup import AddressInfo, NameLookups, system_lookups

ADDRESS: AddressInfo = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))


class Reactor:
    """
    Does later what threads want done.

    @ivar ended: whether it does nothing for anybody any more.
    """

    def __init__(self) -> None:
        self.ended = False
        self._calls: list[Callable[[], None]] = []

    def callFromThread(self, function: Callable[..., None], *arguments: Any) -> None:
        if self.ended:
            raise RuntimeError("the loop is closed")
        self._calls.append(lambda: function(*arguments))

    def turn(self) -> None:
        """Do it."""
        calls, self._calls = self._calls, []
        for call in calls:
            call()


class Resolver:
    """
    Answers when a test wants it to.

    @ivar asked: the names, in the order of the look-ups.
    @ivar threads: what was begun in a thread.
    @ivar now: the time.
    """

    def __init__(self, answer: list[AddressInfo] | Exception | None = None) -> None:
        self.asked: list[str] = []
        self.threads: list[Callable[[], None]] = []
        self.now = 1000.0
        self.answer = [ADDRESS] if answer is None else answer
        self.reactor = Reactor()
        self.lookups = NameLookups(self._ask, self.threads.append, lambda: self.now)

    def _ask(self, name: str) -> list[AddressInfo]:
        self.asked.append(name)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def look_up(self, name: str = "feed.example", reactor: Reactor | None = None) -> list[Any]:
        """
        Ask for a name.

        @return: the outcome, as soon as there is one; and before it, the Deferred.
        """
        asking = self.lookups.look_up(cast(IReactorFromThreads, reactor or self.reactor), name)
        outcome: list[Any] = []
        asking.addBoth(outcome.append)
        outcome[:0] = [asking]
        return outcome

    def finish(self) -> None:
        """The threads come to their end."""
        threads, self.threads[:] = self.threads[:], []
        for thread in threads:
            thread()

    def finish_and_tell(self) -> None:
        """And the reactor tells."""
        self.finish()
        self.reactor.turn()


def error_of(outcome: list[Any]) -> BaseException:
    """
    Return what an outcome has failed with.
    """
    failure = outcome[1]
    assert isinstance(failure, Failure)
    return cast(BaseException, failure.value)


def cancel(outcome: list[Any]) -> None:
    """
    Wait no longer.
    """
    asking = outcome[0]
    assert isinstance(asking, Deferred)
    asking.cancel()
    assert isinstance(error_of(outcome), CancelledError)


def test_an_answer_is_told_in_the_thread_of_the_reactor() -> None:
    """The thread of a look-up touches nothing; the reactor's does."""
    resolver = Resolver()
    outcome = resolver.look_up()
    resolver.finish()
    assert outcome[1:] == []
    resolver.reactor.turn()
    assert outcome[1:] == [[ADDRESS]]


def test_a_name_has_one_lookup_at_a_time() -> None:
    """However many connections wait for a name, one thread asks, and all get its answer."""
    resolver = Resolver()
    outcomes = [resolver.look_up() for _ in range(10)]
    assert len(resolver.threads) == 1
    resolver.finish_and_tell()
    assert resolver.asked == ["feed.example"]
    assert [outcome[1:] for outcome in outcomes] == [[[ADDRESS]]] * 10


def test_each_name_has_a_lookup_of_its_own() -> None:
    """A name server that does not answer for one name keeps no other name waiting."""
    resolver = Resolver()
    stuck, other = resolver.look_up("stuck.example"), resolver.look_up("other.example")
    assert len(resolver.threads) == 2
    resolver.threads.pop()()
    resolver.reactor.turn()
    assert (stuck[1:], other[1:]) == ([], [[ADDRESS]])
    resolver.finish_and_tell()


def test_a_failure_is_shared_as_an_answer_is() -> None:
    """All who wait hear that there is no such name; the next one to ask has it asked again."""
    resolver = Resolver(DNSLookupError("feed.example: no such name"))
    outcomes = [resolver.look_up(), resolver.look_up()]
    resolver.finish_and_tell()
    assert [type(error_of(outcome)) for outcome in outcomes] == [DNSLookupError] * 2
    resolver.answer = [ADDRESS]
    again = resolver.look_up()
    resolver.finish_and_tell()
    assert again[1:] == [[ADDRESS]]


def test_an_answer_that_was_told_is_not_kept() -> None:
    """Addresses change: whoever asks later is told what is true then."""
    resolver = Resolver()
    resolver.look_up()
    resolver.finish_and_tell()
    resolver.look_up()
    resolver.finish_and_tell()
    assert resolver.asked == ["feed.example"] * 2


def test_who_gives_up_does_not_disturb_the_others() -> None:
    """A connection that stops waiting for a name takes nothing from those that go on."""
    resolver = Resolver()
    first, second = resolver.look_up(), resolver.look_up()
    cancel(first)
    resolver.finish_and_tell()
    assert second[1:] == [[ADDRESS]]
    assert len(first) == 2


def test_attempts_that_give_up_do_not_pile_up_lookups() -> None:
    """While one look-up hangs, attempts come and go, and there is still that one thread."""
    resolver = Resolver()
    for _ in range(20):
        cancel(resolver.look_up())
    assert len(resolver.threads) == 1
    last = resolver.look_up()
    resolver.finish_and_tell()
    assert last[1:] == [[ADDRESS]]


def test_an_answer_that_came_too_late_serves_the_next_attempt() -> None:
    """A name server that is slower than open_timeout is of use all the same, for a while."""
    resolver = Resolver()
    cancel(resolver.look_up())
    resolver.finish_and_tell()
    resolver.now += 29
    assert resolver.look_up()[1:] == [[ADDRESS]]
    resolver.now += 2
    assert resolver.look_up()[1:] == []
    resolver.finish_and_tell()
    assert resolver.asked == ["feed.example"] * 2


def test_a_failure_that_came_too_late_is_forgotten() -> None:
    """That a name was not found before is no reason not to look for it now."""
    resolver = Resolver(DNSLookupError("feed.example: try again"))
    cancel(resolver.look_up())
    resolver.finish_and_tell()
    outcome = resolver.look_up()
    assert outcome[1:] == []
    resolver.finish_and_tell()


def test_who_gives_up_at_the_last_moment_hears_nothing() -> None:
    """The answer may be on its way to the reactor already."""
    resolver = Resolver()
    outcome = resolver.look_up()
    resolver.finish()
    cancel(outcome)
    resolver.reactor.turn()
    assert len(outcome) == 2


def test_reactors_share_a_lookup() -> None:
    """Each is told in its own thread; one that has ended meanwhile keeps none from being told."""
    resolver, ended, other = Resolver(), Reactor(), Reactor()
    outcomes = [resolver.look_up(reactor=ended), resolver.look_up(reactor=other)]
    ended.ended = True
    resolver.finish()
    other.turn()
    assert [outcome[1:] for outcome in outcomes] == [[], [[ADDRESS]]]


def test_a_thread_that_cannot_be_started_fails_the_lookup() -> None:
    """A process at its limit of threads gets an error for it, and a new chance the next time."""
    resolver = Resolver()

    def refuse(function: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    resolver.lookups = NameLookups(lambda name: [ADDRESS], refuse, lambda: 0.0)
    for _ in range(2):
        outcome = resolver.look_up()
        resolver.reactor.turn()
        assert str(error_of(outcome)) == "can't start new thread"


def test_a_child_process_begins_anew() -> None:
    """After a fork there are no threads of the parent that could ever end its look-ups."""
    resolver = Resolver()
    resolver.look_up()
    resolver.lookups.forget()
    outcome = resolver.look_up()
    assert len(resolver.threads) == 2
    resolver.threads.pop()()
    resolver.reactor.turn()
    assert outcome[1:] == [[ADDRESS]]


# The system's resolver, with the library function replaced: nothing leaves this machine.


class SystemReactor(Reactor):
    """Takes one call from a thread, and waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._called = threading.Event()

    def callFromThread(self, function: Callable[..., None], *arguments: Any) -> None:
        super().callFromThread(function, *arguments)
        self._called.set()

    def wait(self) -> None:
        assert self._called.wait(30)
        self.turn()


def ask_the_system(name: str, monkeypatch: pytest.MonkeyPatch, answer: Any) -> Any:
    """
    Look a name up as pools do, with an answer, or an exception, of the system.
    """
    threads: list[threading.Thread] = []

    def getaddrinfo(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        assert arguments == (name, 0, socket.AF_UNSPEC, socket.SOCK_STREAM)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    reactor = SystemReactor()
    outcome: list[Any] = []
    system_lookups.look_up(cast(IReactorFromThreads, reactor), name).addBoth(outcome.append)
    reactor.wait()
    [thread] = threads
    assert thread.daemon
    assert thread is not threading.current_thread()
    [result] = outcome
    return result


def test_the_system_is_asked_in_a_daemon_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a thread keeps no process from ending."""
    assert ask_the_system("feed.example", monkeypatch, [ADDRESS]) == [ADDRESS]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "feed.example: Name or service not known",
        ),
        (UnicodeError("label too long"), "feed.example: not a valid host name"),
    ],
)
def test_a_name_that_is_not_found_is_told_with_the_systems_words(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which name, and whether there is no such name or no name server."""
    failure = ask_the_system("feed.example", monkeypatch, error)
    assert failure.check(DNSLookupError)
    assert words in str(failure.value)
    assert failure.value.__cause__ is error


def test_exhausted_descriptors_in_a_lookup_are_told_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A resolver that could open nothing says "not found"; the error says what it lacked."""

    def no_more() -> None:
        raise OSError(EMFILE, os.strerror(EMFILE))

    monkeypatch.setattr(socket, "socket", no_more)
    error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    failure = ask_the_system("feed.example", monkeypatch, error)
    assert failure.check(OSError)
    assert failure.value.errno == EMFILE


def test_another_trouble_with_sockets_does_not_hide_what_the_resolver_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only exhausted descriptors explain a name that was not found."""

    def forbidden() -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "socket", forbidden)
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    failure = ask_the_system("feed.example", monkeypatch, error)
    assert failure.check(DNSLookupError)
