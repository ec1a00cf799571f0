"""Bad use, and the errors it gets."""

import asyncio
import contextvars
import gc

from _case import since


async def nothing():
    pass


def show(call, *args, **kwargs):
    try:
        print("returned", call(*args, **kwargs))
    except BaseException as error:
        print(f"{type(error).__name__}: {error}")
    gc.collect()


async def show_await(awaitable):
    try:
        print("returned", await awaitable)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}")


def on_a_loop(call):
    loop = asyncio.new_event_loop()
    try:
        call(loop)
    finally:
        loop.close()


def case_run_of_a_coroutine_function():
    show(asyncio.run, nothing)


def case_run_of_what_is_no_coroutine():
    for wrong in (None, 42, "text", [], object):
        show(asyncio.run, wrong)


async def case_run_inside_a_running_loop():
    coroutine = nothing()
    show(asyncio.run, coroutine)
    coroutine.close()


async def case_runner_inside_a_running_loop():
    coroutine = nothing()
    with asyncio.Runner() as runner:
        show(runner.run, coroutine)
    coroutine.close()


def case_runner_after_close():
    runner = asyncio.Runner()
    show(runner.run, nothing())
    runner.close()
    runner.close()
    coroutine = nothing()
    show(runner.run, coroutine)
    show(runner.get_loop)
    coroutine.close()


async def case_run_until_complete_inside_a_running_loop():
    loop = asyncio.get_running_loop()
    coroutine = nothing()
    show(loop.run_until_complete, coroutine)
    show(loop.run_forever)
    coroutine.close()
    gc.collect()


async def case_another_loop_inside_a_running_loop():
    other = asyncio.new_event_loop()
    coroutine = nothing()
    show(other.run_until_complete, coroutine)
    show(other.run_forever)
    coroutine.close()
    other.close()


async def case_closing_a_running_loop():
    show(asyncio.get_running_loop().close)


def case_closed_loop():
    loop = asyncio.new_event_loop()
    loop.close()
    loop.close()
    print(loop.is_closed(), loop.is_running())
    coroutine = nothing()
    show(loop.call_soon, print)
    show(loop.call_soon_threadsafe, print)
    show(loop.call_later, 1, print)
    show(loop.call_at, 1, print)
    show(loop.run_forever)
    show(loop.run_until_complete, coroutine)
    show(loop.run_in_executor, None, print)
    show(loop.create_task, coroutine)
    coroutine.close()
    print(loop.time() > 0, loop.get_debug(), loop.create_future().done())


def case_loop_that_stops_before_the_future_is_done():
    def check(loop):
        loop.call_soon(loop.stop)
        show(loop.run_until_complete, loop.create_future())

    on_a_loop(check)


def case_future_of_another_loop():
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    show(first.run_until_complete, second.create_future())
    first.close()
    second.close()


async def case_awaiting_a_future_of_another_loop():
    other = asyncio.new_event_loop()
    future = other.create_future()

    async def wait():
        await future

    task = asyncio.create_task(wait(), name="waiter")
    await asyncio.wait([task])
    print(type(task.exception()).__name__, "attached to a different loop" in str(task.exception()))
    show(asyncio.gather, future, asyncio.get_running_loop().create_future())
    await asyncio.gather(return_exceptions=True)
    other.close()


async def case_delays_that_are_no_delays():
    loop = asyncio.get_running_loop()
    show(loop.call_later, None, print)
    show(loop.call_at, None, print)
    for wrong in ("1", None, [], 1j):
        await show_await(asyncio.sleep(wrong))


