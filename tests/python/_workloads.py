"""Things done many times, each of which must leave nothing behind."""

import asyncio
import contextlib
import functools
import importlib
import socket
import tempfile


def workload(function):
    """Marks a coroutine function `(aio, count)` as a workload; `WORKLOADS` has them all by name."""
    WORKLOADS[function.__name__] = function
    return function


WORKLOADS = {}


async def nothing():
    pass


async def fails():
    raise ValueError("expected")


async def forever():
    await asyncio.get_running_loop().create_future()


def batches(count, size=100):
    for start in range(0, count, size):
        yield min(size, count - start)


def ignore(*arguments):
    pass


@workload
async def sleep_zero(aio, count):
    for _ in range(count):
        await aio.sleep(0)


@workload
async def tasks(aio, count):
    for _ in range(count):
        await aio.create_task(nothing())


@workload
async def tasks_that_fail(aio, count):
    for _ in range(count):
        with contextlib.suppress(ValueError):
            await aio.create_task(fails())


@workload
async def tasks_cancelled_before_they_start(aio, count):
    for size in batches(count):
        tasks = [aio.create_task(nothing()) for _ in range(size)]
        for task in tasks:
            task.cancel()
        await aio.wait(tasks)


@workload
async def tasks_cancelled_while_they_wait(aio, count):
    for size in batches(count):
        tasks = [aio.create_task(forever()) for _ in range(size)]
        await aio.sleep(0)
        for task in tasks:
            task.cancel("message")
        await aio.wait(tasks)


@workload
async def tasks_with_names_and_callbacks(aio, count):
    for number in range(count):
        task = aio.create_task(nothing(), name=f"name {number}")
        task.add_done_callback(ignore)
        task.add_done_callback(functools.partial(ignore, task))
        task.remove_done_callback(ignore)
        repr(task)
        await task


@workload
async def futures(aio, count):
    loop = aio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future


@workload
async def futures_with_errors(aio, count):
    loop = aio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        future.set_exception(ValueError("expected"))
        with contextlib.suppress(ValueError):
            await future


@workload
async def futures_abandoned(aio, count):
    loop = aio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        future.add_done_callback(functools.partial(ignore, future))


@workload
async def futures_cancelled(aio, count):
    loop = aio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        future.add_done_callback(ignore)
        future.cancel("message")
    await aio.sleep(0)


@workload
async def handles(aio, count):
    loop = aio.get_running_loop()
    for size in batches(count):
        for _ in range(size):
            loop.call_soon(ignore, object())
        await aio.sleep(0)


@workload
async def handles_cancelled(aio, count):
    loop = aio.get_running_loop()
    for size in batches(count):
        for _ in range(size):
            loop.call_soon(ignore, object()).cancel()
        await aio.sleep(0)


@workload
async def timers(aio, count):
    loop = aio.get_running_loop()
    for size in batches(count):
        for _ in range(size):
            loop.call_later(0, ignore, object())
        await aio.sleep(0.0001)
    await aio.sleep(0.001)


@workload
async def timers_cancelled(aio, count):
    loop = aio.get_running_loop()
    for size in batches(count):
        for _ in range(size):
            loop.call_later(3600, ignore, object()).cancel()
        await aio.sleep(0)


@workload
async def callbacks_that_raise(aio, count):
    loop = aio.get_running_loop()
    loop.set_exception_handler(ignore)
    for _ in range(count):
        loop.call_soon(int, "no number")
        await aio.sleep(0)
    loop.set_exception_handler(None)


@workload
async def errors_never_retrieved(aio, count):
    loop = aio.get_running_loop()
    loop.set_exception_handler(ignore)
    for _ in range(count):
        aio.create_task(fails())
        await aio.sleep(0)
    loop.set_exception_handler(None)


@workload
async def threadsafe_calls(aio, count):
    loop = aio.get_running_loop()
    for size in batches(count):
        for _ in range(size):
            loop.call_soon_threadsafe(ignore, object())
        await aio.sleep(0)


