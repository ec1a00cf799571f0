"""The standard library's asyncio, and how this package stands on it.

A module of rasyncio carries the name of the asyncio module that it replaces, holds what rasyncio
writes anew, and takes everything else from there, private names included: programs and test suites
reach for them.
"""

import importlib
import sys
import types

# Modules in which nothing is replaced: rasyncio.log *is* asyncio.log.
SHARED = (
    "base_futures",
    "base_tasks",
    "constants",
    "format_helpers",
    "log",
    "mixins",
    "trsock",
)


def share(package):
    """Make the modules that rasyncio leaves alone reachable under its own name."""
    for name in SHARED:
        module = importlib.import_module(f"asyncio.{name}")
        sys.modules[f"{package.__name__}.{name}"] = module
        setattr(package, name, module)


def fallback(name):
    """Return a module's `__getattr__` that looks in the asyncio module of the same name."""
    stock = importlib.import_module(f"asyncio.{name}")

    def __getattr__(attribute):
        # Dunders would make copies of the stock module's own identity appear here.
        if not attribute.startswith("__"):
            try:
                return getattr(stock, attribute)
            except AttributeError:
                pass
        raise AttributeError(f"module 'rasyncio.{name}' has no attribute {attribute!r}")

    return __getattr__


def with_names(function, module, names):
    """A function of a module of asyncio that finds ours under these global names.

    So each version keeps its own ways.
    """
    made = types.FunctionType(
        function.__code__,
        {**vars(module), **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__doc__ = function.__doc__
    made.__qualname__ = function.__qualname__
    made.__module__ = function.__module__
    return made
