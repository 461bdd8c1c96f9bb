"""
What C{from wsmultipool.wamp import ...} offers is public, documented and dated.
"""

from __future__ import annotations

import importlib
import inspect

import pytest

from wsmultipool import wamp

PUBLIC = ("client", "component", "errors", "options", "service", "session", "sharding")


def test_the_package_offers_what_its_public_modules_list() -> None:
    """No name is missing, and none is too many."""
    listed = {
        name
        for module in PUBLIC
        for name in importlib.import_module(f"wsmultipool.wamp.{module}").__all__
    }
    assert set(wamp.__all__) == listed


@pytest.mark.parametrize("name", wamp.__all__)
def test_exported_name_is_documented_and_dated(name: str) -> None:
    """Every class and function says what it is; it or its module, since when."""
    exported = getattr(wamp, name)
    if inspect.isclass(exported) or inspect.isroutine(exported):
        documentation = exported.__doc__ or ""
        assert documentation.strip()
        of_module = importlib.import_module(exported.__module__).__doc__ or ""
        assert "@since: " in documentation + of_module
