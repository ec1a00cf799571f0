"""A scheduler for background jobs: a concurrency limit, a queue, a clean end.

Jobs above the limit wait for a place. Closing the scheduler gives the running
jobs a little time, then cancels them; what they raise is reported, not lost.
"""

import asyncio
import collections


class Scheduler:
    def __init__(self, limit, close_timeout=0.05):
        self.limit = limit
        self.close_timeout = close_timeout
        self.running = set()
        self.waiting = collections.deque()
        self.closed = False

    def spawn(self, coroutine, name):
        if self.closed:
            coroutine.close()
            raise RuntimeError("scheduler is closed")
        self.waiting.append((coroutine, name))
        self._start_waiting()

    async def close(self):
        self.closed = True
        while self.waiting:
            coroutine, name = self.waiting.popleft()
            coroutine.close()
            print(f"  {name}: never started")
        if self.running:
            _, late = await asyncio.wait(self.running, timeout=self.close_timeout)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _start_waiting(self):
        while self.waiting and len(self.running) < self.limit:
            coroutine, name = self.waiting.popleft()
            task = asyncio.create_task(coroutine, name=name)
            self.running.add(task)
            task.add_done_callback(self._job_done)

    def _job_done(self, task):
        self.running.discard(task)
        if task.cancelled():
            print(f"  {task.get_name()}: cancelled")
        elif error := task.exception():
            task.get_loop().call_exception_handler(
                {"message": "job failed", "exception": error, "future": task}
            )
        if not self.closed:
            self._start_waiting()


async def job(name, seconds, error=None):
    print(f"  {name}: starts")
    await asyncio.sleep(seconds)
    if error:
        raise error
    print(f"  {name}: ends")


def report(loop, context):
    print(f"  {context['future'].get_name()}: {context['message']}: {context['exception']!r}")


async def main():
    asyncio.get_running_loop().set_exception_handler(report)
    scheduler = Scheduler(limit=2)

    print("three jobs, two places:")
    scheduler.spawn(job("A", 0.02), "A")
    scheduler.spawn(job("B", 0.06), "B")
    scheduler.spawn(job("C", 0.12, ValueError("no good")), "C")
    print("  running:", len(scheduler.running), "waiting:", len(scheduler.waiting))
    await asyncio.sleep(0.25)

    print("closing:")
    scheduler.spawn(job("D", 0.02), "D")
    scheduler.spawn(job("E", 3600), "E")
    scheduler.spawn(job("F", 3600), "F")
    await asyncio.sleep(0)
    await scheduler.close()
    try:
        scheduler.spawn(job("G", 0), "G")
    except RuntimeError as error:
        print("  refused:", error)


asyncio.run(main())
