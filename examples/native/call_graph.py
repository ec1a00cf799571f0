"""The call graph: who waits for whom, through tasks and coroutines.

asyncio has it from 3.14 on; rasyncio has it on every version.
"""

import rasyncio as asyncio


async def read(event):
    await event.wait()


async def handle(event):
    await read(event)


async def serve(event):
    async with asyncio.TaskGroup() as group:
        group.create_task(handle(event), name="handler")


def functions(graph):
    return [entry.frame.f_code.co_name for entry in graph.call_stack]


async def main():
    event = asyncio.Event()
    server = asyncio.create_task(serve(event), name="server")
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    handler = next(task for task in asyncio.all_tasks() if task.get_name() == "handler")
    graph = asyncio.capture_call_graph(handler)
    print("a task:     ", graph.future.get_name())
    print("is in:      ", [name for name in functions(graph) if name in {"handle", "read"}])
    for waiter in graph.awaited_by:
        print("awaited by: ", waiter.future.get_name())
        print("which is in:", [name for name in functions(waiter) if name == "serve"])

    text = asyncio.format_call_graph(handler)
    print("as text, it names both:", "handler" in text and "server" in text)

    event.set()
    await server
    print("nobody waits for what is done:", asyncio.capture_call_graph(handler).awaited_by == ())


asyncio.run(main())
