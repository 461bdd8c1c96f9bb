"""
Tests for C{processes.py}: how a process ends must not matter to the test that has run it.
"""

from __future__ import annotations

import sys

import pytest

from .deadline import within
from .processes import running

pytestmark = pytest.mark.integration

# Ends itself, while a child holds its standard output open until it is told to go.
GONE_BUT_NOT_SILENT = """
import os
print('{"event": "listening", "port": 0}', flush=True)
if not os.fork():
    input()
"""


@within(30)
async def test_a_process_that_is_gone_before_its_output_has_ended() -> None:
    """There is nothing left to kill, and that is no error."""
    async with running([sys.executable, "-c", GONE_BUT_NOT_SILENT], {}) as server:
        await server.exited
        server.tell("go")


@within(30)
async def test_an_error_tells_of_the_process() -> None:
    """Or nobody would know why a test has failed that a server let down."""
    with pytest.raises(RuntimeError) as raised:
        async with running([sys.executable, "-c", "raise SystemExit('out of luck')"], {}):
            raise AssertionError("it has never listened")
    (note,) = raised.value.__notes__
    assert "exit code 1" in note
    assert "out of luck" in note
