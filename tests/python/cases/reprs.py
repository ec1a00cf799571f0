"""The text of everything that can be printed."""

import asyncio
import functools
import gc

from _case import since


def callback(*args):
    pass


class Callable:
    def __call__(self, *args):
        pass

    def method(self, *args):
        pass

    def __repr__(self):
        return "Callable()"


def callbacks():
    return [
        callback,
        print,
        Callable(),
        Callable().method,
        lambda *args: None,
        functools.partial(callback, 1, key="value"),
        functools.partial(functools.partial(callback, 1), 2),
        functools.partial(Callable().method),
        len,
        "text".upper,
        int,
    ]


async def work():
    await asyncio.sleep(60)


async def case_loop():
    loop = asyncio.get_running_loop()
    print(repr(loop).partition(" ")[2], str(loop).partition(" ")[2])
    other = asyncio.new_event_loop()
    print(repr(other).partition(" ")[2])
    other.close()
    print(repr(other).partition(" ")[2])


async def case_handles():
    loop = asyncio.get_running_loop()
    for function in callbacks():
        handle = loop.call_soon(function, 1, "two", [3])
        print(handle)
        handle.cancel()
        print(handle, handle.cancelled())


async def case_handles_that_have_run():
    handle = asyncio.get_running_loop().call_soon(callback, 1)
    await asyncio.sleep(0)
    # Ours has let go of its callback by now; what it was is not compared.
    print(type(handle).__name__, handle.cancelled())
    handle.cancel()
    print(handle, handle.cancelled())


async def case_timers():
    loop = asyncio.get_running_loop()
    for when in (123456.5, 2000000):
        handle = loop.call_at(when, callback, 1)
        print(handle, handle.when())
        handle.cancel()
        print(handle)


async def case_long_arguments():
    loop = asyncio.get_running_loop()
    handle = loop.call_soon(callback, "x" * 500, list(range(100)), {n: n for n in range(50)})
    print(handle)
    handle.cancel()
    future = loop.create_future()
    future.set_result(list(range(1000)))
    print(future)
    future = loop.create_future()
    future.set_result("y" * 1000)
    print(future)


async def case_futures():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    print(future, str(future))
    future.set_result("result")
    print(future)
    future = loop.create_future()
    future.set_exception(ValueError("error"))
    print(future, repr(future.exception()))
    future = loop.create_future()
    future.cancel("message")
    print(future)


async def case_futures_with_callbacks():
    future = asyncio.get_running_loop().create_future()
    for function in callbacks():
        future.add_done_callback(function)
        print(future)
        future.remove_done_callback(function)
    for count in range(5):
        future.add_done_callback(callback)
        print(count, future)


async def case_future_in_itself():
    future = asyncio.get_running_loop().create_future()
    future.set_result([future])
    print(future)
    future = asyncio.get_running_loop().create_future()
    future.add_done_callback(functools.partial(callback, future))
    print(future)


async def case_repr_that_raises():
    class Bad:
        def __repr__(self):
            raise ValueError("no text")

    future = asyncio.get_running_loop().create_future()
    future.set_result(Bad())
    try:
        print(future)
    except ValueError as error:
        print(error)


async def case_tasks():
    task = asyncio.create_task(work(), name="a name")
    print(task)
    await asyncio.sleep(0)
    print(task)
    task.cancel()
    print(task)
    await asyncio.wait([task])
    print(task)


async def case_finished_tasks():
    async def succeed():
        return "result"

    async def fail():
        raise ValueError("error")

    for function in (succeed, fail):
        task = asyncio.create_task(function())
        task.add_done_callback(callback)
        print(task)
        await asyncio.wait([task])
        print(task, repr(task.exception()))


async def case_current_task():
    async def inner():
        print(asyncio.current_task())
        await asyncio.sleep(0)
        print(asyncio.current_task())

    await asyncio.create_task(inner())


async def case_task_of_another_awaitable():
    class Awaitable:
        def __await__(self):
            yield

    task = asyncio.ensure_future(Awaitable())
    print(type(task).__name__, task.get_name())
    await task


async def case_task_names():
    task = asyncio.create_task(work(), name=42)
    print(repr(task.get_name()))
    task.set_name(None)
    print(repr(task.get_name()))
    task.set_name(["list"])
    print(repr(task.get_name()))
    task.cancel()
    task = asyncio.create_task(work(), name=None)
    print(task.get_name().startswith("Task-"))
    task.cancel()
    await asyncio.sleep(0)


async def case_task_in_a_group():
    async with asyncio.TaskGroup() as group:
        print(repr(group).partition(" ")[0])
        task = group.create_task(asyncio.sleep(0), name="member")
        print(group)
        await asyncio.sleep(0)
        print(task.get_name())
    print(group)


