"""asyncio in Rust.

Three ways in:

    rasyncio.run(main())            # or Runner(loop_factory=rasyncio.new_event_loop): the loop alone
    import rasyncio as asyncio      # one program, everything native
    rasyncio.install()              # the whole process, libraries included; or python -m rasyncio

The package has the names of the newest asyncio, CPython 3.15's, on every version, and those that
the running version has besides. Exceptions and abstract classes are the standard library's own.
"""

import asyncio as _asyncio
import sys as _sys

from . import (
    _registry,
    _stock,
    base_events,
    base_subprocess,
    coroutines,
    events,
    exceptions,
    futures,
    graph,
    locks,
    protocols,
    queues,
    runners,
    scheduler,
    selector_events,
    staggered,
    streams,
    subprocess,
    taskgroups,
    tasks,
    threads,
    timeouts,
    transports,
    unix_events,
)
from ._install import install, installed, uninstall
from .base_events import *
from .coroutines import *
from .events import *
from .exceptions import *
from .futures import *
from .graph import *
from .locks import *
from .protocols import *
from .queues import *
from .runners import *
from .streams import *
from .subprocess import *
from .taskgroups import *
from .tasks import *
from .threads import *
from .timeouts import *
from .transports import *
from .unix_events import *
from .unix_events import _VirtualTimeEventLoop as _new_virtual_event_loop

__all__ = (
    *base_events.__all__,
    *coroutines.__all__,
    *events.__all__,
    *exceptions.__all__,
    *futures.__all__,
    *graph.__all__,
    *locks.__all__,
    *protocols.__all__,
    *runners.__all__,
    *queues.__all__,
    *streams.__all__,
    *subprocess.__all__,
    *tasks.__all__,
    *taskgroups.__all__,
    *threads.__all__,
    *timeouts.__all__,
    *transports.__all__,
    *unix_events.__all__,
)

_stock.share(_sys.modules[__name__])
_registry.connect()


def __getattr__(name):
    # What only some versions have, policies for instance, with the warnings of that version.
    if not name.startswith("__"):
        try:
            return getattr(_asyncio, name)
        except AttributeError:
            pass
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
