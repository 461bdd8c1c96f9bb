"""
Tells twistd and twist about C{wsmultipool}.  All else is imported when it is asked for.

There must be no C{__init__.py} in this directory, nor in the one above: they are Twisted's.
"""

from twisted.application.service import ServiceMaker

wsmultipool = ServiceMaker(
    "wsmultipool",
    "wsmultipool.service.tap",
    "A pool of WebSocket connections to one service, for the programs on this machine.",
    "wsmultipool",
)
