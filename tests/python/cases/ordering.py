"""The order in which things run: it is observable, so it is asyncio's."""

import asyncio
import contextlib
import contextvars
import socket

from _case import since

log = []


def note(text):
    log.append(text)


def shown():
    print(*log)
    log.clear()


async def case_callbacks_in_turn():
    loop = asyncio.get_running_loop()
    for number in range(5):
        loop.call_soon(note, number)
    loop.call_soon(lambda: loop.call_soon(note, "nested"))
    loop.call_soon(note, "last")
    await asyncio.sleep(0)
    shown()
    await asyncio.sleep(0)
    shown()


async def case_tasks_and_callbacks_share_one_queue():
    loop = asyncio.get_running_loop()

    async def task(name):
        note(f"{name} 1")
        await asyncio.sleep(0)
        note(f"{name} 2")

    loop.call_soon(note, "before")
    tasks = [asyncio.create_task(task("A"))]
    loop.call_soon(note, "between")
    tasks.append(asyncio.create_task(task("B")))
    loop.call_soon(note, "after")
    await asyncio.gather(*tasks)
    shown()


async def case_deadlines_in_any_order():
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in (7, 3, 9, 1, 5, 0, 8, 2, 6, 4):
        loop.call_at(start + number / 1000, note, number)
    await asyncio.sleep(0.03)
    shown()


async def case_timers_that_are_due_run_after_what_is_ready():
    loop = asyncio.get_running_loop()
    loop.call_later(0, note, "timer")
    loop.call_soon(note, "soon 1")
    loop.call_soon(note, "soon 2")
    await asyncio.sleep(0.001)
    shown()


async def case_cancelled_in_the_turn_in_which_it_would_run():
    loop = asyncio.get_running_loop()
    handles = []
    loop.call_soon(lambda: handles[0].cancel())
    handles.append(loop.call_soon(note, "never"))
    await asyncio.sleep(0)
    when = loop.time()
    loop.call_at(when - 0.001, lambda: handles[1].cancel())
    handles.append(loop.call_at(when, note, "never"))
    await asyncio.sleep(0.005)
    note("nothing")
    shown()


async def case_wakeup_takes_one_turn():
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    async def wait():
        await future
        note("woken")

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    future.set_result(None)
    loop.call_soon(note, "asked after set_result")
    await task
    shown()


async def case_done_callbacks_before_and_after_a_waiter():
    future = asyncio.get_running_loop().create_future()

    async def wait():
        await future
        note("waiter")

    future.add_done_callback(lambda future: note("first"))
    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    future.add_done_callback(lambda future: note("last"))
    future.set_result(None)
    await task
    await asyncio.sleep(0)
    shown()


async def case_turns_of_each_function():
    """How many turns each kind of waiting takes when there is nothing to wait for."""
    loop = asyncio.get_running_loop()

    async def counted(name, awaitable):
        turns = 0
        stopped = False

        def tick():
            nonlocal turns
            if not stopped:
                turns += 1
                loop.call_soon(tick)

        loop.call_soon(tick)
        await awaitable
        stopped = True
        print(name, turns)
        await asyncio.sleep(0)

    async def nothing():
        pass

    done = loop.create_future()
    done.set_result(None)
    await counted("coroutine", nothing())
    await counted("sleep(0)", asyncio.sleep(0))
    await counted("sleep(-1)", asyncio.sleep(-1))
    await counted("done future", done)
    await counted("task", asyncio.create_task(nothing()))
    await counted("gather of nothing", asyncio.gather())
    await counted("gather of one", asyncio.gather(nothing()))
    await counted("gather of three", asyncio.gather(nothing(), nothing(), nothing()))
    await counted("gather of done", asyncio.gather(done))
    await counted("shield", asyncio.shield(nothing()))
    await counted("shield of done", asyncio.shield(done))
    await counted("wait_for", asyncio.wait_for(nothing(), 60))
    await counted("wait_for None", asyncio.wait_for(nothing(), None))
    await counted("wait_for done", asyncio.wait_for(done, 60))
    await counted("wait", asyncio.wait([asyncio.create_task(nothing())]))
    await counted("wait done", asyncio.wait([done]))
    await counted("wait with a timeout", asyncio.wait([asyncio.create_task(nothing())], timeout=60))
    await counted("wait first", asyncio.wait([done, loop.create_future()], return_when="FIRST_COMPLETED"))
    await counted("as_completed", next(iter(asyncio.as_completed([nothing()]))))

    async def in_a_group(count):
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(nothing())

    async def in_a_timeout():
        async with asyncio.timeout(60):
            await nothing()

    await counted("empty group", in_a_group(0))
    await counted("group of one", in_a_group(1))
    await counted("group of three", in_a_group(3))
    await counted("timeout", in_a_timeout())


