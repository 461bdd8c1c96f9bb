"""
Tests for L{wsmultipool._reactor_thread}: a pool belongs to one thread, and says so in any other.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from threading import Thread, get_ident
from typing import Any

import pytest
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.python import threadable
from zope.interface import directlyProvides

from tests.support import outcome
from wsmultipool import PooledConnection, ReconnectingPoolFactory, WrongThread, _reactor_thread
from wsmultipool._reactor_thread import ReactorThread
from wsmultipool.testing import MemoryPool


def elsewhere(function: Callable[[], object]) -> object:
    """
    Call a function in a thread of its own; return what it has returned or raised.
    """
    results: list[object] = []

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:
            results.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


class Reactor(Clock):
    """
    As much of a reactor as says where it runs.
    """

    def __init__(self, running: bool) -> None:
        super().__init__()
        self.running = running
        self.started: list[Callable[[], object]] = []
        directlyProvides(self, IReactorFromThreads)

    def callWhenRunning(self, function: Callable[[], object]) -> None:
        self.started.append(function)


VERBS: dict[str, Callable[[ReconnectingPoolFactory], object]] = {
    "start": lambda pool: pool.start(),
    "send": lambda pool: pool.send("x"),
    "send bytes": lambda pool: pool.send(b"x"),
    "send with a key": lambda pool: pool.send("x", key="a"),
    "send and confirm": lambda pool: pool.send("x", confirm=True),
    "send with a timeout": lambda pool: pool.send("x", timeout=1),
    "send a run": lambda pool: pool._send_run([b"x"], True, None),
    "broadcast": lambda pool: pool.broadcast("x"),
    "flush": lambda pool: pool.flush(),
    "ping": lambda pool: pool.ping(),
    "broadcast_ping": lambda pool: pool.broadcast_ping(),
    "pause_receiving": lambda pool: pool.pause_receiving(),
    "resume_receiving": lambda pool: pool.resume_receiving(),
    "messages": lambda pool: pool.messages(),
    "connection_of": lambda pool: pool.connection_of("a"),
    "add_observer": lambda pool: pool.add_observer(None),  # type: ignore[arg-type]
    "remove_observer": lambda pool: pool.remove_observer(None),  # type: ignore[arg-type]
    "when_open": lambda pool: pool.when_open(),
    "when_ready": lambda pool: pool.when_ready(),
    "get_stats": lambda pool: pool.get_stats(),
    "resize": lambda pool: pool.resize(3),
    "close": lambda pool: pool.close(),
    "destroy": lambda pool: pool.destroy(),
}
VERBS_OF_A_CONNECTION: dict[str, Callable[[PooledConnection], object]] = {
    "send": lambda connection: connection.send("x"),
    "ping": lambda connection: connection.ping(),
    "close": lambda connection: connection.close(),
}
every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)


@every_verb
def test_every_verb_refuses_another_thread(verb: Callable[[ReconnectingPoolFactory], Any]) -> None:
    """Called in a thread that is not the reactor's, each raises WrongThread and does nothing."""
    memory = MemoryPool(pool_size=2)
    memory.open()
    assert isinstance(elsewhere(lambda: verb(memory.pool)), WrongThread)
    memory.settle()
    assert memory.pool.get_stats().open == 2
    assert [peer.received for peer in memory.server.peers] == [[], []]
    memory.close()


@every_verb
def test_every_verb_refuses_it_while_nothing_is_open(
    verb: Callable[[ReconnectingPoolFactory], Any],
) -> None:
    """Also what would only have waited for a connection."""
    memory = MemoryPool()
    assert isinstance(elsewhere(lambda: verb(memory.pool)), WrongThread)
    assert memory.pool.get_stats().queued_messages == 0
    memory.close()


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize("verb", VERBS_OF_A_CONNECTION.values(), ids=VERBS_OF_A_CONNECTION)
def test_every_verb_of_a_connection_refuses_another_thread(
    verb: Callable[[PooledConnection], Any], opened: bool
) -> None:
    """What holds for the pool holds for a connection that somebody kept from on_connect."""
    memory = MemoryPool(pool_size=1)
    if opened:
        memory.open()
    (connection,) = memory.pool._supervisor.connections
    assert isinstance(elsewhere(lambda: verb(connection)), WrongThread)
    memory.close()


@pytest.mark.parametrize("confirm", [False, True])
def test_each_turn_is_checked_anew(confirm: bool) -> None:
    """That the right thread has called it before, in an earlier turn, makes no difference."""
    memory = MemoryPool(pool_size=1)
    memory.open()
    for _ in range(3):
        sent = outcome(memory.pool.send("x", confirm=confirm))
        memory.settle()
        assert sent == [0]
        called = elsewhere(lambda: memory.pool.send("y", confirm=confirm))
        assert isinstance(called, WrongThread)
    memory.settle()
    assert memory.server.peers[0].received == [(b"x", False)] * 3
    memory.close()


def test_the_two_counts_may_be_read_in_any_thread() -> None:
    """A thread that only wants to know whether anything is open need not ask the reactor."""
    memory = MemoryPool(pool_size=2)
    memory.open()
    pool = memory.pool
    assert elsewhere(lambda: (pool.open_connections, pool.total_connections)) == (2, 2)
    memory.close()


def test_the_error_says_what_to_do() -> None:
    """It names the two ways from another thread."""
    memory = MemoryPool()
    error = elsewhere(lambda: memory.pool.send("x"))
    assert isinstance(error, RuntimeError)
    assert "reactor.callFromThread(pool.send, ...)" in str(error)
    assert "blockingCallFromThread(reactor, pool.send, ...)" in str(error)
    memory.close()


