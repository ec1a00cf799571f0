"""Which context what runs in, and who sees what is set there.

rasyncio lets tasks and callbacks share contexts for as long as nobody can tell; here is who could.
"""

import asyncio
import contextvars
import gc
import logging
import os
import signal
import threading
import weakref

from _case import since, until

color = contextvars.ContextVar("color", default="none")
size = contextvars.ContextVar("size", default=0)


class Tells:
    """Prints the color that is current when it goes."""

    def __init__(self, name):
        self.name = name

    def __del__(self):
        print(self.name, "goes:", color.get())

    def __call__(self, *args):
        print(self.name, "called:", color.get())
        color.set("called")


async def paints(new, *, times=1):
    seen = [color.get()]
    for number in range(times):
        color.set(f"{new} {number}")
        await asyncio.sleep(0)
        seen.append(color.get())
    return seen


async def looks(times=1):
    seen = []
    for _ in range(times):
        seen.append(color.get())
        await asyncio.sleep(0)
    return seen


async def case_tasks_do_not_see_what_others_set():
    color.set("main")
    for seen in await asyncio.gather(paints("red", times=3), looks(3), paints("blue", times=2), looks()):
        print(seen)
    print(color.get())


async def case_a_task_has_the_variables_of_when_it_was_made():
    before = asyncio.create_task(looks())
    color.set("first")
    between = [asyncio.create_task(looks()) for _ in range(2)]
    color.set("second")
    after = asyncio.create_task(looks())
    color.set("none of their business")
    for task in (before, *between, after):
        print(await task)


async def case_what_a_task_sets_is_not_seen_by_those_made_before_and_after():
    color.set("main")

    async def child():
        early = asyncio.create_task(looks(2))
        color.set("child")
        late = asyncio.create_task(looks(2))
        await asyncio.sleep(0)
        color.set("child, later")
        return await early, await late, color.get()

    for _ in range(2):
        print(await asyncio.create_task(child()), color.get())


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


async def case_set_to_the_same_value_and_reset_in_a_later_step():
    color.set("main")

    async def child(other):
        token = color.set(color.get())
        await asyncio.sleep(0)
        color.reset(token)
        await asyncio.sleep(0)
        token = size.set(1)
        size.reset(token)
        await asyncio.sleep(0)
        token = color.set(other)
        await asyncio.sleep(0)
        print(token.old_value, token.var is color)
        color.reset(token)
        return color.get(), size.get()

    print(await asyncio.gather(*[child(str(number)) for number in range(3)]))


async def case_a_token_of_another_task():
    async def child():
        return color.set(color.get())

    tokens = await asyncio.gather(child(), child())
    for token in tokens:
        try:
            color.reset(token)
        except ValueError as error:
            print(type(error).__name__, "was created in a different Context" in str(error))

    async def resets(token):
        try:
            color.reset(token)
        except ValueError:
            print("not mine either")

    await asyncio.create_task(resets(tokens[0]))


@since(3, 12)
async def case_every_task_shows_a_context_of_its_own():
    tasks = [asyncio.create_task(looks(3)) for _ in range(3)]
    contexts = [task.get_context() for task in tasks]
    print(len({id(context) for context in contexts}))
    await asyncio.sleep(0)
    print([task.get_context() is context for task, context in zip(tasks, contexts, strict=True)])
    late = [asyncio.create_task(looks(3)) for _ in range(3)]
    await asyncio.sleep(0)
    contexts += [task.get_context() for task in late]
    await asyncio.gather(*tasks, *late)
    tasks += late
    print([task.get_context() is context for task, context in zip(tasks, contexts, strict=True)])
    print(len({id(context) for context in contexts}))


@since(3, 12)
async def case_a_running_task_shows_the_context_that_it_runs_in():
    async def child():
        context = asyncio.current_task().get_context()
        color.set("child")
        print(context[color], context is asyncio.current_task().get_context())
        try:
            context.run(print)
        except RuntimeError as error:
            print("already entered" in str(error))
        await asyncio.sleep(0)
        color.set("child, later")
        print(context[color], context is asyncio.current_task().get_context())
        context.copy().run(color.set, "copy")
        return color.get()

    color.set("main")
    for _ in range(2):
        print(await asyncio.create_task(child()))
    print(await asyncio.create_task(looks()))


@since(3, 12)
async def case_a_task_sees_what_is_set_in_its_context():
    task = asyncio.create_task(looks(4))
    task.get_context().run(color.set, "before its first step")
    await asyncio.sleep(0)
    task.get_context().run(color.set, "after its first step")
    await asyncio.sleep(0)
    color.set("main")
    other = asyncio.create_task(looks(2))
    await asyncio.sleep(0)
    other.get_context().run(color.set, "other")
    print(await task, await other)


@since(3, 12)
async def case_the_context_of_a_task_that_is_done():
    color.set("main")
    painter = asyncio.create_task(paints("red", times=2))
    looker = asyncio.create_task(looks(2))
    await asyncio.gather(painter, looker)
    print(painter.get_context()[color], looker.get_context()[color])
    print(painter.get_context() is looker.get_context(), painter.get_context() is painter.get_context())


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


