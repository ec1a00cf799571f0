"""Callbacks, destructors and tasks that raise: what the program and the exception handler see."""

import asyncio
import gc

from _case import since


def report(loop, context):
    print("handler:", sorted(context))
    print("  message:", context["message"].partition("(")[0].partition("<")[0])
    print("  exception:", repr(context.get("exception")))


async def watched(*steps):
    """Runs each step in a turn of its own, with an exception handler that prints."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report)
    for step in steps:
        step(loop)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    print("the loop goes on:", loop.is_running())


def raise_(error):
    raise error


async def case_callback_that_raises():
    await watched(lambda loop: loop.call_soon(raise_, ValueError("in a callback")))


async def case_timer_that_raises():
    await watched(
        lambda loop: loop.call_later(0, raise_, ValueError("in a timer")),
        lambda loop: loop.call_soon(print, "next"),
    )
    await asyncio.sleep(0.001)


async def case_callback_from_another_thread_that_raises():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report)
    await asyncio.to_thread(loop.call_soon_threadsafe, raise_, ValueError("from a thread"))
    await asyncio.sleep(0.001)


async def case_done_callback_that_raises():
    def settle(loop):
        future = loop.create_future()
        future.add_done_callback(lambda future: 1 / 0)
        future.add_done_callback(lambda future: print("the next callback:", future.result()))
        future.set_result(1)

    await watched(settle)


async def case_callback_without_a_handler_is_logged():
    asyncio.get_running_loop().call_soon(raise_, ValueError("logged"))
    await asyncio.sleep(0)


async def case_callback_with_the_wrong_arguments():
    asyncio.get_running_loop().call_soon(watched.__name__.upper, 1, 2)
    await asyncio.sleep(0)


async def case_callback_that_cannot_be_called():
    asyncio.get_running_loop().call_soon(42)
    await asyncio.sleep(0)


async def case_handler_that_raises():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: 1 / 0)
    loop.call_soon(raise_, ValueError("first"))
    await asyncio.sleep(0)
    print("the loop goes on")


async def case_default_handler_called_by_hand():
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "said so", "exception": KeyError("k"), "detail": [1, 2]})
    loop.call_exception_handler({})
    loop.default_exception_handler({"message": "and again"})


async def case_task_whose_error_nobody_retrieves():
    async def fail():
        raise LookupError("lost")

    task = asyncio.create_task(fail(), name="failing")
    await asyncio.sleep(0)
    del task
    gc.collect()


async def case_future_whose_error_nobody_retrieves():
    asyncio.get_running_loop().create_future().set_exception(LookupError("lost"))
    gc.collect()


async def case_error_that_was_retrieved_is_not_reported():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    future.set_exception(LookupError("seen"))
    print(repr(future.exception()))
    del future
    gc.collect()
    print("silence")


def case_main_whose_error_is_raised_is_not_reported():
    async def main():
        raise LookupError("seen")

    try:
        asyncio.run(main())
    except LookupError as error:
        print(repr(error))
    gc.collect()


async def case_gather_whose_second_error_nobody_sees():
    async def fail(error):
        raise error

    try:
        await asyncio.gather(fail(ValueError("first")), fail(KeyError("second")))
    except ValueError as error:
        print(repr(error))
    gc.collect()


async def case_destructor_that_raises():
    class Thorny:
        def __del__(self):
            raise ValueError("in __del__")

    loop = asyncio.get_running_loop()
    loop.call_soon(lambda thorny: print("called"), Thorny())
    await asyncio.sleep(0)
    future = loop.create_future()
    future.set_result(Thorny())
    del future
    gc.collect()
    handle = loop.call_later(60, print, Thorny())
    handle.cancel()
    del handle
    gc.collect()
    print("the loop goes on")


async def case_destructor_that_uses_the_loop():
    class Busy:
        def __del__(self):
            loop.call_soon(print, "from __del__")

    loop = asyncio.get_running_loop()
    loop.call_soon(lambda busy: print("called"), Busy())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    handle = loop.call_soon(print, Busy())
    handle.cancel()
    del handle
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def case_destructor_that_runs_while_the_loop_closes():
    class Busy:
        def __del__(self):
            try:
                loop.call_soon(print, "never")
            except RuntimeError as error:
                print(error)

    loop = asyncio.new_event_loop()
    loop.call_soon(print, Busy())
    loop.call_later(60, print, Busy())
    loop.close()
    gc.collect()
    print("closed")


def escapes(run):
    try:
        run()
    except BaseException as error:
        print("escaped:", repr(error))


def base_errors():
    return [KeyboardInterrupt("k"), SystemExit(3), GeneratorExit("g"), BaseException("b")]


def case_base_exception_in_a_callback():
    for error in base_errors():
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(report)
        loop.call_soon(raise_, error)
        loop.call_soon(print, "after it")
        loop.call_soon(loop.stop)
        escapes(loop.run_forever)
        print("running:", loop.is_running(), "closed:", loop.is_closed())
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()


def case_base_exception_in_a_timer():
    for error in base_errors():
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(report)
        loop.call_later(0, raise_, error)
        loop.call_later(0.01, loop.stop)
        escapes(loop.run_forever)
        loop.close()


def case_base_exception_in_main():
    for error in base_errors():

        async def main(error=error):
            await asyncio.sleep(0)
            raise error

        escapes(lambda: asyncio.run(main()))


def case_base_exception_in_another_task():
    for error in base_errors():

        async def fail(error):
            raise error

        async def main(error=error):
            task = asyncio.create_task(fail(error))
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                print("main is cancelled")
                raise
            print("task:", repr(task.exception()))

        escapes(lambda: asyncio.run(main()))


def case_base_exception_in_a_done_callback():
    for error in base_errors():
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(report)
        future = loop.create_future()
        future.add_done_callback(lambda future, error=error: raise_(error))
        future.add_done_callback(lambda future: print("the next callback"))
        future.set_result(1)
        loop.call_soon(loop.stop)
        escapes(loop.run_forever)
        loop.close()


def case_base_exception_in_gather():
    for error in base_errors():

        async def fail(error):
            await asyncio.sleep(0)
            raise error

        async def main(error=error):
            print(await asyncio.gather(fail(error), asyncio.sleep(0, 1), return_exceptions=True))

        escapes(lambda: asyncio.run(main()))


def case_base_exception_in_a_task_group():
    for error in (KeyboardInterrupt("k"), SystemExit(3)):

        async def fail(error):
            raise error

        async def main(error=error):
            async with asyncio.TaskGroup() as group:
                group.create_task(fail(error))
                group.create_task(asyncio.sleep(60))

        escapes(lambda: asyncio.run(main()))


async def case_stop_iteration_in_a_task():
    async def fail():
        raise StopIteration("s")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    print(repr(task.exception()), repr(task.exception().__cause__))


def case_callback_that_stops_and_raises():
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(report)

    def stop():
        loop.stop()
        raise ValueError("and stop")

    loop.call_soon(stop)
    loop.call_soon(print, "same turn")
    loop.call_soon(loop.call_soon, print, "never in this run")
    loop.run_forever()
    loop.close()


async def case_exception_keeps_its_context_and_cause():
    async def inner():
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")

    async def outer():
        try:
            await asyncio.create_task(inner())
        except ValueError as error:
            raise RuntimeError("third") from error

    await outer()


async def case_errors_raised_while_another_is_handled():
    loop = asyncio.get_running_loop()
    settled = {
        "error": lambda future: future.set_exception(KeyError("stored")),
        "cancelled": lambda future: future.cancel("cancelled"),
    }

    async def already_done(future):
        await future

    async def done_later(future):
        await asyncio.sleep(0)
        await future

    async def with_a_limit(future):
        await asyncio.wait_for(future, 60)

    async def result(future):
        future.result()

    async def exception(future):
        if future.cancelled():
            future.exception()

    for name, settle in settled.items():
        for use in already_done, done_later, with_a_limit, result, exception:
            future = loop.create_future()
            settle(future)
            try:
                try:
                    raise ValueError("handled")
                except ValueError:
                    await use(future)
            except BaseException as error:
                print(name, use.__name__, repr(error), "during", repr(error.__context__))
            # Once more, with nothing being handled.
            try:
                await use(future)
            except BaseException as error:
                print(name, use.__name__, repr(error), "again during", repr(error.__context__))


def case_loop_that_runs_while_an_error_is_handled():
    async def fail():
        raise KeyError("inner")

    async def main():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.cancel)
        for awaitable in asyncio.create_task(fail()), future:
            try:
                await awaitable
            except BaseException as error:
                print(repr(error), "during", repr(error.__context__))

    try:
        raise ValueError("handled")
    except ValueError:
        asyncio.run(main())


async def case_same_exception_awaited_twice():
    async def fail():
        raise ValueError("once")

    task = asyncio.create_task(fail())
    for _ in range(2):
        try:
            await task
        except ValueError as error:
            print(repr(error), error is task.exception())


async def case_task_factory_that_raises():
    def factory(loop, coroutine, **kwargs):
        coroutine.close()
        raise ValueError("no tasks today")

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        asyncio.create_task(asyncio.sleep(0))
    except ValueError as error:
        print(error)
    finally:
        loop.set_task_factory(None)


@since(3, 12)
async def case_eager_task_that_raises_at_once():
    async def fail(error):
        raise error

    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    task = asyncio.create_task(fail(ValueError("at once")))
    print(task.done(), repr(task.exception()))
    for error in base_errors():
        try:
            task = asyncio.create_task(fail(error))
            print(task.done(), repr(task.exception()))
        except BaseException as error:
            print("escaped:", repr(error))
    loop.set_task_factory(None)
