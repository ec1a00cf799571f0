"""One contestant in one process: measures what it is told to, when it is told to.

    python worker.py CONTESTANT wall|cpu    orders on standard input, see `serve`
    python worker.py CONTESTANT ROW N       one row once, for callgrind.py

run.py keeps one worker per contestant alive and has them take turns, so that
all are measured on the machine as it is at that moment.
"""

import asyncio
import gc
import json
import os
import resource
import sys
import time
import traceback

import contestants
import rows


def resident() -> int:
    """Bytes of this process in memory: now on Linux, the most there were elsewhere."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


async def memory(n: int) -> float:
    """Bytes per task that sleeps in a coroutine of its own."""

    async def sleeper():
        await asyncio.sleep(3600)

    # One first, so that what is loaded or built on first use is not counted.
    tasks = [asyncio.create_task(sleeper())] * n
    await asyncio.sleep(0)
    gc.collect()
    before = resident()
    for i in range(n):
        tasks[i] = asyncio.create_task(sleeper())
    await asyncio.sleep(0)
    gc.collect()
    return (resident() - before) / n


class Worker:
    def __init__(self, name: str):
        self.name = name
        if name == contestants.FLOOR:
            from floor import FLOOR

            self.floor = FLOOR
        else:
            self.loop_factory = contestants.activate(name)

    def measure(self, row: str, n: int) -> float:
        """Seconds for `n` operations, in a fresh loop."""
        gc.collect()
        if self.name == contestants.FLOOR:
            return self.floor[row](n)
        with asyncio.Runner(loop_factory=self.loop_factory) as runner:
            return runner.run(rows.ROWS[row].run(n))

    def memory(self, n: int) -> float:
        return asyncio.Runner(loop_factory=self.loop_factory).run(memory(n))

    def serve(self) -> None:
        """Answer each order, a JSON list, with one line of JSON.

        `["measure", row, n]` gives seconds, `["memory", n]` bytes per task and the
        end of this process: to wake a million sleepers for nothing takes long.
        """
        for line in sys.stdin:
            order, *args = json.loads(line)
            try:
                answer = {"value": getattr(self, order)(*args)}
            except Exception:
                answer = {"error": traceback.format_exc()}
            print(json.dumps(answer), flush=True)
            if order == "memory":
                os._exit(0)


if __name__ == "__main__":
    contestant, *what = sys.argv[1:]
    if len(what) == 1:
        if what == ["cpu"]:
            rows.measure_by(time.process_time)
        Worker(contestant).serve()
    else:
        Worker(contestant).measure(what[0], int(what[1]))
