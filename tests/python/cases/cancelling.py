"""Cancelling a task in every one of its awaits, and refusing to be cancelled."""

import asyncio
import gc
import sys

from _case import since


async def forever(name=""):
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError as error:
        print("  inner is cancelled:", name, error.args)
        raise


async def fails_when_cancelled():
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        raise ValueError("while being cancelled") from None


async def stubborn():
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        return "did not want to"


async def cancelled_at_each_turn(make, turns=5):
    """Cancels a new task made by `make` after 0, 1, 2... turns of the loop."""
    for turn in range(turns):
        task = asyncio.create_task(make())
        for _ in range(turn):
            await asyncio.sleep(0)
        asked = task.cancel(f"after {turn}")
        print(f"turn {turn}: asked {asked}, cancelling {task.cancelling()}")
        try:
            print("  result:", await task)
        except BaseException as error:
            print("  raised:", repr(error))
        print("  cancelled:", task.cancelled(), "cancelling:", task.cancelling())
        await asyncio.sleep(0)
    gc.collect()


async def case_bare_future():
    await cancelled_at_each_turn(forever)


async def case_sleep():
    async def work():
        await asyncio.sleep(60)

    await cancelled_at_each_turn(work)


async def case_sleep_zero():
    async def work():
        for _ in range(3):
            await asyncio.sleep(0)
        return "done"

    await cancelled_at_each_turn(work)


async def case_another_task():
    async def work():
        await asyncio.create_task(forever())

    await cancelled_at_each_turn(work)


async def case_gather():
    async def work():
        await asyncio.gather(forever("a"), forever("b"))

    await cancelled_at_each_turn(work)


async def case_gather_with_exceptions_as_results():
    async def work():
        return await asyncio.gather(forever("a"), stubborn(), return_exceptions=True)

    await cancelled_at_each_turn(work)


async def case_gather_of_a_stubborn_child():
    async def work():
        return await asyncio.gather(stubborn(), stubborn())

    await cancelled_at_each_turn(work)


async def case_wait():
    children = []

    async def work():
        children.append(asyncio.create_task(stubborn()))
        await asyncio.wait(children)

    await cancelled_at_each_turn(work)
    print("children are not touched:", [child.done() for child in children])
    for child in children:
        child.cancel()
    await asyncio.sleep(0)


async def case_wait_with_a_timeout():
    child = asyncio.create_task(stubborn())

    async def work():
        await asyncio.wait([child], timeout=60)

    await cancelled_at_each_turn(work)
    child.cancel()
    print(await child)


async def case_wait_for():
    async def work():
        await asyncio.wait_for(forever(), 60)

    await cancelled_at_each_turn(work)


async def case_wait_for_one_that_failed_before_the_cancellation():
    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(asyncio.wait_for(future, 60))
    await asyncio.sleep(0)
    future.set_exception(ValueError("just before"))
    await asyncio.sleep(0)
    task.cancel("just after")
    try:
        await task
    except BaseException as error:
        print(repr(error), "during", repr(error.__context__))


async def case_wait_for_without_a_limit():
    async def work():
        await asyncio.wait_for(forever(), None)

    await cancelled_at_each_turn(work)


@since(3, 12)
async def case_wait_for_a_stubborn_one():
    async def work():
        return await asyncio.wait_for(stubborn(), 60)

    await cancelled_at_each_turn(work)


@since(3, 12)
async def case_wait_for_one_that_fails_when_cancelled():
    async def work():
        await asyncio.wait_for(fails_when_cancelled(), 60)

    await cancelled_at_each_turn(work)


async def case_wait_for_that_expires_on_one_that_fails():
    try:
        await asyncio.wait_for(fails_when_cancelled(), 0.001)
    except BaseException as error:
        # Since 3.13 the context is the TimeoutError, on rasyncio with every version.
        context = repr(error.__context__) if sys.version_info >= (3, 13) else ""
        print(repr(error), context)


async def case_wait_for_that_expires_on_a_stubborn_one():
    try:
        print(await asyncio.wait_for(stubborn(), 0.001))
    except TimeoutError:
        print("TimeoutError")


async def case_shield():
    inner = asyncio.create_task(stubborn())

    async def work():
        await asyncio.shield(inner)

    await cancelled_at_each_turn(work)
    print("inner is not touched:", inner.done())
    inner.cancel()
    print(await inner)


