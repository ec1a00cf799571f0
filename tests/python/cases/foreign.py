"""Tasks and futures of other makes on the loop, and the loop's own on loops of other makes.

A program may mix stock asyncio, its pure Python classes, classes of its own and loops that override
methods. `stock` here is always the standard library, whatever `asyncio` is.
"""

import asyncio
import importlib
import types

stock_tasks = importlib.import_module("asyncio.tasks")
stock_futures = importlib.import_module("asyncio.futures")


class DuckFuture:
    """The least that `await` in a task needs of a future."""

    _asyncio_future_blocking = False

    def __init__(self, loop):
        self._loop = loop
        self._callbacks = []
        self._done = False
        self._value = None
        self._cancelled = False

    def get_loop(self):
        return self._loop

    def add_done_callback(self, callback, *, context=None):
        print("  add_done_callback with a context:", context is not None)
        self._callbacks.append((callback, context))

    def cancel(self, msg=None):
        print("  cancel", msg)
        self._cancelled = True
        self._settle()
        return True

    def set(self, value):
        self._value = value
        self._settle()

    def _settle(self):
        self._done = True
        for callback, context in self._callbacks:
            self._loop.call_soon(callback, self, context=context)

    def done(self):
        return self._done

    def cancelled(self):
        return self._cancelled

    def result(self):
        if self._cancelled:
            raise asyncio.CancelledError
        return self._value

    def __await__(self):
        if not self._done:
            self._asyncio_future_blocking = True
            yield self
        return self.result()


async def work(turns=2):
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    task = asyncio.current_task()
    return type(task).__name__, task in asyncio.all_tasks()


async def forever():
    await asyncio.get_running_loop().create_future()


async def case_python_task_on_the_loop():
    task = stock_tasks._PyTask(work(), loop=asyncio.get_running_loop())
    print(await task)


async def case_python_task_cancelled():
    task = stock_tasks._PyTask(forever(), loop=asyncio.get_running_loop())
    await asyncio.sleep(0)
    task.cancel("message")
    try:
        await task
    except asyncio.CancelledError as error:
        print(error.args)


async def case_python_future_on_the_loop():
    loop = asyncio.get_running_loop()
    future = stock_futures._PyFuture(loop=loop)
    loop.call_soon(future.set_result, "python")
    print(await future)
    future = stock_futures._PyFuture(loop=loop)
    loop.call_soon(future.set_exception, ValueError("python"))
    try:
        await future
    except ValueError as error:
        print(error)


async def case_python_tasks_everywhere():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(lambda loop, coroutine, **options: stock_tasks._PyTask(coroutine, loop=loop, **options))
    try:
        print(await asyncio.gather(work(), work()))
        print(await asyncio.wait_for(work(), 60))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work()) for _ in range(2)]
        print([task.result() for task in tasks])
        async with asyncio.timeout(60):
            print(await asyncio.shield(work()))
    finally:
        loop.set_task_factory(None)


async def case_current_task_of_a_python_task():
    async def who():
        inner = asyncio.current_task()
        before = inner.get_name()
        await asyncio.sleep(0)
        return before, asyncio.current_task() is inner

    loop = asyncio.get_running_loop()
    me = asyncio.current_task()
    foreign = stock_tasks._PyTask(who(), loop=loop, name="foreign")
    own = asyncio.create_task(who(), name="own")
    print(await foreign, await own, asyncio.current_task() is me)


async def case_all_tasks_has_both_kinds():
    loop = asyncio.get_running_loop()
    tasks = [stock_tasks._PyTask(forever(), loop=loop, name="foreign")]
    tasks.append(asyncio.create_task(forever(), name="own"))
    await asyncio.sleep(0)
    for all_tasks in (asyncio.all_tasks, stock_tasks.all_tasks):
        print(sorted(task.get_name() for task in all_tasks() if task in tasks))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    print([task for task in asyncio.all_tasks() if task in tasks])


async def case_stock_functions_see_our_tasks():
    import asyncio.events as stock_events

    loop = asyncio.get_running_loop()
    print(stock_events.get_running_loop() is loop, stock_tasks.current_task() is asyncio.current_task())
    print(stock_events._get_running_loop() is loop)


async def case_wait_mixes_all_kinds():
    loop = asyncio.get_running_loop()
    tasks = [
        stock_tasks._PyTask(work(1), loop=loop),
        asyncio.create_task(work(2)),
        stock_tasks.Task(work(3), loop=loop),
        stock_futures._PyFuture(loop=loop),
        stock_futures.Future(loop=loop),
        loop.create_future(),
    ]
    for future in tasks[3:]:
        loop.call_soon(future.set_result, ("future", None))
    done, pending = await asyncio.wait(tasks)
    print(len(done), len(pending))
    print(await asyncio.gather(*tasks))
    print([await completed for completed in asyncio.as_completed(tasks)] != [])


async def case_duck_future():
    loop = asyncio.get_running_loop()
    future = DuckFuture(loop)

    async def wait():
        return await future

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    future.set("quack")
    print(await task, asyncio.isfuture(future))


async def case_duck_future_cancelled_through_the_task():
    future = DuckFuture(asyncio.get_running_loop())

    async def wait():
        return await future

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    print(task.cancel("please"))
    try:
        await task
    except asyncio.CancelledError as error:
        print(error.args, task.cancelled())


async def case_duck_future_in_a_python_task():
    future = DuckFuture(asyncio.get_running_loop())

    async def wait():
        return await future

    task = stock_tasks._PyTask(wait(), loop=asyncio.get_running_loop())
    await asyncio.sleep(0)
    future.set("quack")
    print(await task)


