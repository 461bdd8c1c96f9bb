"""
The tests of wsmultipool: one module per module of the package, same name.

The directory is a package so that tests and their helpers import each other by one full name
(C{from tests.support import ...}), from a checkout and from a copy without the package beside it.
"""
