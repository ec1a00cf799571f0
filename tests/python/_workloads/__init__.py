"""Things done many times, each of which must leave nothing behind: `WORKLOADS` has them all by name."""

from . import jobs, loop, networking, synchronisation, waiting  # noqa: F401: for what they make known
from .register import WORKLOADS

__all__ = ["WORKLOADS"]
