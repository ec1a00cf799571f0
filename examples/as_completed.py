"""`as_completed`: handle each result when it comes, the quickest first."""

import asyncio


async def download(name, seconds):
    await asyncio.sleep(seconds)
    if name == "broken":
        raise ConnectionError("broken")
    return name


async def main():
    print("in the order of completion:")
    downloads = [download("slow", 0.12), download("middle", 0.07), download("quick", 0.02)]
    for next_one in asyncio.as_completed(downloads):
        print("  ", await next_one)

    print("with an error among them:")
    for next_one in asyncio.as_completed([download("good", 0.06), download("broken", 0.01)]):
        try:
            print("  ", await next_one)
        except ConnectionError as error:
            print("   ConnectionError:", error)

    print("with a time limit for all together:")
    tasks = [asyncio.create_task(download(*item)) for item in (("quick", 0.01), ("late", 3600))]
    try:
        for next_one in asyncio.as_completed(tasks, timeout=0.1):
            print("  ", await next_one)
    except TimeoutError:
        print("   TimeoutError; the late one goes on:", not tasks[1].done())
    tasks[1].cancel()


asyncio.run(main())
