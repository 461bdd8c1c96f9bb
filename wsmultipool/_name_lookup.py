"""
Looking up the addresses of host names: one look-up of a name at a time, in the whole process.

The system's resolver blocks for as long as a name server does not answer, and cannot be cancelled.
So it runs in a thread.  Not in one of the reactor's pool: these are few, they are the
application's, and the reactor waits for them before it ends.  Each look-up has a daemon thread of
its own instead, and all who ask for its name meanwhile share its outcome.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from errno import EMFILE, ENFILE
from functools import partial
from threading import Lock, Thread
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IReactorFromThreads

__all__ = ["AddressInfo", "NameLookups", "system_lookups"]

_KEPT = 30.0

AddressInfo = tuple[Any, Any, int, str, Any]
"""An address, as L{socket.getaddrinfo} returns it."""

_Outcome = list[AddressInfo] | Exception


class NameLookups:
    """
    The look-ups under way.

    An answer that comes when nobody waits for it any more, as each attempt to connect has given up
    before, is kept for a while.  A name server that takes longer than an attempt may take would
    never be of use otherwise.  Nothing else is kept: to cache names is the system's business.

    Those who ask may be in different threads, each with a reactor of its own; all state is changed
    under the lock.

    @param ask: returns the addresses of a name, one or more, or raises; it may block.
    @param run: runs a function in a thread that nothing waits for.
    @param now: the time in seconds, on a clock that is never set.
    """

    def __init__(
        self,
        ask: Callable[[str], list[AddressInfo]],
        run: Callable[[Callable[[], None]], None],
        now: Callable[[], float],
    ) -> None:
        self._ask = ask
        self._run = run
        self._now = now
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a child process, which does not have the threads of its parent."""
        self._lock = Lock()
        # By name; a name is there as long as its look-up goes on, even if nobody waits any more.
        self._waiting: dict[str, list[_Waiter]] = {}
        self._kept: dict[str, tuple[float, list[AddressInfo]]] = {}

    def look_up(self, reactor: IReactorFromThreads, name: str) -> Deferred[list[AddressInfo]]:
        """
        Look up the addresses of a host name.

        @param reactor: the one of the calling thread, in which the outcome is told.
        @return: fires with one address or more.  Fails with L{DNSLookupError} if there is none, or
            no name server that knows; with L{OSError} if there was no descriptor left to ask with;
            with L{RuntimeError} if no thread can be started.  Cancelling it leaves the look-up to
            itself.
        """
        result: Deferred[list[AddressInfo]] = Deferred(partial(self._abandon, name))
        with self._lock:
            kept_at, kept = self._kept.get(name, (0.0, []))
            if kept and self._now() < kept_at + _KEPT:
                return succeed(kept)
            begins = name not in self._waiting
            self._waiting.setdefault(name, []).append((reactor, result))
        if begins:
            try:
                self._run(partial(self._look_up, name))
            except RuntimeError as error:
                self._over(name, error)
        return result

    def _abandon(self, name: str, result: Deferred[list[AddressInfo]]) -> None:
        with self._lock:
            waiting = self._waiting.get(name, [])
            waiting[:] = [waiter for waiter in waiting if waiter[1] is not result]

    def _look_up(self, name: str) -> None:
        """Runs in a thread."""
        outcome: _Outcome
        try:
            outcome = self._ask(name)
        except Exception as error:
            outcome = error
        self._over(name, outcome)

    def _over(self, name: str, outcome: _Outcome) -> None:
        with self._lock:
            waiting = self._waiting.pop(name)
            self._kept.pop(name, None)
            if not waiting and isinstance(outcome, list):
                self._kept[name] = (self._now(), outcome)
        for reactor, result in waiting:
            with suppress(Exception):  # a reactor that has ended may refuse
                reactor.callFromThread(_tell, result, outcome)


_Waiter = tuple[IReactorFromThreads, Deferred[list[AddressInfo]]]


def _tell(result: Deferred[list[AddressInfo]], outcome: _Outcome) -> None:
    if result.called:  # it was cancelled a moment ago
        return
    if isinstance(outcome, Exception):
        result.errback(outcome)
    else:
        result.callback(outcome)


def _ask_system(name: str) -> list[AddressInfo]:
    """
    Ask the system's resolver, which blocks.

    @raise DNSLookupError: it knows no address.
    @raise OSError: there is no descriptor left to find one with.
    """
    try:
        return socket.getaddrinfo(name, 0, socket.AF_UNSPEC, socket.SOCK_STREAM)
    except UnicodeError as error:
        raise DNSLookupError(f"{name}: not a valid host name") from error
    except socket.gaierror as error:
        # A resolver takes what it could not open for something that is not there.
        _check_descriptors()
        raise DNSLookupError(f"{name}: {error.strerror}") from error


def _check_descriptors() -> None:
    try:
        socket.socket().close()
    except OSError as error:
        if error.errno in (EMFILE, ENFILE):
            raise


def _run_in_daemon_thread(function: Callable[[], None]) -> None:
    Thread(target=function, name="wsmultipool name look-up", daemon=True).start()


system_lookups = NameLookups(_ask_system, _run_in_daemon_thread, time.monotonic)
"""The look-ups of this process."""

os.register_at_fork(after_in_child=system_lookups.forget)
