"""
A pool in production: as a part of a Twisted application, and as a program of its own.
"""

from .pool_service import PoolService

__all__ = ["PoolService"]