async def case_turns_of_errors_and_cancellations():
    loop = asyncio.get_running_loop()

    async def counted(name, make):
        turns = 0
        stopped = False

        def tick():
            nonlocal turns
            if not stopped:
                turns += 1
                loop.call_soon(tick)

        loop.call_soon(tick)
        try:
            await make()
        except BaseException as error:
            stopped = True
            print(name, turns, repr(error))
        stopped = True
        await asyncio.sleep(0)

    async def fail():
        raise ValueError

    async def forever():
        await loop.create_future()

    async def in_a_group():
        async with asyncio.TaskGroup() as group:
            group.create_task(forever())
            group.create_task(fail())

    async def cancelled(awaitable):
        task = asyncio.ensure_future(awaitable)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await task

    await counted("task", lambda: asyncio.create_task(fail()))
    await counted("gather", lambda: asyncio.gather(fail(), forever()))
    await counted("group", in_a_group)
    await counted("wait_for", lambda: asyncio.wait_for(fail(), 60))
    await counted("shield", lambda: asyncio.shield(fail()))
    await counted("cancelled task", lambda: cancelled(forever()))
    await counted("cancelled gather", lambda: cancelled(asyncio.gather(forever(), forever())))
    await counted("cancelled wait_for", lambda: cancelled(asyncio.wait_for(forever(), 60)))
    await counted("cancelled sleep", lambda: cancelled(asyncio.sleep(60)))
    await counted("cancelled group", lambda: cancelled(in_a_group()))
    await counted("wait_for no time", lambda: asyncio.wait_for(forever(), 0))