async def case_timeouts():
    limit = asyncio.timeout(60)
    print(repr(limit).partition(" when")[0])
    async with limit:
        print(repr(limit).partition(" when")[0])
    print(repr(limit).partition(" when")[0])
    async with asyncio.timeout(None) as limit:
        print(limit)
    print(limit)
    limit = asyncio.timeout_at(1)
    try:
        async with limit:
            await asyncio.sleep(1)
    except TimeoutError:
        print(limit)


async def case_gathering_future():
    group = asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
    print(group)
    await group
    print(group)


async def case_shielded_future():
    task = asyncio.create_task(asyncio.sleep(0, "slept"))
    outer = asyncio.shield(task)
    await outer
    print(outer)


async def case_classes():
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(asyncio.sleep(0))
    handle, timer = loop.call_soon(callback), loop.call_later(60, callback)
    for thing in (loop.create_future(), task, handle, timer):
        print(type(thing).__name__, type(thing).__qualname__, asyncio.isfuture(thing))
    print(issubclass(type(timer), type(handle)), isinstance(loop, asyncio.AbstractEventLoop))
    timer.cancel()
    await task


async def case_subclasses():
    class MyFuture(asyncio.Future):
        pass

    class MyTask(asyncio.Task):
        def __repr__(self):
            return f"<mine {super().__repr__()}>"

    print(MyFuture())
    task = MyTask(asyncio.sleep(0), name="sub")
    print(task)
    await task
    print(task)


async def case_timer_order():
    loop = asyncio.get_running_loop()
    early, late, same = (loop.call_at(when, callback) for when in (10, 20, 10))
    print(early < late, early <= late, early > late, early >= same, early <= same)
    print(early == same, early == late, early == 10, hash(early) == hash(same))
    try:
        print(early < 10)
    except TypeError as error:
        print(error)
    for handle in (early, late, same):
        handle.cancel()
    print(early == same)


async def case_generic_aliases():
    for kind in (asyncio.Future, asyncio.Task, asyncio.Queue):
        print(str(kind[int]).rpartition(".")[2])


async def case_stack():
    import io

    async def inner():
        await asyncio.sleep(60)

    async def outer():
        await inner()

    def show(task):
        text = io.StringIO()
        task.print_stack(file=text)
        print(text.getvalue().replace(__file__, "reprs.py"))
        print([frame.f_code.co_name for frame in task.get_stack()])

    task = asyncio.create_task(outer(), name="stack")
    show(task)
    await asyncio.sleep(0)
    show(task)
    print(len(task.get_stack(limit=1)), len(task.get_stack(limit=0)))
    task.cancel()
    await asyncio.wait([task])
    show(task)


async def case_stack_of_a_failed_task():
    import io

    async def inner():
        raise ValueError("error")

    async def outer():
        await inner()

    task = asyncio.create_task(outer(), name="stack")
    await asyncio.wait([task])
    text = io.StringIO()
    task.print_stack(file=text)
    print(text.getvalue().replace(__file__, "reprs.py"))
    print([frame.f_code.co_name for frame in task.get_stack()])
    print([frame.f_code.co_name for frame in task.get_stack(limit=1)])


async def case_private_attributes_that_others_read():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    print(future._state, future._callbacks, future._exception, future._result, future._log_traceback)
    print(future._asyncio_future_blocking, future._cancel_message, future._source_traceback)
    print(future._loop is loop)
    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    print(type(task._fut_waiter).__name__, task._must_cancel, task._log_destroy_pending)
    print(task._coro is task.get_coro(), task._state)
    task.add_done_callback(callback)
    print([(function.__name__, type(context).__name__) for function, context in task._callbacks])
    task.cancel()
    handle = loop.call_soon(callback, 1, 2)
    print(handle._callback is callback, handle._args, handle._cancelled)
    handle.cancel()
    print(handle._callback, handle._args, handle._cancelled)
    await asyncio.sleep(0)


@since(3, 12)
async def case_contexts():
    import contextvars

    context = contextvars.copy_context()
    task = asyncio.create_task(asyncio.sleep(0), context=context)
    handle = asyncio.get_running_loop().call_soon(callback, context=context)
    print(task.get_context() is context, handle.get_context() is context)
    await task


async def case_garbage_in_the_middle_of_a_repr():
    future = asyncio.get_running_loop().create_future()

    class Clearing:
        def __call__(self, future):
            pass

        def __repr__(self):
            future.remove_done_callback(self)
            gc.collect()
            return "Clearing()"

    future.add_done_callback(Clearing())
    print("Clearing" in repr(future), future)
