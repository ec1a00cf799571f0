"""Who is measured, and how each is brought in."""

import importlib
import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class Contestant:
    """A way to run an asyncio program.

    `module` must be importable for it to take part.  A peer is what rasyncio is
    compared with; the floor is neither.
    """

    name: str
    module: str
    peer: bool = False
    #: Its connections can be encrypted.
    tls: bool = True

    def present(self) -> bool:
        return importlib.util.find_spec(self.module) is not None


FLOOR = "floor"
LOOP = "rasyncio loop"
NATIVE = "rasyncio"

CONTESTANTS = {
    contestant.name: contestant
    for contestant in [
        Contestant(FLOOR, "rasyncio_floor"),
        Contestant("asyncio", "asyncio", peer=True),
        Contestant("uvloop", "uvloop", peer=True),
        Contestant("rloop", "rloop", peer=True, tls=False),
        # Our loop under the standard library's asyncio.
        Contestant(LOOP, "rasyncio"),
        # Everything ours, put in the place of the standard library's.
        Contestant(NATIVE, "rasyncio"),
    ]
}


def activate(name: str):
    """Make this process run `name`; the answer is its `loop_factory`."""
    import asyncio

    if name == "asyncio":
        return asyncio.new_event_loop
    if name == NATIVE:
        import rasyncio

        rasyncio.install()
        if importlib.util.find_spec("aiojobs") is not None:
            import rasyncio.scheduler

            rasyncio.scheduler.install()
        return None
    return importlib.import_module(CONTESTANTS[name].module).new_event_loop
