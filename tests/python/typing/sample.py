"""A program that uses most of the API, for type checkers: see test_typing.py."""

import rasyncio
import rasyncio as asyncio
import rasyncio.scheduler as aiojobs


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def lines(queue: asyncio.Queue[str]) -> None:
    try:
        while True:
            print(await queue.get())
    except asyncio.QueueShutDown:
        pass


async def main() -> str:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[int] = loop.create_future()
    loop.call_later(0.01, future.set_result, 3)
    three: int = await asyncio.wait_for(future, 1)
    async with asyncio.timeout(1) as limit:
        limit.reschedule(loop.time() + 2)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(double(three))
        group.cancel()
    first, second = await asyncio.gather(double(1), task, return_exceptions=False)
    done, pending = await asyncio.wait({task}, return_when=asyncio.FIRST_COMPLETED)
    text: str = asyncio.format_call_graph()
    graph = asyncio.capture_call_graph()
    if graph is not None:
        print([entry.frame.f_code.co_name for entry in graph.call_stack])
    asyncio.print_call_graph(limit=3)
    number: int = await asyncio.to_thread(len, text)
    loop.set_task_factory(asyncio.eager_task_factory)
    six: int = await asyncio.shield(asyncio.ensure_future(double(first + second + number)))
    return f"{six} {done} {pending}"


def told(scheduler: aiojobs.Scheduler, context: dict[str, object]) -> None:
    print(len(scheduler), context)


async def jobs() -> int:
    async with aiojobs.Scheduler(limit=3, exception_handler=told) as scheduler:
        job: aiojobs.Job[int] = await scheduler.spawn(double(3), name="six")
        print([other.get_name() for other in scheduler], job in scheduler, scheduler.limit)
        eight: int = await scheduler.shield(double(4))
        return eight + await job.wait(timeout=1)


if __name__ == "__main__":
    rasyncio.install()
    result: str = rasyncio.run(main(), debug=False, loop_factory=rasyncio.new_event_loop)
    with asyncio.Runner(loop_factory=asyncio.EventLoop) as runner:
        result = runner.run(main())
    rasyncio.uninstall()