async def case_negative_delays_are_due_at_once():
    loop = asyncio.get_running_loop()
    seen = []
    loop.call_later(-5, seen.append, "later")
    loop.call_at(-5, seen.append, "at")
    await asyncio.sleep(-1, seen.append("slept"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    print(seen)
    await show_await(asyncio.sleep(-5, "result"))


@since(3, 13)
async def case_delay_that_is_no_number():
    await show_await(asyncio.sleep(float("nan")))


async def case_timer_for_ever():
    handle = asyncio.get_running_loop().call_later(float("inf"), print)
    print(handle.when(), handle.cancelled())
    handle.cancel()
    await asyncio.sleep(0)
    task = asyncio.create_task(asyncio.sleep(float("inf")))
    await asyncio.sleep(0)
    task.cancel()
    await show_await(task)


async def case_awaiting_a_coroutine_twice():
    coroutine = nothing()
    await coroutine
    await show_await(coroutine)


async def case_awaiting_a_coroutine_that_is_being_awaited():
    async def wait():
        await asyncio.sleep(0)

    coroutine = wait()
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)

    async def again():
        await coroutine

    await show_await(again())
    await task


async def case_awaiting_what_cannot_be_awaited():
    for wrong in (None, 42, nothing, print):

        async def wait(wrong=wrong):
            await wrong

        await show_await(wait())


async def case_tasks_of_what_is_no_coroutine():
    loop = asyncio.get_running_loop()
    for wrong in (None, 42, nothing, loop.create_future()):
        show(asyncio.create_task, wrong)
        show(loop.create_task, wrong)
        show(asyncio.Task, wrong)


def case_task_without_a_loop():
    coroutine = nothing()
    show(asyncio.create_task, coroutine)
    show(asyncio.get_running_loop)
    show(asyncio.current_task)
    show(asyncio.all_tasks)
    coroutine.close()


async def case_task_that_yields_rubbish():
    class Yields:
        def __init__(self, value):
            self.value = value

        def __await__(self):
            yield self.value

    async def wait(value):
        await Yields(value)

    for rubbish in (42, "text", object, [1]):
        task = asyncio.create_task(wait(rubbish), name="wrong")
        await asyncio.wait([task])
        print(type(task.exception()).__name__, str(task.exception()).partition(":")[0])


async def case_task_that_yields_a_future_without_awaiting_it():
    future = asyncio.get_running_loop().create_future()

    class Yields:
        def __await__(self):
            yield future

    async def wait():
        await Yields()

    task = asyncio.create_task(wait())
    await asyncio.wait([task])
    print(type(task.exception()).__name__, "yield was used instead of yield from" in str(task.exception()))


async def case_task_that_yields_a_generator():
    def generator():
        yield

    class Yields:
        def __await__(self):
            yield generator()

    async def wait():
        await Yields()

    task = asyncio.create_task(wait())
    await asyncio.wait([task])
    print(type(task.exception()).__name__, str(task.exception()).partition("<")[0])


async def case_task_that_awaits_itself():
    tasks = []

    async def wait():
        await tasks[0]

    tasks.append(asyncio.create_task(wait(), name="itself"))
    await asyncio.wait(tasks)
    print(type(tasks[0].exception()).__name__, str(tasks[0].exception()).partition(":")[0])


async def case_results_that_are_not_there_yet():
    future = asyncio.get_running_loop().create_future()
    show(future.result)
    show(future.exception)
    future.set_result(1)
    show(future.set_result, 2)
    show(future.set_exception, ValueError())
    show(future.cancel)
    print(future.result(), future.exception())


async def case_exceptions_that_are_none():
    future = asyncio.get_running_loop().create_future()
    for wrong in (None, 42, "text", object, StopIteration, StopIteration()):
        show(future.set_exception, wrong)
    future.set_exception(ValueError)
    print(repr(future.exception()))


async def case_setting_the_result_of_a_task():
    task = asyncio.create_task(nothing())
    show(task.set_result, 1)
    show(task.set_exception, ValueError())
    await task


async def case_arguments_of_the_wrong_kind():
    loop = asyncio.get_running_loop()
    for method in (loop.call_soon, loop.call_later, loop.call_at):
        try:
            method()
        except TypeError:
            print("TypeError")
    show(loop.set_exception_handler, 42)
    show(loop.set_task_factory, 42)


async def case_wait_of_the_wrong_things():
    task = asyncio.create_task(nothing())
    coroutine = nothing()
    await show_await(asyncio.wait([]))
    await show_await(asyncio.wait([coroutine]))
    await show_await(asyncio.wait(task))
    await show_await(asyncio.wait([task], return_when="NEVER"))
    await task
    coroutine.close()


async def case_wait_for_of_the_wrong_things():
    await show_await(asyncio.wait_for(42, 1))
    await show_await(asyncio.wait_for(nothing, 1))


async def case_gather_of_the_wrong_things():
    show(asyncio.gather, 42)
    show(asyncio.gather, nothing)
    show(asyncio.shield, 42)
    show(asyncio.ensure_future, 42)
    await asyncio.sleep(0)


async def case_as_completed_of_the_wrong_things():
    task = asyncio.create_task(nothing())
    for wrong in (task, 42):
        try:
            for completed in asyncio.as_completed(wrong):
                await completed
        except TypeError as error:
            print(error)
    await task


def case_gather_of_coroutines_without_a_loop():
    coroutine = nothing()
    show(asyncio.gather, coroutine)
    coroutine.close()


async def case_timeouts_used_twice():
    limit = asyncio.timeout(1)
    show(limit.reschedule, 1)
    async with limit:
        try:
            async with limit:
                pass
        except RuntimeError as error:
            print(error)
    show(limit.reschedule, 1)
    try:
        async with limit:
            pass
    except RuntimeError as error:
        print(error)


async def case_task_group_used_wrongly():
    group = asyncio.TaskGroup()
    coroutine = nothing()
    try:
        group.create_task(coroutine)
    except RuntimeError as error:
        print(str(error).partition(">")[2])
    async with group:
        pass
    try:
        group.create_task(coroutine)
    except RuntimeError as error:
        print(str(error).partition(">")[2])
    try:
        async with group:
            pass
    except RuntimeError as error:
        print(str(error).partition(">")[2])
    coroutine.close()


async def case_run_coroutine_threadsafe_of_the_wrong_thing():
    show(asyncio.run_coroutine_threadsafe, nothing, asyncio.get_running_loop())
    show(asyncio.run_coroutine_threadsafe, 42, asyncio.get_running_loop())


async def case_context_of_the_wrong_kind():
    context = contextvars.copy_context()
    task = asyncio.create_task(nothing(), context=context)
    await task
    show(asyncio.get_running_loop().call_soon, print, "in a context", context=context)
    await asyncio.sleep(0)


async def case_context_that_is_in_use():
    context = contextvars.copy_context()

    def inside():
        asyncio.get_running_loop().call_soon(print, "entered twice", context=context)

    context.run(inside)
    await asyncio.sleep(0)


async def case_signals_that_cannot_be_handled():
    loop = asyncio.get_running_loop()
    show(loop.add_signal_handler, 9, print)
    show(loop.add_signal_handler, 0, print)
    show(loop.add_signal_handler, 1000, print)
    show(loop.add_signal_handler, "SIGTERM", print)
    show(loop.remove_signal_handler, 15)


async def case_descriptors_that_cannot_be_watched():
    loop = asyncio.get_running_loop()
    show(loop.add_reader, -1, print)
    show(loop.add_writer, -1, print)
    show(loop.add_reader, "text", print)
    show(loop.remove_reader, 1000)
    with open(__file__) as file:
        show(loop.add_reader, file, print)


async def case_executors_of_the_wrong_kind():
    loop = asyncio.get_running_loop()
    show(loop.set_default_executor, 42)
    show(loop.set_default_executor, None)


async def case_never_awaited_coroutine_is_warned_of():
    nothing()
    gc.collect()
