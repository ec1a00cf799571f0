"""Streams: an echo server and its clients, over the loopback interface."""

import asyncio


async def handle(reader, writer):
    """Sends every line back in capitals, until the client has no more."""
    async for line in reader:
        writer.write(line.upper())
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def client(port, name, lines):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for line in lines:
        writer.write(f"{name}: {line}\n".encode())
        await writer.drain()
        answers.append((await reader.readline()).decode().strip())
    writer.write_eof()
    print(f"  {name}: end of file:", await reader.read() == b"")
    writer.close()
    await writer.wait_closed()
    return answers


async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        print("one client:")
        print(" ", await client(port, "ann", ["hello", "world"]))

        print("many clients:")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(client(port, "all", [str(n)])) for n in range(5)]
        print(" ", [task.result() for task in tasks])
    print("serving:", server.is_serving())


asyncio.run(main())
