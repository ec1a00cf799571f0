"""Which context callbacks run in, and who sees what is set there.

rasyncio lets tasks and callbacks share contexts for as long as nobody can tell; here is who could.
"""

import asyncio
import contextvars
import gc
import os
import signal
import threading
import weakref

from _case import since
from _contexts import Tells, color, coroutines, size

paints, _ = coroutines(asyncio)


async def case_callbacks_do_not_see_what_others_set():
    loop = asyncio.get_running_loop()
    color.set("main")

    def paint(new):
        print(color.get())
        color.set(new)
        loop.call_soon(look)

    def look():
        print("later:", color.get())

    for new in ("red", "green"):
        loop.call_soon(paint, new)
        loop.call_soon(look)
        loop.call_later(0, paint, new)
    await asyncio.sleep(0.01)
    print(color.get())


@since(3, 12)
async def case_the_context_of_a_handle():
    loop = asyncio.get_running_loop()
    color.set("main")
    handles = []

    def callback():
        contexts.append(handles[0].get_context())
        color.set("callback")

    contexts = []
    handles.append(loop.call_soon(callback))
    await asyncio.sleep(0)
    contexts.append(handles[0].get_context())
    print(contexts[0] is contexts[1], contexts[0][color])

    handles = [loop.call_soon(color.set, "set"), loop.call_soon(color.get), loop.call_later(0, color.set, 1)]
    contexts = [handle.get_context() for handle in handles]
    print(len({id(context) for context in contexts}))
    handles[1].get_context().run(color.set, "from outside")
    await asyncio.sleep(0.01)
    print([handle.get_context() is context for handle, context in zip(handles, contexts, strict=True)])
    print([context[color] for context in contexts])

    untouched = loop.call_soon(color.set, "seen later")
    await asyncio.sleep(0)
    print(untouched.get_context()[color], color.get())


async def case_a_handle_run_by_hand():
    loop = asyncio.get_running_loop()
    color.set("main")
    handle = loop.call_soon(lambda: print("by hand:", color.get(), color.set("handle")))
    size.set(1)
    handle._run()
    handle.cancel()
    print(color.get(), size.get())


async def case_a_reader_keeps_what_it_sets():
    loop = asyncio.get_running_loop()
    ours, theirs = os.pipe()
    done = loop.create_future()

    def reader():
        size.set(size.get() + 1)
        print("reader:", size.get(), color.get())
        os.read(ours, 1)
        if size.get() == 3:
            done.set_result(None)

    color.set("when added")
    loop.add_reader(ours, reader)
    color.set("later")
    os.write(theirs, b"123")
    await done
    loop.remove_reader(ours)
    os.close(ours)
    os.close(theirs)
    print(size.get())


async def case_done_callbacks():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    given = contextvars.Context()
    given.run(color.set, "given")

    def callback(name, future):
        print(name, color.get())
        color.set(name)

    for name in ("first", "second"):
        color.set(name + "'s")
        future.add_done_callback(lambda future, name=name: callback(name, future))
        future.add_done_callback(lambda future: callback("in given", future), context=given)
    color.set("main")
    future.set_result(None)
    await future
    await asyncio.sleep(0)
    print(color.get(), given[color])

    task = asyncio.create_task(paints("task"))
    task.add_done_callback(lambda task: print(color.get()))
    await task
    await asyncio.sleep(0)


async def case_the_exception_handler_sees_what_the_callback_has_set():
    loop = asyncio.get_running_loop()
    color.set("main")

    def handler(loop, what):
        print(what["message"].split()[0], type(what["exception"]).__name__, color.get())
        color.set("handler")

    loop.set_exception_handler(handler)

    def fails(new):
        if new:
            color.set(new)
        1 / 0

    for new in ("red", None):
        loop.call_soon(fails, new)
        loop.call_soon(lambda: print("between", color.get()))
        loop.call_later(0, fails, new)
    await asyncio.sleep(0.01)
    print(color.get())

    async def task():
        color.set("task")
        raise KeyError

    failed = asyncio.create_task(task())
    await asyncio.wait([failed])
    del failed
    gc.collect()
    await asyncio.sleep(0)


async def case_an_exception_handler_that_keeps_everything():
    loop = asyncio.get_running_loop()
    kept = []
    loop.set_exception_handler(lambda loop, what: kept.append((loop, what)))

    class Fails:
        def __call__(self, *args):
            raise KeyError(args)

    callback = Fails()
    gone = weakref.ref(callback)
    callback.kept = kept
    loop.call_soon(callback)
    loop.call_soon(callback, 1, 2)
    handle = loop.call_soon(callback, 3)
    await asyncio.sleep(0)
    print([type(what["handle"]).__name__ for _, what in kept], kept[2][1]["handle"] is handle)
    loop.set_exception_handler(None)
    handle.cancel()
    del callback, kept, handle
    gc.collect()
    await asyncio.sleep(0)
    gc.collect()
    print(gone())


async def case_the_default_exception_handler_is_overridden():
    loop = asyncio.get_running_loop()
    color.set("main")

    def fails():
        color.set("callback")
        1 / 0

    seen = []
    former = loop.call_exception_handler
    try:
        loop.call_exception_handler = lambda what: seen.append(color.get())
    except AttributeError:
        return
    loop.call_soon(fails)
    await asyncio.sleep(0)
    loop.call_exception_handler = former
    print(seen)


def case_what_goes_after_a_callback_does_not_see_its_context():
    async def main():
        loop = asyncio.get_running_loop()
        color.set("main")
        loop.call_soon(Tells("callback"))
        loop.call_soon(print, "next", color.get())
        loop.call_soon(lambda arg: color.set("lambda"), Tells("argument"))
        loop.call_soon(print, "next")
        loop.call_soon(lambda *args: color.set("lambda"), Tells("one of two"), 2)
        loop.call_soon(print, "next")
        loop.call_soon(lambda: Tells("result"))
        loop.call_soon(print, "next")
        loop.call_later(0, Tells("timer"))
        await asyncio.sleep(0.01)

    color.set("outside")
    with asyncio.Runner() as runner:
        runner.run(main(), context=contextvars.copy_context())
    print(color.get())


def case_what_goes_with_a_task_does_not_see_its_context():
    async def child(name):
        color.set("child")
        await asyncio.sleep(0)
        return Tells(name)

    async def main():
        color.set("main")
        tasks = [asyncio.create_task(child("result"))]
        for task in tasks:
            task.add_done_callback(lambda task: print("done", color.get()))
        del task
        tasks.clear()
        for _ in range(5):
            await asyncio.sleep(0)
        kept = [asyncio.create_task(child("kept"))]
        await asyncio.wait(kept)
        print("kept no more")
        kept.clear()

    color.set("outside")
    with asyncio.Runner() as runner:
        runner.run(main(), context=contextvars.copy_context())
    print(color.get())


def case_signal_handlers():
    async def main():
        loop = asyncio.get_running_loop()
        color.set("main")
        loop.add_signal_handler(signal.SIGUSR1, lambda: print("the loop's:", color.get()))
        color.set("main, later")
        former = signal.signal(signal.SIGUSR2, lambda *args: print("the process's:", color.get()))
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.sleep(0.01)
        # Arrives while the loop sleeps.
        timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR2))
        timer.start()
        await asyncio.sleep(0.1)
        timer.join()
        signal.signal(signal.SIGUSR2, former)
        loop.remove_signal_handler(signal.SIGUSR1)

    color.set("outside")
    with asyncio.Runner() as runner:
        runner.run(main(), context=contextvars.copy_context())
