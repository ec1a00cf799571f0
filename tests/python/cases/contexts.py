"""Which context tasks run in, and who sees what is set there.

rasyncio lets tasks and callbacks share contexts for as long as nobody can tell; here is who could.
"""

import asyncio
import contextvars
import gc
import logging
import weakref

from _case import since
from _contexts import color, coroutines, size

paints, looks = coroutines(asyncio)


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