def test_a_clock_belongs_to_the_thread_that_uses_it_first() -> None:
    """A test may run in any thread, if all of it does."""

    def in_a_thread() -> object:
        memory = MemoryPool(pool_size=1)
        memory.open()
        memory.pool.send("x")
        memory.settle()
        memory.close()
        return memory.server.peers[0].received

    assert elsewhere(in_a_thread) == [(b"x", False)]


def test_any_thread_will_do_until_the_reactor_runs() -> None:
    """Who builds a pool cannot know yet in which thread the reactor is going to run."""
    reactor = Reactor(running=False)
    thread = ReactorThread(reactor)
    assert elsewhere(thread.check) is None
    thread.check()
    (started,) = reactor.started
    elsewhere(started)
    with pytest.raises(WrongThread):
        thread.check()


def test_a_reactor_that_runs_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that is built in the wrong thread would stay idle for ever."""
    reactor = Reactor(running=True)
    monkeypatch.setitem(sys.modules, "twisted.internet.reactor", reactor)
    monkeypatch.setattr(threadable, "ioThread", get_ident())
    ReactorThread(reactor)
    assert isinstance(elsewhere(lambda: ReactorThread(reactor)), WrongThread)


def test_a_second_reactor_tells_its_thread_with_its_first_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twisted knows the thread of one reactor only, which need not be this one."""
    reactor = Reactor(running=True)
    monkeypatch.setattr(threadable, "ioThread", 1)
    thread = ReactorThread(reactor)
    thread.check()
    elsewhere(thread.enter)
    with pytest.raises(WrongThread):
        thread.check()


class AskedReactor(Reactor):
    """
    One that takes calls from threads.

    @ivar asked: those that it has not made yet.
    """

    def __init__(self) -> None:
        super().__init__(running=True)
        self.asked: list[Callable[[], object]] = []

    def callFromThread(self, function: Callable[..., object], *args: object) -> None:
        self.asked.append(partial(function, *args))


class PromptReactor(AskedReactor):
    """
    One that makes them at once.
    """

    def callFromThread(self, function: Callable[..., object], *args: object) -> None:
        function(*args)


def of_another_thread(reactor: Reactor) -> ReactorThread:
    """
    Return what knows that the reactor runs in another thread than this.
    """
    thread = ReactorThread(reactor)
    elsewhere(thread.enter)
    return thread


def test_the_reactor_is_asked_in_its_own_thread() -> None:
    """What another thread wants to know is found out there, and comes back, be it an error."""
    thread = of_another_thread(PromptReactor())
    assert thread.ask(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        thread.ask(lambda: 1 // 0)
    thread.enter()
    assert thread.ask(lambda: 43) == 43


def test_who_asks_a_reactor_that_stops_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it has not got to when it stops is looked at without it: nothing changes any more."""
    monkeypatch.setattr(_reactor_thread, "_PATIENCE", 0)
    reactor = AskedReactor()
    thread = of_another_thread(reactor)

    class Running:
        looks = iter([True, True, False])

        def __get__(self, *_: object) -> bool:
            return next(self.looks)

        def __set__(self, *_: object) -> None: ...

    monkeypatch.setattr(AskedReactor, "running", Running(), raising=False)
    assert thread.ask(lambda: 42) == 42
    assert len(reactor.asked) == 1


def run(program: str) -> list[str]:
    """
    Run a program in a process of its own; return the lines it prints.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_program_whose_reactor_has_a_thread_of_its_own() -> None:
    """
    Building a pool, and sending, is refused in the main thread, and done when the reactor is asked
    for it, also while the reactor has nothing else to do.  The statistics can be had in any thread.
    """
    assert run(
        """
        from threading import Event, Thread
        from twisted.internet import reactor
        from twisted.internet.threads import blockingCallFromThread as call
        from wsmultipool import ReconnectingPoolFactory, WrongThread

        running = Event()
        reactor.callWhenRunning(running.set)
        thread = Thread(target=reactor.run, kwargs={"installSignalHandlers": False})
        thread.start()
        running.wait()
        build = lambda: ReconnectingPoolFactory("ws://127.0.0.1:9/", logger=False)
        try:
            build()
        except WrongThread:
            print("refused")
        pool = call(reactor, build)
        for verb in (pool.send, pool.broadcast):
            try:
                verb("x")
            except WrongThread:
                print("refused")
        sent = call(reactor, lambda: [pool.send("x")])[0]
        print(pool.get_stats().queued_messages)
        sent.addErrback(lambda failure: print(failure.type.__name__))
        call(reactor, pool.close)
        reactor.callFromThread(reactor.stop)
        thread.join()
        print(pool.get_stats().queued_messages)
        """
    ) == ["refused", "refused", "refused", "1", "PoolClosed", "0"]


def test_a_pool_that_is_built_before_its_reactor_runs_elsewhere() -> None:
    """It may be built and used in the main thread until then, and afterwards only there."""
    assert run(
        """
        from threading import Event, Thread
        from twisted.internet import reactor
        from twisted.internet.threads import blockingCallFromThread as call
        from wsmultipool import ReconnectingPoolFactory, WrongThread

        pool = ReconnectingPoolFactory("ws://127.0.0.1:9/", logger=False)
        pool.send("before").addErrback(lambda failure: print(failure.type.__name__))
        running = Event()
        reactor.callWhenRunning(running.set)
        thread = Thread(target=reactor.run, kwargs={"installSignalHandlers": False})
        thread.start()
        running.wait()
        try:
            pool.send("after")
        except WrongThread:
            print("refused")
        call(reactor, pool.close)
        reactor.callFromThread(reactor.stop)
        thread.join()
        """
    ) == ["refused", "PoolClosed"]
