"""Tasks, futures, handles and timers, and what else a loop runs."""

import contextlib
import functools

from .register import batches, fails, forever, ignore, nothing, workload


@workload
async def sleep_zero(aio, count):
    for _ in range(count):
        await aio.sleep(0)


@workload
async def tasks(aio, count):
    for _ in range(count):
        await aio.create_task(nothing())


@workload
async def tasks_that_fail(aio, count):
    for _ in range(count):
        with contextlib.suppress(ValueError):
            await aio.create_task(fails())


@workload
async def tasks_cancelled_before_they_start(aio, count):
    for size in batches(count):
        tasks = [aio.create_task(nothing()) for _ in range(size)]
        for task in tasks:
            task.cancel()
        await aio.wait(tasks)


@workload
async def tasks_cancelled_while_they_wait(aio, count):
    for size in batches(count):
        tasks = [aio.create_task(forever()) for _ in range(size)]
        await aio.sleep(0)
        for task in tasks:
            task.cancel("message")
        await aio.wait(tasks)


@workload
async def tasks_with_names_and_callbacks(aio, count):
    for number in range(count):
        task = aio.create_task(nothing(), name=f"name {number}")
        task.add_done_callback(ignore)
        task.add_done_callback(functools.partial(ignore, task))
        task.remove_done_callback(ignore)
        repr(task)
        await task


@workload
async def futures(aio, count):
    loop = aio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future


@workload
async def futures_with_errors(aio, count):
    loop = aio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        future.set_exception(ValueError("expected"))
        with contextlib.suppress(ValueError):
            await future


@workload
async def futures_abandoned(aio, count):
    loop = aio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        future.add_done_callback(functools.partial(ignore, future))


@workload
async def futures_cancelled(aio, count):
    loop = aio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        future.add_done_callback(ignore)
        future.cancel("message")
    await aio.sleep(0)


@workload
async def handles(aio, count):
    loop = aio.get_running_loop()
    for size in batches(count):
        for _ in range(size):
            loop.call_soon(ignore, object())
        await aio.sleep(0)


@workload
async def handles_cancelled(aio, count):
    loop = aio.get_running_loop()
    for size in batches(count):
        for _ in range(size):
            loop.call_soon(ignore, object()).cancel()
        await aio.sleep(0)


@workload
async def timers(aio, count):
    loop = aio.get_running_loop()
    for size in batches(count):
        for _ in range(size):
            loop.call_later(0, ignore, object())
        await aio.sleep(0.0001)
    await aio.sleep(0.001)


@workload
async def timers_cancelled(aio, count):
    loop = aio.get_running_loop()
    for size in batches(count):
        for _ in range(size):
            loop.call_later(3600, ignore, object()).cancel()
        await aio.sleep(0)


@workload
async def callbacks_that_raise(aio, count):
    loop = aio.get_running_loop()
    loop.set_exception_handler(ignore)
    for _ in range(count):
        loop.call_soon(int, "no number")
        await aio.sleep(0)
    loop.set_exception_handler(None)


@workload
async def errors_never_retrieved(aio, count):
    loop = aio.get_running_loop()
    loop.set_exception_handler(ignore)
    for _ in range(count):
        aio.create_task(fails())
        await aio.sleep(0)
    loop.set_exception_handler(None)


@workload
async def threadsafe_calls(aio, count):
    loop = aio.get_running_loop()
    for size in batches(count):
        for _ in range(size):
            loop.call_soon_threadsafe(ignore, object())
        await aio.sleep(0)


@workload
async def sleeps_cancelled(aio, count):
    for size in batches(count):
        tasks = [aio.create_task(aio.sleep(3600)) for _ in range(size)]
        await aio.sleep(0)
        for task in tasks:
            task.cancel()
        await aio.wait(tasks)


@workload
async def coroutines_never_started(aio, count):
    for _ in range(count):
        aio.sleep(1).close()


@workload
async def async_generators_left(aio, count):
    async def numbers():
        yield 1
        yield 2

    for _ in range(count // 4):
        async for _ in numbers():
            break
        await aio.sleep(0)


@workload
async def calls_in_threads(aio, count):
    for _ in range(count // 50):
        await aio.to_thread(ignore)
        await aio.get_running_loop().run_in_executor(None, ignore)


@workload
async def introspection(aio, count):
    for _ in range(count // 10):
        task = aio.create_task(forever())
        await aio.sleep(0)
        aio.all_tasks()
        aio.current_task()
        task.get_stack()
        repr(task)
        task.cancel()
        with contextlib.suppress(aio.CancelledError):
            await task
