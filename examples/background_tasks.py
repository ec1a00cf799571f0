"""Fire and forget, done right: keep a reference, look at the result.

The loop refers to tasks only weakly while they wait. A task that nobody else
refers to may disappear in the middle of its work.
"""

import asyncio
import gc

background = set()
log = []


def start(coroutine):
    task = asyncio.create_task(coroutine)
    background.add(task)
    task.add_done_callback(finished)
    return task


def finished(task):
    background.discard(task)
    if not task.cancelled() and (error := task.exception()):
        log.append(f"failed: {error!r}")


async def send_mail(address):
    await asyncio.sleep(0.01)
    if "@" not in address:
        raise ValueError(address)
    log.append(f"sent to {address}")


async def main():
    start(send_mail("ann@example.com"))
    start(send_mail("nowhere"))
    gc.collect()
    print("in the background:", len(background))
    await asyncio.wait(set(background))
    await asyncio.sleep(0)
    print("in the background:", len(background))
    for line in sorted(log):
        print("  ", line)


asyncio.run(main())
