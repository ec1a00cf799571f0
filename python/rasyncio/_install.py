"""`install()`: native objects under the standard library's own names.

A name is replaced in every module of asyncio that holds the stock object, for these modules import
from one another. Code that imported a stock name before keeps a stock object, which works on our
loop as on any.
"""

import importlib
import sys
import types

from . import (
    _handles,
    _rasyncio,
    events,
    futures,
    graph,
    locks,
    queues,
    runners,
    staggered,
    streams,
    taskgroups,
    tasks,
    threads,
    timeouts,
    unix_events,
)

_MISSING = object()

# What was changed, as (namespace, name, what was there), in order. Empty: not installed.
_changes = []


def install():
    """Make asyncio native: `asyncio.Task` becomes `rasyncio.Task`, and so on for every name.

    asyncio then has the newest version's names on every version, and makes native loops. To be
    called early: what was imported from asyncio by name before stays stock. Calling it again does
    nothing. RuntimeError while a loop runs, for the tasks in it would be of two kinds.
    """
    if _changes:
        return
    _refuse_running_loop("install")
    try:
        _replace_objects()
        _add_new_names()
        _replace_loop()
    except BaseException:
        _undo()
        raise


def uninstall():
    """Put the stock objects back. RuntimeError while a loop runs."""
    if _changes:
        _refuse_running_loop("uninstall")
        _undo()


def installed():
    """Tell whether `install()` is in effect."""
    return bool(_changes)


def _refuse_running_loop(what):
    if events._get_running_loop() is not None:
        raise RuntimeError(
            f"rasyncio.{what}() cannot be called while an event loop is running: "
            f"call it before asyncio.run()"
        )


# Module of asyncio, our module, and the names to take from ours. A name that the running version's
# module does not have is added by `_add_new_names`, if it is public.
_REPLACED = (
    (
        "events",
        _rasyncio,
        ("Handle", "TimerHandle", "get_running_loop", "_get_running_loop", "_set_running_loop"),
    ),
    ("events", _handles, ("_ThreadSafeHandle",)),
    (
        "futures",
        futures,
        (
            "Future",
            "isfuture",
            "wrap_future",
            "future_add_to_awaited_by",
            "future_discard_from_awaited_by",
            "_chain_future",
            "_convert_future_exc",
            "_copy_future_state",
            "_set_concurrent_future_state",
            "_set_result_unless_cancelled",
        ),
    ),
    (
        "tasks",
        tasks,
        (
            "Task",
            "_GatheringFuture",
            "as_completed",
            "create_eager_task_factory",
            "create_task",
            "current_task",
            "eager_task_factory",
            "ensure_future",
            "gather",
            "run_coroutine_threadsafe",
            "shield",
            "sleep",
            "wait",
            "wait_for",
        ),
    ),
    ("taskgroups", taskgroups, ("TaskGroup",)),
    (
        "locks",
        locks,
        ("Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "Semaphore"),
    ),
    ("queues", queues, ("LifoQueue", "PriorityQueue", "Queue")),
    ("timeouts", timeouts, ("Timeout", "timeout", "timeout_at")),
    ("threads", threads, ("to_thread",)),
    ("runners", runners, ("Runner", "run", "_cancel_all_tasks")),
    ("staggered", staggered, ("staggered_race",)),
    ("graph", graph, graph.__all__),
    (
        "streams",
        streams,
        (
            "StreamReader",
            "StreamReaderProtocol",
            "StreamWriter",
            "open_connection",
            "open_unix_connection",
            "start_server",
            "start_unix_server",
        ),
    ),
    ("unix_events", unix_events, ("_UnixSelectorEventLoop",)),
)


def _stock_modules():
    """The modules of asyncio that exist now."""
    return [
        module
        for name, module in list(sys.modules.items())
        if isinstance(module, types.ModuleType)
        and (name == "asyncio" or name.startswith("asyncio."))
    ]


def _stock_module(name):
    try:
        return importlib.import_module(f"asyncio.{name}")
    except ModuleNotFoundError:
        return None  # asyncio.graph came with 3.14


def _replace_objects():
    """Replace each stock object wherever a module of asyncio holds it."""
    ours = {}
    for module_name, source, names in _REPLACED:
        module = _stock_module(module_name)
        for name in names:
            old = getattr(module, name, _MISSING)
            if old is not _MISSING:
                ours[id(old)] = (old, getattr(source, name))
    for module in _stock_modules():
        for name, value in list(vars(module).items()):
            # The pure-Python twins, which tests ask for by these names, stay what they are.
            if name.startswith(("_Py", "_py_")):
                continue
            old, new = ours.get(id(value), (None, None))
            if old is not None and new is not old:
                _set(module, name, new)


def _add_new_names():
    """Give asyncio the names that its newest version has and the running one lacks."""
    asyncio = importlib.import_module("asyncio")
    for module_name, source in (
        ("futures", futures),
        ("graph", graph),
        ("queues", queues),
        ("tasks", tasks),
        ("taskgroups", taskgroups),
        ("unix_events", unix_events),
    ):
        module = _stock_module(module_name)
        if module is None:
            module = source
            _set(asyncio, module_name, source)
            _set_item(sys.modules, f"asyncio.{module_name}", source)
        new = [name for name in source.__all__ if name not in asyncio.__all__]
        for name in new:
            if not hasattr(module, name):
                _set(module, name, getattr(source, name))
            if not hasattr(asyncio, name):
                _set(asyncio, name, getattr(source, name))
        if new:
            _set(asyncio, "__all__", (*asyncio.__all__, *new))
            if module is not source:
                listed = tuple(module.__all__)
                _set(module, "__all__", tuple(dict.fromkeys((*listed, *new))))


def _replace_loop():
    """Let the default policy make our loops, an existing instance included."""
    _set(events._DefaultPolicy, "_loop_factory", unix_events._UnixSelectorEventLoop)


def _set(namespace, name, value):
    _changes.append((setattr, delattr, namespace, name, vars(namespace).get(name, _MISSING)))
    setattr(namespace, name, value)


def _set_item(mapping, key, value):
    old = mapping.get(key, _MISSING)
    _changes.append((type(mapping).__setitem__, type(mapping).__delitem__, mapping, key, old))
    mapping[key] = value


def _undo():
    while _changes:
        put, remove, namespace, name, old = _changes.pop()
        if old is _MISSING:
            remove(namespace, name)
        else:
            put(namespace, name, old)
