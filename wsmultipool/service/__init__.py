"""
A pool in production: as a part of a Twisted application, and as a program of its own.
"""

from .metrics import PrometheusCollector
from .pool_service import PoolService

__all__ = ["PoolService", "PrometheusCollector"]
