"""`TaskGroup.cancel()`: leave a group early, without an error.

asyncio has it from 3.15 on; rasyncio has it on every version.
"""

import rasyncio as asyncio


async def search(group, place, seconds, found):
    await asyncio.sleep(seconds)
    found.append(place)
    group.cancel()


async def main():
    found = []
    async with asyncio.TaskGroup() as group:
        for place, seconds in (("attic", 3600), ("cellar", 0.01), ("garden", 3600)):
            group.create_task(search(group, place, seconds, found))
    print("found in the", *found, "and the other searches were called off")

    async with asyncio.TaskGroup() as group:
        group.cancel()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            print("the block itself is cancelled as well")
            raise
    print("and no error comes out")


asyncio.run(main())
