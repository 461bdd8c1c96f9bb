"""
Where the things are documented that our docstrings and pages refer to but that are not ours.

Usually such links come from inventories fetched while building.  Here they are made from what is
installed: every reference is resolved by importing it, so that a name that does not exist is left
out, and the reference to it becomes a warning, which is an error.  Nothing is fetched.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import pkgutil
import re
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

PYTHON = "https://docs.python.org/3/"
TWISTED = "https://docs.twisted.org/en/stable/api/"
# Of these it is enough to know where the documentation begins.
OTHERS = {
    "autobahn": "https://autobahn.readthedocs.io/en/latest/",
    "zope": "https://zopeinterface.readthedocs.io/en/latest/",
}
# Built-in types whose entry on the page of built-in functions has another name than they.
TYPES = {
    *("bytearray", "bytes", "dict", "frozenset", "list"),
    *("memoryview", "range", "set", "str", "tuple"),
}

IN_DOCSTRING = re.compile(r"L\{(?:[^{}<]*<)?([\w.]+)>?\}")
IN_PAGE = re.compile(r":py:\w+:`(?:[^`<]*<)?[~!]?([\w.]+)>?`")


def names_in_module(source: str) -> Iterator[str]:
    """
    Find the full names of what a module imports, and of what its docstrings may refer to.
    """
    imported: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported |= {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
    yield from imported.values()
    for reference in IN_DOCSTRING.findall(source):
        first, *rest = reference.split(".")
        yield ".".join([imported.get(first, first), *rest])


def location(name: str) -> tuple[str, str, str] | None:
    """
    Return a name's kind for Sphinx, the base URL and the rest, or C{None} if it is not known.
    """
    root = name.partition(".")[0]
    is_builtin = hasattr(builtins, root)
    if not (is_builtin or root in sys.stdlib_module_names or root in {"twisted", *OTHERS}):
        return None
    try:
        found = pkgutil.resolve_name(f"builtins.{name}" if is_builtin else name)
        owner = pkgutil.resolve_name(name.rpartition(".")[0] or "builtins")
    except (ImportError, AttributeError):
        return None
    kind = kind_of(found, owner)
    if root in OTHERS:
        return kind, OTHERS[root], "index.html"
    if root == "twisted":
        page, anchor = name.rpartition(".")[::2]
        is_page = kind in {"module", "class", "exception"}
        return kind, TWISTED, f"{name}.html" if is_page else f"{page}.html#{anchor}"
    if kind == "exception" and is_builtin:
        return kind, PYTHON, f"library/exceptions.html#{name}"
    if is_builtin:
        return kind, PYTHON, f"library/functions.html#{'func-' * (name in TYPES)}{name}"
    if kind == "module":
        return kind, PYTHON, f"library/{name}.html"
    module = name.rpartition(".")[0]
    if not isinstance(owner, ModuleType):
        module = module.rpartition(".")[0]
    return kind, PYTHON, f"library/{module}.html#{name}"


def kind_of(found: object, owner: object) -> str:
    """
    Return the name that Sphinx's Python domain has for this kind of thing.
    """
    if isinstance(found, ModuleType):
        return "module"
    if inspect.isclass(found):
        return "exception" if issubclass(found, BaseException) else "class"
    if callable(found) and not hasattr(found, "__iro__"):  # an interface is callable
        return "method" if inspect.isclass(owner) else "function"
    return "class" if hasattr(found, "__iro__") else "attribute"


def write_inventories(package: Path, docs: Path, directory: Path) -> dict[str, tuple[str, Path]]:
    """
    Write one Sphinx inventory for each site; return their URLs and files by a short name.
    """
    names = {
        name
        for module in package.rglob("*.py")
        for name in names_in_module(module.read_text(encoding="utf-8"))
    }
    for page in docs.rglob("*.rst"):
        names.update(IN_PAGE.findall(page.read_text(encoding="utf-8")))

    lines: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        if (known := location(name)) is not None:
            kind, site, path = known
            lines[site].append(f"{name} py:{kind} 1 {path} -\n")

    directory.mkdir(parents=True, exist_ok=True)
    inventories = {}
    for site, entries in lines.items():
        short = site.split("/")[2].split(".")[-2]
        file = directory / f"{short}.inv"
        file.write_bytes(
            b"# Sphinx inventory version 2\n"
            + f"# Project: {short}\n# Version: \n".encode()
            + b"# The remainder of this file is compressed using zlib.\n"
            + zlib.compress("".join(entries).encode("utf-8"))
        )
        inventories[short] = (site, file)
    return inventories
