"""Which task is the current one, whoever asks and however."""

import asyncio
import asyncio.tasks
import gc
import threading
import weakref

from _case import since, until

try:
    from _asyncio import current_task as c_current_task
except ImportError:  # 3.11
    from asyncio.tasks import current_task as c_current_task


def name_of(task):
    return task and task.get_name()


def asked(loop=None):
    """Everybody's answer."""
    return name_of(asyncio.current_task(loop)), name_of(c_current_task(loop))


async def tells(log, times=2):
    log.append(asked())
    for _ in range(times):
        await asyncio.sleep(0)
        log.append(asked())


async def case_tasks_in_turn():
    log = []
    await asyncio.gather(*[asyncio.create_task(tells(log), name=name) for name in "ABC"])
    print(log)


async def case_callbacks_have_none():
    loop = asyncio.get_running_loop()
    log = []

    async def task():
        print(asked())
        loop.call_soon(lambda: log.append(("callback", asked())))
        await asyncio.sleep(0)
        log.append(asked())
        future = loop.create_future()
        future.add_done_callback(lambda _: log.append(("done callback", asked())))
        loop.call_soon(future.set_result, None)
        await future
        log.append(asked())
        loop.call_later(0.001, lambda: log.append(("timer", asked())))
        await asyncio.sleep(0.01)
        log.append(asked())

    await asyncio.create_task(task(), name="the task")
    print(log)


async def case_asked_from_another_thread():
    loop = asyncio.get_running_loop()
    log = []

    def ask():
        log.append((name_of(asyncio.current_task(loop)), name_of(c_current_task(loop))))

    async def task(number):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        await asyncio.sleep(0)

    for number in range(3):
        await asyncio.create_task(task(number), name=f"task {number}")
    print(log)
    print(asked(loop))


@until(3, 14)
async def case_the_dict():
    loop = asyncio.get_running_loop()
    table = asyncio.tasks._current_tasks

    def look():
        task = table.get(loop)
        return name_of(task), loop in table

    async def child():
        print(look())
        loop.call_soon(lambda: print("callback", look()))
        await asyncio.sleep(0)
        print(look())
        me = table.pop(loop)
        print(look(), asked())
        table[loop] = me
        print(look(), asked())

    for name in ("first", "second"):
        await asyncio.create_task(child(), name=name)
    print(look() == asked())


async def case_leaving_and_entering_by_hand():
    loop = asyncio.get_running_loop()
    enter, leave = asyncio.tasks._enter_task, asyncio.tasks._leave_task

    async def child():
        me = asyncio.current_task()
        leave(loop, me)
        print(asked())
        enter(loop, me)
        print(asked())
        try:
            enter(loop, asyncio.ensure_future(asyncio.sleep(0)))
        except RuntimeError as error:
            print(str(error)[:17])
        await asyncio.sleep(0)
        print(asked())

    for name in ("first", "second"):
        await asyncio.create_task(child(), name=name)


@since(3, 12)
async def case_eager_tasks():
    loop = asyncio.get_running_loop()

    async def child(depth):
        print(asked())
        if depth:
            task = asyncio.eager_task_factory(loop, child(depth - 1), name=f"depth {depth - 1}")
            print(asked())
            await task
        await asyncio.sleep(0)
        print(asked())

    await asyncio.create_task(child(2), name="parent")
    loop.call_soon(lambda: asyncio.eager_task_factory(loop, child(0), name="from a callback"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def case_a_task_that_was_asked_for_goes_like_any_other():
    async def child():
        asked()

    task = asyncio.create_task(child())
    gone = weakref.ref(task)
    await task
    del task
    await asyncio.sleep(0.001)
    gc.collect()
    print(gone())


def case_none_when_the_loop_has_stopped():
    loop = asyncio.new_event_loop()

    async def stops():
        print(asked())
        loop.stop()
        await asyncio.sleep(0)

    task = loop.create_task(stops(), name="stops")
    loop.run_forever()
    print(asked(loop))
    loop.run_until_complete(task)
    print(asked(loop))

    async def raises():
        asked()
        raise KeyboardInterrupt

    try:
        loop.run_until_complete(raises())
    except KeyboardInterrupt:
        print(asked(loop))
    loop.close()


def case_a_loop_that_hashes_otherwise():
    class Loop(asyncio.SelectorEventLoop):
        def __eq__(self, other):
            return self is other

        def __hash__(self):
            return 1

    async def main():
        log = []
        await asyncio.gather(*[asyncio.create_task(tells(log, 1), name=name) for name in "AB"])
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: log.append(asked()))
        await asyncio.sleep(0)
        return log

    with asyncio.Runner(loop_factory=Loop) as runner:
        print(runner.run(main()))


async def case_a_loop_as_a_key():
    loop = asyncio.get_running_loop()
    kept = {loop: 1}
    weak = weakref.WeakKeyDictionary({loop: 2})

    async def child():
        return kept[loop], weak[loop], hash(loop) == hash(loop), loop in {loop}

    print(await asyncio.create_task(child()), kept[loop], hash(loop) == object.__hash__(loop))