@workload
async def sleeps_cancelled(aio, count):
    for size in batches(count):
        tasks = [aio.create_task(aio.sleep(3600)) for _ in range(size)]
        await aio.sleep(0)
        for task in tasks:
            task.cancel()
        await aio.wait(tasks)


@workload
async def gathers(aio, count):
    for _ in range(count // 4):
        await aio.gather(nothing(), nothing(), fails(), return_exceptions=True)


@workload
async def gathers_that_fail(aio, count):
    for _ in range(count // 4):
        with contextlib.suppress(ValueError):
            await aio.gather(nothing(), fails())


@workload
async def gathers_cancelled(aio, count):
    for _ in range(count // 4):
        group = aio.gather(forever(), forever())
        await aio.sleep(0)
        group.cancel()
        with contextlib.suppress(aio.CancelledError):
            await group


@workload
async def waits(aio, count):
    for _ in range(count // 4):
        await aio.wait([aio.create_task(nothing()), aio.create_task(nothing())], timeout=3600)


@workload
async def waits_that_time_out(aio, count):
    future = aio.get_running_loop().create_future()
    for _ in range(count // 4):
        await aio.wait([future], timeout=0)


@workload
async def wait_fors(aio, count):
    for _ in range(count // 2):
        await aio.wait_for(nothing(), 3600)


@workload
async def wait_fors_that_time_out(aio, count):
    for _ in range(count // 4):
        with contextlib.suppress(TimeoutError):
            await aio.wait_for(forever(), 0)


@workload
async def wait_fors_cancelled(aio, count):
    for _ in range(count // 4):
        task = aio.create_task(aio.wait_for(forever(), 3600))
        await aio.sleep(0)
        task.cancel()
        with contextlib.suppress(aio.CancelledError):
            await task


@workload
async def shields(aio, count):
    for _ in range(count // 4):
        outer = aio.shield(nothing())
        await outer
        inner = aio.create_task(nothing())
        aio.shield(inner).cancel()
        await inner


@workload
async def timeouts(aio, count):
    for _ in range(count // 2):
        async with aio.timeout(3600):
            await aio.sleep(0)


@workload
async def timeouts_that_expire(aio, count):
    for _ in range(count // 4):
        with contextlib.suppress(TimeoutError):
            async with aio.timeout(0):
                await forever()


@workload
async def task_groups(aio, count):
    for _ in range(count // 4):
        async with aio.TaskGroup() as group:
            group.create_task(nothing())
            group.create_task(nothing())


@workload
async def task_groups_that_fail(aio, count):
    for _ in range(count // 4):
        with contextlib.suppress(ExceptionGroup):
            async with aio.TaskGroup() as group:
                group.create_task(fails())
                group.create_task(forever())


@workload
async def as_completed(aio, count):
    for _ in range(count // 4):
        for completed in aio.as_completed([nothing(), nothing()]):
            await completed


@workload
async def events(aio, count):
    for _ in range(count // 4):
        event = aio.Event()
        task = aio.create_task(event.wait())
        await aio.sleep(0)
        event.set()
        await task


@workload
async def events_cancelled(aio, count):
    event = aio.Event()
    for _ in range(count // 4):
        task = aio.create_task(event.wait())
        await aio.sleep(0)
        task.cancel()
        with contextlib.suppress(aio.CancelledError):
            await task


async def cancelled_while_waiting(aio, tasks):
    await aio.sleep(0)
    for task in tasks:
        task.cancel("message")
    await aio.wait(tasks)


@workload
async def locks(aio, count):
    lock, semaphore = aio.Lock(), aio.Semaphore(2)

    async def visit():
        async with lock, semaphore:
            await aio.sleep(0)

    for size in batches(count // 4, 10):
        await aio.gather(*(visit() for _ in range(size)))


@workload
async def locks_cancelled(aio, count):
    for size in batches(count // 4, 10):
        lock, semaphore = aio.Lock(), aio.BoundedSemaphore(1)
        async with lock, semaphore:
            tasks = [aio.create_task(lock.acquire()) for _ in range(size)]
            tasks += [aio.create_task(semaphore.acquire()) for _ in range(size)]
            await cancelled_while_waiting(aio, tasks)


@workload
async def conditions(aio, count):
    condition = aio.Condition()

    async def wait():
        async with condition:
            await condition.wait_for(lambda: True)
            await condition.wait()

    for size in batches(count // 8, 10):
        tasks = [aio.create_task(wait()) for _ in range(size)]
        await aio.sleep(0)
        async with condition:
            condition.notify_all()
        await aio.wait(tasks)


@workload
async def conditions_cancelled(aio, count):
    condition = aio.Condition()

    async def wait():
        async with condition:
            await condition.wait()

    for size in batches(count // 8, 10):
        tasks = [aio.create_task(wait()) for _ in range(size)]
        await cancelled_while_waiting(aio, tasks)


@workload
async def barriers(aio, count):
    for _ in range(count // 16):
        barrier = aio.Barrier(3)
        await aio.gather(*(barrier.wait() for _ in range(3)))
        tasks = [aio.create_task(barrier.wait()) for _ in range(2)]
        await aio.sleep(0)
        await barrier.reset()
        await aio.gather(*tasks, return_exceptions=True)
        await cancelled_while_waiting(aio, [aio.create_task(barrier.wait())])


@workload
async def queues_of_every_kind(aio, count):
    class Own(aio.Queue):
        def _put(self, item):
            super()._put(item)

    for kind in (aio.Queue, aio.PriorityQueue, aio.LifoQueue, Own):
        queue = kind(4)

        async def produce(queue=queue):
            for number in range(count // 16):
                await queue.put((number, "item"))
            await queue.join()

        task = aio.create_task(produce())
        for _ in range(count // 16):
            await queue.get()
            queue.task_done()
        await task


@workload
async def queues_cancelled(aio, count):
    for size in batches(count // 8, 10):
        empty, full = aio.Queue(), aio.PriorityQueue(1)
        full.put_nowait(0)
        tasks = [aio.create_task(empty.get()) for _ in range(size)]
        tasks += [aio.create_task(full.put(object())) for _ in range(size)]
        tasks.append(aio.create_task(full.join()))
        await cancelled_while_waiting(aio, tasks)


@workload
async def queues_looked_into(aio, count):
    for number in range(count // 8):
        queue = aio.Queue(1)
        queue.put_nowait(number)
        task = aio.create_task(queue.put(number))
        await aio.sleep(0)
        repr(queue), queue._queue, list(queue._putters), queue._finished
        queue._queue.clear()
        task.cancel()
        with contextlib.suppress(aio.CancelledError):
            await task


@workload
async def queues(aio, count):
    queue = aio.Queue(1)
    for number in range(count // 4):
        task = aio.create_task(queue.get())
        await aio.sleep(0)
        await queue.put(number)
        await task


def jobs_of(aio):
    """The module with the Scheduler that goes with `aio`."""
    return importlib.import_module("aiojobs" if aio is asyncio else f"{aio.__name__}.scheduler")


@workload
async def jobs(aio, count):
    async with jobs_of(aio).Scheduler(limit=10) as scheduler:
        for size in batches(count, 50):
            for number in range(size):
                job = await scheduler.spawn(nothing(), f"job {number}")
            await job.wait()


@workload
async def jobs_that_wait_to_be_spawned(aio, count):
    async with jobs_of(aio).Scheduler(limit=2, pending_limit=2) as scheduler:
        for _ in range(count // 4):
            await scheduler.spawn(aio.sleep(0))


@workload
async def jobs_that_fail(aio, count):
    async with jobs_of(aio).Scheduler(exception_handler=ignore) as scheduler:
        for _ in range(count // 4):
            await scheduler.spawn(fails())
            with contextlib.suppress(ValueError):
                await (await scheduler.spawn(fails())).wait(timeout=60)


@workload
async def jobs_closed(aio, count):
    scheduler = jobs_of(aio).Scheduler(limit=2, pending_limit=3)
    for _ in range(count // 16):
        jobs = [await scheduler.spawn(forever()) for _ in range(5)]
        waiting = [aio.create_task(scheduler.spawn(forever())) for _ in range(2)]
        waiting += [aio.create_task(job.wait()) for job in jobs]
        await aio.sleep(0)
        waiting[0].cancel()
        for job in jobs:
            await job.close()
        for job in list(scheduler):
            await job.close()
        await aio.wait(waiting)
    await scheduler.close()


@workload
async def schedulers(aio, count):
    for number in range(count // 16):
        async with jobs_of(aio).Scheduler(limit=1, wait_timeout=0 if number % 4 else 60) as scheduler:
            await scheduler.spawn(nothing())
            if number % 4:
                await scheduler.spawn(forever())
                outer = scheduler.shield(forever())
            else:
                outer = scheduler.shield(nothing())
        await aio.wait([outer])


@workload
async def coroutines_never_started(aio, count):
    for _ in range(count):
        aio.sleep(1).close()


@workload
async def async_generators_left(aio, count):
    async def numbers():
        yield 1
        yield 2

    for _ in range(count // 4):
        async for _ in numbers():
            break
        await aio.sleep(0)


@workload
async def calls_in_threads(aio, count):
    for _ in range(count // 50):
        await aio.to_thread(ignore)
        await aio.get_running_loop().run_in_executor(None, ignore)


@workload
async def introspection(aio, count):
    for _ in range(count // 10):
        task = aio.create_task(forever())
        await aio.sleep(0)
        aio.all_tasks()
        aio.current_task()
        task.get_stack()
        repr(task)
        task.cancel()
        with contextlib.suppress(aio.CancelledError):
            await task


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Replies(asyncio.Protocol):
    """The other end: `reply` is done when as much came as was asked for."""

    def ask(self, transport, reply, data):
        self.left, self.reply = len(data), reply
        transport.write(data)

    def data_received(self, data):
        self.left -= len(data)
        if not self.left and not self.reply.done():
            self.reply.set_result(None)


class BufferedReplies(Replies, asyncio.BufferedProtocol):
    def get_buffer(self, sizehint):
        return bytearray(1000)

    def buffer_updated(self, count):
        self.data_received(bytes(count))


@contextlib.asynccontextmanager
async def echo(aio, protocol):
    loop = aio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    transport, replies = await loop.create_connection(protocol, *address)
    yield transport, replies
    transport.close()
    server.close()
    await aio.sleep(0.01)


@workload
async def requests(aio, count):
    async with echo(aio, Replies) as (transport, replies):
        for number in range(count):
            reply = aio.get_running_loop().create_future()
            replies.ask(transport, reply, b"x" * (number % 100 + 1))
            await reply


@workload
async def requests_through_a_buffer(aio, count):
    async with echo(aio, BufferedReplies) as (transport, replies):
        for number in range(count):
            reply = aio.get_running_loop().create_future()
            replies.ask(transport, reply, bytearray(number % 100 + 1))
            await reply


@workload
async def requests_that_are_queued(aio, count):
    async with echo(aio, Replies) as (transport, replies):
        for _ in range(count // 100):
            reply = aio.get_running_loop().create_future()
            transport.pause_reading()
            replies.ask(transport, reply, b"x" * 5_000_000)
            transport.writelines([b"", bytearray(b"y")])
            replies.left += 1
            transport.resume_reading()
            await reply


@workload
async def connections(aio, count):
    loop = aio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    for number in range(count // 10):
        transport, _ = await loop.create_connection(aio.Protocol, *address)
        transport.get_extra_info("peername")
        if number % 2:
            transport.write(b"nobody waits for the answer")
            transport.abort()
        else:
            transport.close()
        await aio.sleep(0)
    server.close()
    await aio.sleep(0.01)


@workload
async def stream_requests(aio, count):
    async def serve(reader, writer):
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await aio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await aio.open_connection(*server.sockets[0].getsockname())
    for number in range(count):
        writer.write(b"some line\n")
        match number % 3:
            case 0:
                await reader.readline()
            case 1:
                await reader.readexactly(10)
            case _:
                await reader.readuntil(b"e\n")
    writer.close()
    await writer.wait_closed()
    server.close()
    await aio.sleep(0.01)


@workload
async def socket_reads(aio, count):
    loop = aio.get_running_loop()
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    buffer = bytearray(10)
    for number in range(count):
        if number % 2:
            waiting = aio.ensure_future(loop.sock_recv(one, 100))
        else:
            waiting = aio.ensure_future(loop.sock_recv_into(one, buffer))
        await aio.sleep(0)
        if number % 10 == 5:
            waiting.cancel()
            await aio.wait([waiting])
        else:
            await loop.sock_sendall(other, b"some data")
            await waiting
    one.close()
    other.close()


class DatagramEcho(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


class DatagramReply(DatagramEcho):
    def datagram_received(self, data, addr):
        self.reply.set_result(data)

    def error_received(self, exc):
        self.reply.set_exception(exc)


@workload
async def datagrams(aio, count):
    loop = aio.get_running_loop()
    loop.set_exception_handler(ignore)
    server, _ = await loop.create_datagram_endpoint(DatagramEcho, local_addr=("127.0.0.1", 0))
    address = server.get_extra_info("sockname")
    client, replies = await loop.create_datagram_endpoint(DatagramReply, remote_addr=address)
    free, _ = await loop.create_datagram_endpoint(aio.DatagramProtocol, family=socket.AF_INET)
    for number in range(count):
        replies.reply = loop.create_future()
        if number % 10 == 5:
            free.sendto(b"not understood", "nowhere")
            free, _ = await loop.create_datagram_endpoint(aio.DatagramProtocol, family=socket.AF_INET)
        client.sendto(bytearray(b"some data") if number % 2 else b"other data", address)
        await replies.reply
    for transport in (server, client, free):
        transport.close()
    await aio.sleep(0.01)


@workload
async def datagrams_that_are_queued(aio, count):
    loop = aio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        peer.bind(f"{folder}/peer")
        peer.setblocking(False)
        for number in range(count // 100):
            transport, _ = await loop.create_datagram_endpoint(
                aio.DatagramProtocol, family=socket.AF_UNIX
            )
            for _ in range(100):
                transport.sendto(b"some data", f"{folder}/peer")
            if number % 2:
                transport.abort()
            else:
                transport.close()
                while transport.get_write_buffer_size():
                    with contextlib.suppress(BlockingIOError):
                        peer.recv(100)
                    await aio.sleep(0)
            await aio.sleep(0)
        peer.close()


@workload
async def socket_datagrams(aio, count):
    loop = aio.get_running_loop()
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    address = sock.getsockname()
    buffer = bytearray(10)
    for number in range(count):
        if number % 2:
            waiting = aio.ensure_future(loop.sock_recvfrom(sock, 100))
        else:
            waiting = aio.ensure_future(loop.sock_recvfrom_into(sock, buffer))
        await aio.sleep(0)
        if number % 10 == 5:
            waiting.cancel()
            await aio.wait([waiting])
        else:
            await loop.sock_sendto(sock, b"some data", address)
            await waiting
    sock.close()


@workload
async def socket_connections(aio, count):
    loop = aio.get_running_loop()
    server = socket.create_server(("127.0.0.1", 0))
    server.setblocking(False)
    address = server.getsockname()
    for number in range(count // 10):
        client = socket.socket()
        client.setblocking(False)
        accepting = aio.ensure_future(loop.sock_accept(server))
        await aio.sleep(0)
        await loop.sock_connect(client, address)
        connection, _ = await accepting
        client.close()
        connection.close()
    server.close()
    closed = socket.socket()
    closed.setblocking(False)
    with contextlib.suppress(ConnectionRefusedError):
        await loop.sock_connect(closed, address)
    closed.close()
