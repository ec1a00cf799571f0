"""`asyncio.all_tasks()` of the standard library, kept right.

Stock asyncio knows tasks by a weak set that every task would have to be added to and removed from,
which costs more than running a short task. Native tasks are in a list of their own instead, and the
weak set is made to iterate over them as well, when somebody looks.
"""

import weakref
from asyncio import tasks as _stock

from . import _rasyncio


class _TaskReferences(set):
    """A weak set's references, followed by references to the native tasks."""

    def __iter__(self):
        yield from set.__iter__(self)
        for task in _rasyncio._native_tasks():
            yield weakref.ref(task)

    def __len__(self):
        return set.__len__(self) + len(_rasyncio._native_tasks())

    def __contains__(self, reference):
        return set.__contains__(self, reference) or reference() in _rasyncio._native_tasks()


def connect():
    """Let the stock registry see native tasks. All versions read it when they are asked."""
    # 3.11 has one registry; later versions a second one for eager tasks.
    registry = getattr(_stock, "_scheduled_tasks", None)
    if registry is None:
        registry = _stock._all_tasks
    if not isinstance(registry.data, _TaskReferences):
        registry.data = _TaskReferences(registry.data)
