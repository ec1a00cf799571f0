"""Contexts where there are several loops, runs or threads.

rasyncio lets tasks and callbacks share contexts for as long as nobody can tell; here is who could.
"""

import asyncio
import contextvars
import threading

from _case import since, until
from _contexts import color, coroutines, size

paints, looks = coroutines(asyncio)


def case_what_was_current_is_current_again_after_the_loop():
    loop = asyncio.new_event_loop()

    def leaves(error):
        color.set("callback")
        raise error

    async def task(error):
        color.set("task")
        await asyncio.sleep(0)
        raise error

    def shown(name):
        print(name, color.get())
        color.set(f"outside, after {name}")

    color.set("outside")
    loop.call_soon(color.set, "callback")
    loop.call_soon(loop.stop)
    loop.run_forever()
    shown("stop")
    for error in (KeyboardInterrupt(), SystemExit()):
        loop.call_soon(leaves, error)
        loop.call_soon(print, "left over")
        try:
            loop.run_forever()
        except BaseException as left:
            shown(type(left).__name__)
        loop.call_later(0, leaves, error)
        try:
            loop.run_forever()
        except BaseException as left:
            shown(type(left).__name__)
        try:
            loop.run_until_complete(task(error))
        except BaseException as left:
            shown(type(left).__name__)
    loop.run_until_complete(paints("coroutine"))
    shown("run_until_complete")
    try:
        loop.run_until_complete(task(ZeroDivisionError()))
    except ZeroDivisionError:
        shown("an error")

    loop.close()
    print(color.get())


def case_runs_of_one_loop_in_several_contexts():
    loop = asyncio.new_event_loop()
    color.set("outside")

    def within(name):
        color.set(name)
        seen = loop.run_until_complete(looks())
        task = loop.create_task(looks(3))
        size.set(1)
        loop.run_until_complete(asyncio.sleep(0))
        return seen, task

    tasks = []
    for name in ("first", "second"):
        seen, task = contextvars.copy_context().run(within, name)
        print(seen, color.get())
        tasks.append(task)
    print([loop.run_until_complete(task) for task in tasks], color.get(), size.get())
    loop.close()


@until(3, 14)
def case_a_loop_inside_a_step():
    a_loop_inside(in_a_step=True)


def case_a_loop_inside_a_callback():
    a_loop_inside(in_a_step=False)


def a_loop_inside(in_a_step):
    outer = asyncio.new_event_loop()
    inner = asyncio.new_event_loop()

    def callback(name):
        color.set(name)
        asyncio._set_running_loop(None)
        try:
            print(inner.run_until_complete(looks(2)), inner.run_until_complete(paints(name)), color.get())
        finally:
            asyncio._set_running_loop(outer)
        print(color.get())

    async def main():
        color.set("main")
        asyncio.get_running_loop().call_soon(callback, "callback")
        await asyncio.sleep(0)
        if in_a_step:
            callback("step")
        return await looks(), color.get()

    print(outer.run_until_complete(main()), color.get())
    inner.close()
    outer.close()


def case_loops_in_several_threads():
    seen = {}

    async def main(name):
        color.set(name)
        found = set()
        for number in range(20):
            for shown in await asyncio.gather(paints(f"{name} {number}"), looks(2), looks()):
                found.add((shown[0], len(shown)))
            await asyncio.sleep(0.001 if number % 5 else 0)
        seen[name] = sorted(found), color.get()

    threads = [threading.Thread(target=asyncio.run, args=(main(name),)) for name in "ABC"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(seen.items()))


async def case_other_threads():
    loop = asyncio.get_running_loop()
    color.set("main")
    done = loop.create_future()

    def work():
        print("thread", color.get())
        color.set("thread")
        loop.call_soon_threadsafe(lambda: print("back", color.get(), done.set_result(None)))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
    thread.start()
    await done
    thread.join()
    print(await asyncio.to_thread(color.get))
    future = asyncio.run_coroutine_threadsafe(looks(), loop)
    print(await asyncio.wrap_future(future), color.get())


@since(3, 12)
async def case_a_subclass_of_the_loop_class_and_its_tasks():
    class Loop(type(asyncio.get_running_loop())):
        def call_soon(self, callback, *args, context=None):
            calls.append(context is not None)
            return super().call_soon(callback, *args, context=context)

    calls = []

    def run():
        with asyncio.Runner(loop_factory=Loop) as runner:
            color.set("main")
            return runner.run(main())

    async def main():
        tasks = [asyncio.create_task(paints("red")), asyncio.create_task(looks(2))]
        contexts = [task.get_context() for task in tasks]
        shown = [await task for task in tasks]
        return shown, [task.get_context() is context for task, context in zip(tasks, contexts, strict=True)]

    print(await asyncio.to_thread(run))
    print(all(calls[1:]))
