# The native module. The modules beside it give its objects their public names.

from asyncio.events import Handle as Handle
from asyncio.events import TimerHandle as TimerHandle
from asyncio.events import _get_running_loop as _get_running_loop
from asyncio.events import _set_running_loop as _set_running_loop
from asyncio.events import get_running_loop as get_running_loop
from asyncio.futures import Future as Future
from asyncio.futures import isfuture as isfuture
from asyncio.locks import Barrier as Barrier
from asyncio.locks import BoundedSemaphore as BoundedSemaphore
from asyncio.locks import Condition as Condition
from asyncio.locks import Event as Event
from asyncio.locks import Lock as Lock
from asyncio.locks import Semaphore as Semaphore
from asyncio.tasks import Task as Task
from asyncio.tasks import as_completed as as_completed
from asyncio.tasks import create_task as create_task
from asyncio.tasks import current_task as current_task
from asyncio.tasks import ensure_future as ensure_future
from asyncio.tasks import gather as gather
from asyncio.tasks import shield as shield
from asyncio.tasks import sleep as sleep
from asyncio.tasks import wait as wait
from asyncio.tasks import wait_for as wait_for
from asyncio.threads import to_thread as to_thread
from asyncio.timeouts import Timeout as Timeout
from asyncio.timeouts import timeout as timeout
from asyncio.timeouts import timeout_at as timeout_at
from typing import Any, TypeVar

from .futures import future_add_to_awaited_by as future_add_to_awaited_by
from .futures import future_discard_from_awaited_by as future_discard_from_awaited_by
from .queues import LifoQueue as LifoQueue
from .queues import PriorityQueue as PriorityQueue
from .queues import Queue as Queue
from .queues import QueueShutDown as QueueShutDown
from .taskgroups import TaskGroup as TaskGroup

_Class = TypeVar("_Class", bound=type)

class BaseLoop: ...
class _CollectedHandle(Handle): ...
class _GatheringFuture(Future[list[Any]]): ...

def _native_tasks() -> list[Task[Any]]: ...
def _own_methods(native_class: _Class, /) -> _Class: ...
