"""`async for` over `as_completed`: it hands back the tasks that were given.

asyncio has this from 3.13 on; rasyncio has it on every version.
"""

import rasyncio as asyncio


async def download(name, seconds):
    await asyncio.sleep(seconds)
    if name == "broken":
        raise ConnectionError(name)
    return name


async def main():
    origin = {
        asyncio.create_task(download("slow", 0.1)): "mirror 1",
        asyncio.create_task(download("broken", 0.05)): "mirror 2",
        asyncio.create_task(download("quick", 0.01)): "mirror 3",
    }
    async for task in asyncio.as_completed(origin):
        # The same object as in the dictionary, so we know whose result it is.
        try:
            print(origin[task], "gave", await task)
        except ConnectionError as error:
            print(origin[task], "failed:", error)

    late = asyncio.create_task(download("late", 3600))
    try:
        async for task in asyncio.as_completed([late], timeout=0.01):
            print("never shown")
    except TimeoutError:
        print("TimeoutError, and the download goes on:", not late.done())
    late.cancel()


asyncio.run(main())
