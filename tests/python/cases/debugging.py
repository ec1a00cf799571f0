"""Debug mode: what is checked and what is reported in addition."""

import asyncio
import gc
import time


def debugged(main):
    """Runs `main` in debug mode; slow callbacks are reported only where that is the subject."""

    async def quiet():
        asyncio.get_running_loop().slow_callback_duration = 60
        await main()

    asyncio.run(quiet(), debug=True)


def show(call, *args, **kwargs):
    try:
        print("returned", call(*args, **kwargs) is not None)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}")


def case_it_is_on():
    async def main():
        loop = asyncio.get_running_loop()
        print(loop.get_debug(), loop.slow_callback_duration)
        loop.set_debug(False)
        print(loop.get_debug())
        loop.set_debug(True)

    debugged(main)


def case_slow_callback():
    async def main():
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.02
        loop.call_soon(time.sleep, 0.04)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop.slow_callback_duration = 60

    debugged(main)


def case_slow_step_of_a_task():
    async def slow():
        time.sleep(0.04)

    async def main():
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.02
        await asyncio.create_task(slow(), name="slow one")
        loop.slow_callback_duration = 60

    debugged(main)


def case_wrong_thread():
    async def main():
        loop = asyncio.get_running_loop()
        other = asyncio.new_event_loop()
        other.set_debug(True)
        future = loop.create_future()
        called = []

        def wrong():
            show(loop.call_soon, print)
            show(loop.call_later, 1, print)
            show(loop.call_at, 1, print)
            show(loop.call_soon_threadsafe, called.append, "from the thread")
            future.add_done_callback(print)
            show(future.set_result, 1)

        await asyncio.to_thread(wrong)
        await asyncio.sleep(0.001)
        print(called)
        # A loop that does not run belongs to no thread.
        await asyncio.to_thread(other.call_soon, print)
        other.close()

    debugged(main)


def case_coroutines_as_callbacks():
    async def work():
        pass

    async def main():
        loop = asyncio.get_running_loop()
        coroutine = work()
        for method, args in (
            (loop.call_soon, ()),
            (loop.call_later, (1,)),
            (loop.call_at, (1,)),
            (loop.call_soon_threadsafe, ()),
        ):
            show(method, *args, work)
            show(method, *args, coroutine)
            show(method, *args, 42)
        coroutine.close()

    debugged(main)


def case_where_things_were_made():
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        print(future)
        print("main" in [frame.name for frame in future._source_traceback])
        handle = loop.call_soon(print, 1)
        print(handle)
        print(handle._source_traceback[-1].name)
        handle.cancel()
        print(handle)
        timer = loop.call_at(1e9, print)
        print(timer)
        timer.cancel()
        print(timer)
        task = asyncio.create_task(asyncio.sleep(0), name="made here")
        print("created at" in repr(task), "main" in [frame.name for frame in task._source_traceback])
        await task

    debugged(main)


def case_error_nobody_retrieves():
    async def fail():
        raise ValueError("lost")

    async def main():
        task = asyncio.create_task(fail(), name="failing")
        await asyncio.sleep(0)
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: print(sorted(context), repr(context["exception"]))
        )
        del task
        gc.collect()

    debugged(main)


def case_callback_that_raises():
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda loop, context: print(sorted(context), repr(context["exception"]))
        )
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)

    debugged(main)


def case_pending_task_destroyed():
    def make(loop):
        async def lost():
            await loop.create_future()

        loop.create_task(lost(), name="lost")

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: print(sorted(context), context["message"]))
    for debug in (False, True):
        loop.set_debug(debug)
        make(loop)
        loop.run_until_complete(asyncio.sleep(0))
        gc.collect()
    loop.close()


def case_loop_that_was_not_closed():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    text = repr(loop).partition(" ")[2]
    del loop
    gc.collect()
    print(text)


def case_coroutine_never_awaited_names_its_origin():
    async def work():
        pass

    async def main():
        work()
        gc.collect()

    debugged(main)


def case_origin_tracking_is_put_back():
    import sys

    async def main():
        print(sys.get_coroutine_origin_tracking_depth())

    before = sys.get_coroutine_origin_tracking_depth()
    debugged(main)
    print(sys.get_coroutine_origin_tracking_depth() == before)


def case_async_generator_hooks_are_put_back():
    import sys

    async def main():
        print([hook is not None for hook in sys.get_asyncgen_hooks()])

    asyncio.run(main())
    print(sys.get_asyncgen_hooks())


def case_async_generator_made_after_shutdown():
    async def numbers():
        yield 1
        yield 2

    loop = asyncio.new_event_loop()
    loop.run_until_complete(loop.shutdown_asyncgens())

    async def main():
        iterator = numbers()
        await anext(iterator)
        return iterator

    iterator = loop.run_until_complete(main())
    loop.run_until_complete(iterator.aclose())
    loop.close()


def case_async_generator_that_fails_to_close():
    async def numbers():
        try:
            yield 1
        finally:
            raise ValueError("while closing")

    async def main():
        iterator = numbers()
        await anext(iterator)
        kept.append(iterator)

    kept = []
    asyncio.run(main())
