"""
What C{from wsmultipool import ...} offers is exactly what is public, documented and dated.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections import defaultdict
from pathlib import Path

import pytest
from zope.interface.interface import InterfaceClass

import wsmultipool

PACKAGE = Path(wsmultipool.__file__).parent

# Public too, but imported by their own name by those who want them.
APART = {"__init__", "__main__", "cli", "testing"}
PUBLIC_MODULES = sorted(path.stem for path in PACKAGE.glob("[!_]*.py") if path.stem not in APART)


def sources() -> dict[str, str]:
    """
    Return, for every name that the package imports from its own modules, the module.
    """
    tree = ast.parse(PACKAGE.joinpath("__init__.py").read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: node.module or ""
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.level or node.module != "__future__")
        for alias in node.names
    }


def test_all_lists_exactly_what_the_package_imports() -> None:
    """A name is exported because it is listed, and listed because it is exported."""
    assert sorted(wsmultipool.__all__) == sorted(sources())


def test_all_is_grouped_by_module() -> None:
    """The list reads as a table of contents: one comment, and all names of some modules."""
    source = PACKAGE.joinpath("__init__.py").read_text(encoding="utf-8")
    groups = source.partition("__all__ = [")[2].split("# ")[1:]
    group_of: dict[str, set[int]] = defaultdict(set)
    for number, group in enumerate(groups):
        for name in re.findall(r'"(\w+)"', group):
            group_of[sources()[name]].add(number)
    assert {module: found for module, found in group_of.items() if len(found) > 1} == {}
    assert set(group_of) == set(sources().values())


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_public_names_of_public_modules_are_exported(module: str) -> None:
    """A name that a public module lists as its own is found in the package as well."""
    public = importlib.import_module(f"wsmultipool.{module}")
    assert set(public.__all__) - set(wsmultipool.__all__) == set()


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_public_modules_list_what_they_define(module: str) -> None:
    """What a public module defines without an underscore is in its list; nothing else is."""
    public = importlib.import_module(f"wsmultipool.{module}")
    defined = {
        name
        for name, value in vars(public).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == public.__name__
    }
    assert defined - set(public.__all__) == set()
    assert [name for name in public.__all__ if not hasattr(public, name)] == []


@pytest.mark.parametrize("name", wsmultipool.__all__)
def test_exported_name_is_documented_and_dated(name: str) -> None:
    """Every class, interface and function says what it is; it or its module, since when."""
    exported = getattr(wsmultipool, name)
    if (
        isinstance(exported, InterfaceClass)
        or inspect.isclass(exported)
        or inspect.isroutine(exported)
    ):
        documentation = exported.__doc__ or ""
        assert documentation.strip()
        of_module = importlib.import_module(exported.__module__).__doc__ or ""
        assert "@since: " in documentation + of_module