async def case_many_waiters_wake_in_order():
    event = asyncio.Event()

    async def wait(number):
        await event.wait()
        note(number)

    tasks = [asyncio.create_task(wait(number)) for number in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    event.set()
    tasks[6].cancel()
    await asyncio.wait(tasks)
    shown()


async def case_threadsafe_calls_keep_their_order():
    import threading

    loop = asyncio.get_running_loop()

    def storm():
        for number in range(100):
            loop.call_soon_threadsafe(note, number)

    thread = threading.Thread(target=storm)
    thread.start()
    thread.join()
    await asyncio.sleep(0.001)
    print(log == list(range(100)))
    log.clear()


def case_stop_before_run():
    loop = asyncio.new_event_loop()
    loop.call_soon(note, "one turn")
    loop.call_soon(loop.call_soon, note, "the next run")
    loop.stop()
    loop.run_forever()
    shown()
    loop.call_soon(loop.stop)
    loop.run_forever()
    shown()
    loop.close()


def case_stop_in_the_middle_of_a_turn():
    loop = asyncio.new_event_loop()
    loop.call_soon(loop.stop)
    loop.call_soon(note, "same turn")
    loop.call_soon(loop.call_soon, note, "next turn")
    loop.run_forever()
    shown()
    loop.run_until_complete(asyncio.sleep(0))
    shown()
    loop.close()


async def case_context_of_callbacks():
    variable = contextvars.ContextVar("variable", default="default")
    loop = asyncio.get_running_loop()

    def read(label):
        note(f"{label}={variable.get()}")
        variable.set("changed by a callback")

    variable.set("one")
    loop.call_soon(read, "soon")
    loop.call_later(0, read, "later")
    loop.call_soon_threadsafe(read, "threadsafe")
    future = loop.create_future()
    future.add_done_callback(lambda future: read("done"))
    variable.set("two")
    loop.call_soon(read, "second")
    future.set_result(None)
    future.add_done_callback(lambda future: read("done already"))
    await asyncio.sleep(0.001)
    print(*sorted(log), variable.get())
    log.clear()


async def case_context_of_tasks():
    variable = contextvars.ContextVar("variable", default="default")

    async def task(name):
        before = variable.get()
        variable.set(name)
        await asyncio.sleep(0)
        return before, variable.get()

    variable.set("outer")
    print(await asyncio.gather(task("a"), task("b")))
    print(await asyncio.wait_for(task("c"), 60), variable.get())
    print(await task("d"), variable.get())
    context = contextvars.Context()
    print(await asyncio.create_task(task("e"), context=context), context[variable])
    print(await asyncio.to_thread(variable.get))


@since(3, 12)
async def case_eager_tasks():
    async def work(name, turns):
        note(f"{name} starts")
        for _ in range(turns):
            await asyncio.sleep(0)
        note(f"{name} ends")
        return name

    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    try:
        loop.call_soon(note, "callback")
        first = asyncio.create_task(work("A", 0))
        second = asyncio.create_task(work("B", 1))
        note(f"done: {first.done()} {second.done()}")
        print(await asyncio.gather(first, second, work("C", 0), work("D", 2)))
        async with asyncio.TaskGroup() as group:
            group.create_task(work("E", 0))
            group.create_task(work("F", 1))
        print(await asyncio.wait_for(work("G", 1), 60), await asyncio.shield(work("H", 0)))
    finally:
        loop.set_task_factory(None)
    shown()


@since(3, 12)
async def case_eager_task_and_context():
    variable = contextvars.ContextVar("variable", default="default")

    async def work():
        variable.set("inner")
        me = asyncio.current_task()
        await asyncio.sleep(0)
        return variable.get(), asyncio.current_task() is me

    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    task = asyncio.create_task(work())
    loop.set_task_factory(None)
    print(variable.get(), asyncio.current_task() is not task, await task)


async def case_gather_ends_with_the_last_child_to_end():
    """The one that fails is done, but not counted, when the other gets its result."""

    async def fails():
        raise ValueError("oops")

    async def turns_once():
        await asyncio.sleep(0)

    def watched(coroutine):
        task = asyncio.ensure_future(coroutine)
        task.add_done_callback(lambda _: print("seen"))
        return task

    for make in (lambda coroutine: coroutine, watched, type("Own", (asyncio.Task,), {})):
        outer = asyncio.gather(turns_once(), make(fails()), return_exceptions=True)
        turns = 0
        while not outer.done():
            turns += 1
            await asyncio.sleep(0)
        print(turns, outer.result())


class Noting(asyncio.Protocol):
    """Notes what comes; `answer` is sent back once."""

    def __init__(self, name, answer=None):
        self.name, self.answer = name, answer

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        note(f"{self.name} got {data.decode()}")
        if self.answer:
            self.transport.write(self.answer)
            self.answer = None


async def case_each_turn_reads_what_the_one_before_has_written():
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    with near:
        transport, _ = await loop.create_connection(lambda: Noting("protocol"), sock=far)
        for number in range(3):
            near.send(str(number).encode())
            await asyncio.sleep(0)
            note(f"turn {number}")
        await asyncio.sleep(0)
        shown()
        transport.close()
        await asyncio.sleep(0)


async def case_an_answer_takes_two_turns_however_busy_the_loop_is():
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    client, asking = await loop.create_connection(lambda: Noting("client"), sock=near)
    server, _ = await loop.create_connection(lambda: Noting("server", b"pong"), sock=far)
    client.write(b"ping")
    for turn in range(4):
        await asyncio.sleep(0)
        note(f"turn {turn}")
    shown()
    client.close()
    server.close()
    await asyncio.sleep(0)


async def case_each_turn_looks_at_the_readers():
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    with near, far:
        loop.add_reader(far, lambda: note(f"read {far.recv(100).decode()}"))
        for number in range(3):
            near.send(str(number).encode())
            await asyncio.sleep(0)
            note(f"turn {number}")
        await asyncio.sleep(0)
        loop.remove_reader(far)
        shown()


async def case_a_reader_hears_of_it_while_others_never_wait():
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=far)

    async def busy():
        while True:
            await asyncio.sleep(0)

    other = asyncio.create_task(busy())
    with near:
        for number in range(3):
            reading = asyncio.create_task(reader.read(10))
            await asyncio.sleep(0)
            near.send(str(number).encode())
            turns = 0
            while not reading.done():
                await asyncio.sleep(0)
                turns += 1
            note(f"{reading.result().decode()} after {turns}")
    other.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await other
    shown()
    writer.close()
    await writer.wait_closed()
