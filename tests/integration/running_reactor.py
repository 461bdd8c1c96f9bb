"""
The reactor that pytest-twisted runs, with the type it has.
"""

from __future__ import annotations

from typing import cast

from twisted.internet import reactor as _installed
from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFDSet,
    IReactorProcess,
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
)


class Reactor(IReactorCore, IReactorFDSet, IReactorProcess, IReactorSSL, IReactorTCP, IReactorTime):
    """What the tests use of a reactor."""


reactor = cast(Reactor, _installed)