async def case_future_awaited_by_both_kinds_of_tasks():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    order = []

    async def wait(name):
        await future
        order.append(name)

    tasks = [
        asyncio.create_task(wait("own 1")),
        stock_tasks._PyTask(wait("python"), loop=loop),
        asyncio.create_task(wait("own 2")),
    ]
    await asyncio.sleep(0)
    future.set_result(None)
    await asyncio.wait(tasks)
    print(order)


async def case_generator_based_coroutine():
    @types.coroutine
    def turns(count):
        for _ in range(count):
            yield
        return "turned"

    async def wait():
        return await turns(2)

    print(await asyncio.create_task(wait()))


async def case_coroutine_of_another_kind():
    import collections.abc

    class Coroutine(collections.abc.Coroutine):
        turns = 2

        def send(self, value):
            if self.turns:
                self.turns -= 1
                return None
            raise StopIteration("sent to its end")

        def throw(self, *error):
            print("  thrown into:", error[0] if len(error) == 1 else error[1])
            raise error[0] if len(error) == 1 else error[1]

        def close(self):
            pass

        def __await__(self):
            return self

        __iter__ = __await__

        def __next__(self):
            return self.send(None)

    print(asyncio.iscoroutine(Coroutine()))
    print(await asyncio.create_task(Coroutine()))
    task = asyncio.create_task(Coroutine())
    await asyncio.sleep(0)
    task.cancel("stop")
    try:
        await task
    except asyncio.CancelledError as error:
        print(error.args)


def python_loop():
    """A stock loop with one method replaced, as test suites and profilers do."""
    import asyncio.unix_events as unix_events

    class Counting(unix_events.SelectorEventLoop):
        calls = 0

        def call_soon(self, callback, *args, context=None):
            Counting.calls += 1
            return super().call_soon(callback, *args, context=context)

    return Counting()


def on_a_stock_loop(coroutine):
    loop = python_loop()
    try:
        print(loop.run_until_complete(coroutine))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    print("call_soon was asked:", loop.calls > 0)


def case_task_on_a_stock_loop():
    async def main():
        return await asyncio.Task(work(), loop=asyncio.get_running_loop())

    on_a_stock_loop(main())


def case_future_on_a_stock_loop():
    async def main():
        future = asyncio.Future(loop=asyncio.get_running_loop())
        asyncio.get_running_loop().call_soon(future.set_result, "settled")
        return await future

    on_a_stock_loop(main())


def case_task_cancelled_on_a_stock_loop():
    async def main():
        task = asyncio.Task(forever(), loop=asyncio.get_running_loop())
        await asyncio.sleep(0)
        task.cancel("message")
        try:
            await task
        except asyncio.CancelledError as error:
            return error.args

    on_a_stock_loop(main())


def case_vocabulary_on_a_stock_loop():
    async def main():
        results = await asyncio.gather(work(), asyncio.create_task(work()))
        results.append(await asyncio.wait_for(work(), 60))
        results.append(await asyncio.shield(work()))
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            task = group.create_task(work())
        results.append(task.result())
        done, _ = await asyncio.wait([asyncio.create_task(work())])
        results.extend(task.result() for task in done)
        results.append(await asyncio.to_thread(pow, 2, 5))
        try:
            await asyncio.wait_for(forever(), 0.001)
        except TimeoutError:
            results.append("TimeoutError")
        return results

    on_a_stock_loop(main())


def case_loop_subclass_that_overrides_call_soon():
    class Recording(asyncio.SelectorEventLoop):
        def call_soon(self, callback, *args, context=None):
            recorded.append(getattr(callback, "__name__", type(callback).__name__))
            return super().call_soon(callback, *args, context=context)

    recorded = []
    loop = Recording()

    async def main():
        await asyncio.sleep(0)
        loop.call_soon(print, "called")
        await asyncio.sleep(0)
        return "returned"

    print(loop.run_until_complete(main()))
    loop.close()
    print("print" in recorded, len(recorded) > 3)


async def case_task_subclass_as_the_factory():
    class Task(asyncio.Task):
        def add_done_callback(self, function, *, context=None):
            print("  add_done_callback")
            super().add_done_callback(function, context=context)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(lambda loop, coroutine, **options: Task(coroutine, loop=loop, **options))
    try:
        print(await asyncio.create_task(work(), name="sub"))
        print(await asyncio.gather(work()))
    finally:
        loop.set_task_factory(None)


async def case_future_subclass_with_its_own_result():
    class Doubling(asyncio.Future):
        def result(self):
            return super().result() * 2

    future = Doubling()
    asyncio.get_running_loop().call_soon(future.set_result, 21)
    print(await future, future.result())


async def case_isfuture_and_iscoroutine():
    loop = asyncio.get_running_loop()
    coroutine = work(0)
    print([asyncio.isfuture(thing) for thing in (loop.create_future(), DuckFuture(loop), coroutine, 1)])
    print([asyncio.iscoroutine(thing) for thing in (loop.create_future(), coroutine, work, 1)])
    print(await coroutine)
    sleeping = asyncio.sleep(0, "slept")
    print(asyncio.iscoroutine(sleeping), await sleeping)


async def case_concurrent_future_wrapped():
    import concurrent.futures

    future = concurrent.futures.Future()
    wrapped = asyncio.wrap_future(future)
    await asyncio.to_thread(future.set_result, "from a thread")
    print(await wrapped, asyncio.wrap_future(wrapped) is wrapped)
    future = concurrent.futures.Future()
    wrapped = asyncio.wrap_future(future)
    wrapped.cancel()
    await asyncio.sleep(0)
    print(future.cancelled())
    future = concurrent.futures.Future()
    wrapped = asyncio.wrap_future(future)
    future.cancel()
    try:
        await wrapped
    except asyncio.CancelledError:
        print("cancelled from the other side")
