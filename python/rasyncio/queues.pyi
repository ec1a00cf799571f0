import sys
from asyncio import queues as _stock
from asyncio.queues import QueueEmpty as QueueEmpty
from asyncio.queues import QueueFull as QueueFull
from typing import TypeVar

_T = TypeVar("_T")

if sys.version_info >= (3, 13):
    from asyncio.queues import LifoQueue as LifoQueue
    from asyncio.queues import PriorityQueue as PriorityQueue
    from asyncio.queues import Queue as Queue
    from asyncio.queues import QueueShutDown as QueueShutDown
else:
    class QueueShutDown(Exception): ...

    class Queue(_stock.Queue[_T]):
        def shutdown(self, immediate: bool = False) -> None: ...

    class PriorityQueue(Queue[_T]): ...
    class LifoQueue(Queue[_T]): ...