async def case_shield_whose_inner_is_cancelled():
    inner = asyncio.create_task(forever())
    outer = asyncio.shield(inner)
    await asyncio.sleep(0)
    inner.cancel("inner")
    try:
        await outer
    except asyncio.CancelledError as error:
        print(error.args)


async def case_shield_whose_inner_fails_after_the_outer_was_cancelled():
    async def fail():
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        raise ValueError("nobody is left to hear")

    inner = asyncio.create_task(fail())
    outer = asyncio.shield(inner)
    outer.cancel()
    await asyncio.sleep(0.001)
    del inner, outer
    gc.collect()


async def case_timeout():
    async def work():
        async with asyncio.timeout(60):
            await forever()

    await cancelled_at_each_turn(work)


async def case_timeout_that_has_expired_already():
    async def work():
        async with asyncio.timeout(-1):
            await asyncio.sleep(0)
            await forever()

    await cancelled_at_each_turn(work)


async def case_task_group():
    async def work():
        async with asyncio.TaskGroup() as group:
            group.create_task(forever("child"))

    await cancelled_at_each_turn(work)


async def case_task_group_with_a_body_that_waits():
    async def work():
        async with asyncio.TaskGroup() as group:
            group.create_task(forever("child"))
            await forever("body")

    await cancelled_at_each_turn(work)


async def case_task_group_with_a_stubborn_child():
    async def work():
        async with asyncio.TaskGroup() as group:
            task = group.create_task(stubborn())
        return task.result()

    await cancelled_at_each_turn(work)


async def case_task_group_with_a_child_that_fails():
    async def work():
        async with asyncio.TaskGroup() as group:
            group.create_task(fails_when_cancelled())

    await cancelled_at_each_turn(work)


async def case_nested_task_groups():
    async def work():
        async with asyncio.TaskGroup() as outer:
            outer.create_task(forever("outer"))
            async with asyncio.TaskGroup() as inner:
                inner.create_task(forever("inner"))

    await cancelled_at_each_turn(work, 6)


async def case_as_completed():
    made = []

    async def work():
        children = [asyncio.create_task(stubborn())]
        made.extend(children)
        for completed in asyncio.as_completed(children):
            await completed

    await cancelled_at_each_turn(work)
    print("children are not touched:", [child.done() for child in made])
    for child in made:
        child.cancel()
    await asyncio.gather(*made)


async def case_executor():
    import threading

    released = threading.Event()

    async def work():
        await asyncio.get_running_loop().run_in_executor(None, released.wait, 30)

    await cancelled_at_each_turn(work)
    released.set()


async def case_to_thread():
    import threading

    released = threading.Event()

    async def work():
        await asyncio.to_thread(released.wait, 30)

    await cancelled_at_each_turn(work)
    released.set()


async def case_event_and_lock():
    event, lock = asyncio.Event(), asyncio.Lock()
    await lock.acquire()

    async def work():
        async with lock:
            await event.wait()

    await cancelled_at_each_turn(work)
    lock.release()
    await cancelled_at_each_turn(work)
    print(lock.locked(), event.is_set())


async def case_condition_and_semaphore():
    condition, semaphore = asyncio.Condition(), asyncio.Semaphore(1)

    async def work():
        async with semaphore, condition:
            await condition.wait()

    await cancelled_at_each_turn(work)
    print(condition.locked(), semaphore.locked())


async def case_queue():
    queue = asyncio.Queue(1)

    async def work():
        await queue.put(await queue.get())

    await cancelled_at_each_turn(work)
    queue.put_nowait("one")
    await cancelled_at_each_turn(work)
    print(queue.qsize())


async def case_async_generator():
    async def numbers():
        try:
            yield 1
            await asyncio.sleep(60)
            yield 2
        finally:
            await asyncio.sleep(0)
            print("  closed")

    async def work():
        async for number in numbers():
            print("  number", number)

    await cancelled_at_each_turn(work)


async def case_cancelled_before_the_first_step():
    task = asyncio.create_task(forever())
    print(task.cancel("early"), task.cancel("again"), task.cancelling())
    try:
        await task
    except asyncio.CancelledError as error:
        print(error.args)


async def case_cancel_during_clean_up():
    async def work():
        try:
            await forever()
        finally:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError as error:
                print("again:", error.args)
                raise

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel("one")
    await asyncio.sleep(0)
    task.cancel("two")
    try:
        await task
    except asyncio.CancelledError as error:
        print(error.args, task.cancelling())


