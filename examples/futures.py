"""Futures: a result that somebody will put there.

Futures connect callback code with `await`. A future is settled once; who waits
for it is resumed in a later turn.
"""

import asyncio


async def waiter(name, future):
    try:
        print(f"  {name} got {await future!r}")
    except Exception as error:
        print(f"  {name} got the error {error!r}")


async def several_waiters():
    future = asyncio.get_running_loop().create_future()
    waiters = [asyncio.create_task(waiter(name, future)) for name in "ABC"]
    await asyncio.sleep(0)
    print("pending:", future)
    future.set_result("a result")
    print("settled:", future)
    await asyncio.gather(*waiters)


async def an_error():
    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(waiter("D", future))
    await asyncio.sleep(0)
    future.set_exception(OSError("line broken"))
    await task


async def once_only():
    future = asyncio.get_running_loop().create_future()
    try:
        future.result()
    except asyncio.InvalidStateError as error:
        print("too early:", error)
    future.set_result(1)
    try:
        future.set_result(2)
    except asyncio.InvalidStateError:
        print("a second result is refused; it stays", future.result())


async def cancelled():
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.cancel, "changed my mind")
    try:
        await future
    except asyncio.CancelledError as error:
        print("cancelled:", error.args, future.cancelled())


for main in (several_waiters, an_error, once_only, cancelled):
    asyncio.run(main())
