"""Events, locks, conditions, barriers and queues."""

import contextlib

from .register import batches, cancelled_while_waiting, workload


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