async def case_cancel_twice_in_one_turn():
    task = asyncio.create_task(forever())
    await asyncio.sleep(0)
    print(task.cancel("one"), task.cancel("two"), task.cancelling())
    try:
        await task
    except asyncio.CancelledError as error:
        print(error.args)


async def case_uncancel():
    async def work():
        task = asyncio.current_task()
        try:
            await forever()
        except asyncio.CancelledError:
            print(task.cancelling(), task.uncancel(), task.uncancel(), task.cancelling())
        await asyncio.sleep(0)
        return "went on"

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    print(await task, task.cancelled(), task.cancelling())


async def case_uncancel_before_the_request_is_delivered():
    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    task.cancel()
    print(task.uncancel())
    print(await task)


async def case_task_that_cancels_itself():
    async def work():
        asyncio.current_task().cancel("myself")
        print("still here")
        await asyncio.sleep(0)
        print("never here")

    task = asyncio.create_task(work())
    try:
        await task
    except asyncio.CancelledError as error:
        print(error.args)


async def case_task_that_cancels_itself_and_returns():
    async def work():
        asyncio.current_task().cancel()
        return "a result"

    task = asyncio.create_task(work())
    try:
        print(await task)
    except asyncio.CancelledError:
        print("cancelled:", task.cancelled())


async def case_task_that_raises_cancelled_error_itself():
    async def work():
        raise asyncio.CancelledError("my own")

    task = asyncio.create_task(work())
    try:
        await task
    except asyncio.CancelledError as error:
        print(error.args, task.cancelled(), task.cancelling())


async def case_cancelled_by_what_it_waits_for():
    future = asyncio.get_running_loop().create_future()

    async def work():
        await future

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    future.cancel("from below")
    try:
        await task
    except asyncio.CancelledError as error:
        print(error.args, task.cancelled(), task.cancelling())


async def case_future_done_and_task_cancelled_in_one_turn():
    future = asyncio.get_running_loop().create_future()

    async def work():
        return await future

    for first in ("result", "cancel"):
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        if first == "result":
            future.set_result("in time")
            print(task.cancel())
        else:
            print(task.cancel())
            print(future.cancelled())
        try:
            print(await task)
        except asyncio.CancelledError:
            print("cancelled:", task.cancelled())


async def case_timeout_and_cancel_in_one_turn():
    async def work():
        async with asyncio.timeout(0):
            await forever()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel("from outside")
    try:
        await task
    except BaseException as error:
        print(repr(error), task.cancelled())


async def case_messages():
    for message in (None, "text", 42, ("a", "b")):
        task = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        task.cancel(message)
        try:
            await task
        except asyncio.CancelledError as error:
            print(error.args)
        try:
            task.result()
        except asyncio.CancelledError as error:
            print(error.args)
        future = asyncio.get_running_loop().create_future()
        future.cancel(msg=message)
        try:
            future.exception()
        except asyncio.CancelledError as error:
            print(error.args)


async def case_awaited_again_after_it_was_cancelled():
    async def before(task):
        task.cancel("before the first step")

    async def twice(task):
        await asyncio.sleep(0)
        task.cancel("first")
        task.cancel("second")

    async def once(task):
        await asyncio.sleep(0)
        task.cancel("once")

    async def ends():
        asyncio.current_task().cancel("too late")

    async def nothing(task):
        pass

    for request, work in (before, forever), (twice, forever), (once, forever), (nothing, ends):
        task = asyncio.create_task(work())
        await request(task)
        for _ in range(3):
            try:
                await task
            except asyncio.CancelledError as error:
                print(request.__name__, error.args, task._cancel_message)


async def case_cancel_all_tasks():
    tasks = [asyncio.create_task(forever(str(n))) for n in range(3)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    print(await asyncio.gather(*tasks, return_exceptions=True))


def case_main_is_cancelled_by_another_task():
    async def main():
        me = asyncio.current_task()
        asyncio.get_running_loop().call_soon(me.cancel)
        await forever("main")

    try:
        asyncio.run(main())
    except asyncio.CancelledError as error:
        print(repr(error))


def case_run_cancels_what_is_left():
    async def refuses():
        try:
            await forever("left over")
        except asyncio.CancelledError:
            raise KeyError("instead") from None

    async def main():
        asyncio.create_task(refuses(), name="left")
        await asyncio.sleep(0)

    asyncio.run(main())
