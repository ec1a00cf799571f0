"""`StreamReader`: lines, exact counts, separators and limits, without a socket.

A reader can be fed by hand, which shows what each way of reading waits for.
"""

import asyncio


async def main():
    reader = asyncio.StreamReader(limit=16)

    print("a line comes in two pieces:")
    task = asyncio.create_task(reader.readline())
    await asyncio.sleep(0)
    reader.feed_data(b"first ")
    await asyncio.sleep(0)
    print("  done:", task.done())
    reader.feed_data(b"line\nand more")
    print(" ", await task)

    print("exactly so many bytes:", await reader.readexactly(4))
    print("whatever there is:    ", await reader.read(100))

    reader.feed_data(b"key=value;")
    print("up to a separator:    ", await reader.readuntil(b";"))

    reader.feed_data(b"x" * 20 + b"\n")
    try:
        await reader.readline()
    except ValueError as error:
        print("longer than the limit:", error)

    reader.feed_data(b"tail")
    reader.feed_eof()
    try:
        await reader.readexactly(10)
    except asyncio.IncompleteReadError as error:
        print("ended too early:      ", error.partial, "of", error.expected)
    print("at the end:           ", reader.at_eof(), await reader.read())


asyncio.run(main())
