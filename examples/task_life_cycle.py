"""The life of a task: pending, then finished, failed or cancelled.

`result()` and `exception()` answer for a finished task only; before that they
raise InvalidStateError, and after a cancellation CancelledError.
"""

import asyncio


async def succeed():
    await asyncio.sleep(0)
    return "fine"


async def fail():
    await asyncio.sleep(0)
    raise LookupError("nothing there")


async def hang():
    await asyncio.sleep(3600)


def ask(method):
    try:
        return repr(method())
    except asyncio.InvalidStateError as error:
        return f"InvalidStateError: {error}"
    except asyncio.CancelledError:
        return "CancelledError"
    except LookupError as error:
        return f"raised {error!r}"


def report(task):
    print(f"  {task.get_name():9} done={task.done()} cancelled={task.cancelled()}")
    print("    result:   ", ask(task.result))
    print("    exception:", ask(task.exception))


async def main():
    tasks = [
        asyncio.create_task(succeed(), name="succeed"),
        asyncio.create_task(fail(), name="fail"),
        asyncio.create_task(hang(), name="hang"),
    ]

    print("at birth:")
    for task in tasks:
        report(task)

    await asyncio.sleep(0)
    print("cancel() asks a waiting task:", tasks[2].cancel())
    await asyncio.wait(tasks)

    print("at the end:")
    for task in tasks:
        report(task)
    print("cancel() cannot change what is over:", tasks[0].cancel())


asyncio.run(main())
