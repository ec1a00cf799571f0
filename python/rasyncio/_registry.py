"""`asyncio.all_tasks()` of the standard library, kept right.

Stock asyncio knows tasks by a weak set that every task would have to be added to and removed from,
which costs more than running a short task. Native tasks are in a list of their own instead, and the
weak set is made to iterate over them as well, when somebody looks.
"""

import _asyncio
import gc
import sys
import weakref
from asyncio import tasks as _stock

from . import _rasyncio


class _TaskReferences(set):
    """A weak set's references, followed by references to the native tasks."""

    def __iter__(self):
        yield from set.__iter__(self)
        for task in _rasyncio._native_tasks():
            yield weakref.ref(task)

    def copy(self):
        # What a weak set iterates over since 3.14. set(self) would not ask __iter__.
        return set(iter(self))

    def __len__(self):
        return set.__len__(self) + len(_rasyncio._native_tasks())

    def __contains__(self, reference):
        return set.__contains__(self, reference) or reference() in _rasyncio._native_tasks()


def _find():
    """The weak set that the running version's `all_tasks()` reads."""
    if sys.version_info < (3, 12):
        return _stock._all_tasks
    if sys.version_info < (3, 14):
        return _stock._scheduled_tasks
    # Since 3.14 all_tasks() is C, and the set of the tasks that are not its own has no name.
    sets = [held for held in gc.get_referents(_asyncio) if type(held) is weakref.WeakSet]
    if len(sets) != 1:
        raise ImportError("rasyncio does not find where this version of asyncio registers tasks")
    return sets[0]


def connect():
    """Let stock `all_tasks()` see native tasks, also for who has imported it before."""
    registry = _find()
    if not isinstance(registry.data, _TaskReferences):
        registry.data = _TaskReferences(registry.data)