async def case_a_given_context_is_shared():
    context = contextvars.copy_context()
    context.run(color.set, "given")
    first = asyncio.create_task(paints("red", times=3), context=context)
    second = asyncio.create_task(looks(3), context=context)
    asyncio.get_running_loop().call_soon(color.set, "callback", context=context)
    print(await first, await second, context[color], color.get())
    own = asyncio.create_task(paints("own"), context=contextvars.copy_context())
    print(await own, color.get())


async def case_a_task_in_the_context_of_its_maker():
    here = contextvars.copy_context()

    async def child():
        color.set("child")
        await asyncio.sleep(0)
        size.set(size.get() + 1)

    async def parent():
        await asyncio.create_task(child(), context=here)
        await asyncio.gather(
            asyncio.create_task(child(), context=here), asyncio.create_task(child(), context=here)
        )
        return color.get(), size.get()

    print(await asyncio.create_task(parent(), context=here), color.get())


def case_a_context_that_is_entered_already():
    context = contextvars.copy_context()
    reported = []

    async def child():
        return "not reached"

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, what: reported.append(what))
        loop.call_soon(print, "not reached", context=context)
        loop.call_later(0, print, "not reached", context=context)
        task = asyncio.create_task(child(), context=context)
        await asyncio.sleep(0.01)
        print(task.done(), [(type(what["exception"]).__name__, str(what["exception"])[:20]) for what in reported])
        print(await asyncio.create_task(looks()))
        # It never ran, and never will.
        print(task.cancel())
        await asyncio.sleep(0.01)
        print(task.done(), len(reported))
        task._log_destroy_pending = False

    def run():
        loop = asyncio.new_event_loop()
        loop.run_until_complete(loop.create_task(main(), context=contextvars.Context()))
        loop.close()

    # The handler is to run there, too, which is logged.
    logging.disable()
    context.run(run)
    logging.disable(logging.NOTSET)


@since(3, 12)
async def case_eager_tasks():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    color.set("main")

    async def child(name, depth=0):
        print(name, color.get())
        color.set(name)
        context = asyncio.current_task().get_context()
        print(context[color])
        if depth:
            print(await asyncio.create_task(child(name + "'s", depth - 1)))
        else:
            await asyncio.sleep(0)
        print(name, context is asyncio.current_task().get_context())
        return color.get()

    at_once = asyncio.create_task(looks(0))
    print(at_once.done(), at_once.get_context()[color])
    tasks = [asyncio.create_task(child("A")), asyncio.create_task(child("B", 2))]
    print(color.get(), [task.get_context()[color] for task in tasks])
    print(await asyncio.gather(*tasks), color.get())

    def from_callback():
        color.set("callback")
        tasks.append(asyncio.create_task(child("C")))
        print(color.get())

    loop.call_soon(from_callback)
    await asyncio.sleep(0)
    print(await tasks[-1])


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


async def case_values_of_variables_do_not_outlive_their_context():
    class Value:
        pass

    alive = weakref.WeakSet()

    def value(name):
        made = Value()
        alive.add(made)
        return made

    async def request():
        size.set(value("request"))
        await asyncio.gather(looks(), looks())
        asyncio.get_running_loop().call_soon(color.set, "callback")
        await asyncio.sleep(0)
        await asyncio.create_task(looks(2))

    for _ in range(3):
        await asyncio.create_task(request())
        # Stock asyncio holds on to the latest handle for a while.
        await asyncio.sleep(0)
        print(len(alive))
    await asyncio.gather(request(), request())
    await asyncio.sleep(0)
    print(len(alive))

    def callback():
        size.set(value("callback"))
        asyncio.get_running_loop().call_soon(size.get)

    asyncio.get_running_loop().call_soon(callback)
    for _ in range(3):
        await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    print(len(alive))


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


async def case_a_task_factory():
    loop = asyncio.get_running_loop()
    color.set("main")

    def factory(loop, coro, **options):
        print("factory", color.get(), sorted(options))
        return asyncio.Task(coro, loop=loop, **options)

    loop.set_task_factory(factory)
    try:
        print(await asyncio.create_task(looks()))
        given = contextvars.Context()
        print(await asyncio.create_task(paints("given"), context=given), given[color])
    finally:
        loop.set_task_factory(None)


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


async def case_async_generators():
    async def counts():
        try:
            color.set("generator")
            yield 1
            yield 2
        finally:
            print("closed:", color.get())

    color.set("main")
    async for number in counts():
        print(number, color.get())
        color.set("loop body")
        break
    gc.collect()
    await asyncio.sleep(0)
    print(color.get())


async def case_timeouts_and_groups():
    color.set("main")
    async with asyncio.timeout(10):
        color.set("in timeout")
        await asyncio.sleep(0)
    print(color.get())
    async with asyncio.TaskGroup() as group:
        painter = group.create_task(paints("painter"))
        looker = group.create_task(looks(2))
        color.set("in group")
    print(painter.result(), looker.result(), color.get())
    print(await asyncio.wait_for(paints("waited for"), 10), color.get())
    print(await asyncio.shield(paints("shielded")), color.get())


@since(3, 12)
def case_debug_mode():
    async def main():
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 1000
        color.set("main")
        handle = loop.call_soon(color.set, "callback")
        loop.call_soon(lambda: print(color.get()))
        painter, looker = asyncio.create_task(paints("red")), asyncio.create_task(looks())
        print(await painter, await looker, color.get())
        print(handle.get_context()[color], painter.get_context()[color], looker.get_context()[color])

    asyncio.run(main(), debug=True)


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
