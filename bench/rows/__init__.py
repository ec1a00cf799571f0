"""What is measured: one small asyncio program per row."""

# Each adds its programs to ROWS, in the table's order.
from . import processes, scheduling, synchronisation
from .row import ROWS, Row, clock, measure_by

__all__ = ["ROWS", "Row", "clock", "measure_by", "processes", "scheduling", "synchronisation"]
