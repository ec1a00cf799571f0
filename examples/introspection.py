"""Who is running: current task, all tasks, names, stacks."""

import asyncio
import io


async def inner(event):
    await event.wait()


async def outer(event):
    await inner(event)


def stack_of(task):
    text = io.StringIO()
    task.print_stack(file=text)
    return [line.strip() for line in text.getvalue().splitlines()]


async def main():
    me = asyncio.current_task()
    print("current task:", me.get_name())
    print("all tasks:   ", [task.get_name() for task in asyncio.all_tasks()])

    event = asyncio.Event()
    tasks = [asyncio.create_task(outer(event), name=f"worker-{n}") for n in range(3)]
    await asyncio.sleep(0)
    print("with workers:", sorted(task.get_name() for task in asyncio.all_tasks()))

    print("what one runs:", tasks[0].get_coro().__qualname__)
    print("where it waits:")
    for line in stack_of(tasks[0]):
        print("  ", line.replace(__file__, "introspection.py"))

    # Wait for everybody but oneself, for instance before leaving.
    event.set()
    others = asyncio.all_tasks() - {me}
    await asyncio.wait(others)
    print("all ended:", all(task.done() for task in others))
    print("a task that has ended is not in all_tasks:", asyncio.all_tasks() == {me})


asyncio.run(main())
