"""Errors that nobody awaits: the exception handler of the loop.

A callback has nobody to raise to, and a failed task may have nobody who waits.
Both are reported to the loop's exception handler, which logs, unless told
otherwise.
"""

import asyncio
import gc
import logging
import sys


class WithoutPlaces(logging.Formatter):
    """Leaves out what names files and lines: a context, a traceback."""

    def formatMessage(self, record):
        return super().formatMessage(record).partition("\ncontext:")[0]

    def formatException(self, exc_info):
        return f"  {exc_info[1]!r}"


output = logging.StreamHandler(sys.stdout)
output.setFormatter(WithoutPlaces("  %(name)s logs: %(message)s"))
logging.getLogger().addHandler(output)


def broken_callback():
    raise ZeroDivisionError("in a callback")


async def broken_task():
    raise LookupError("in a task")


def handler(loop, context):
    print("  handler:", context["message"].partition("(")[0], "|", repr(context["exception"]))


async def show():
    loop = asyncio.get_running_loop()

    loop.call_soon(broken_callback)
    await asyncio.sleep(0)

    task = asyncio.create_task(broken_task(), name="broken")
    await asyncio.sleep(0)
    del task
    gc.collect()


async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(handler)
    print("a handler of our own:")
    await show()
    print("  installed:", loop.get_exception_handler() is handler)

    print("called by hand:")
    loop.call_exception_handler({"message": "something odd", "exception": OSError(5, "odd")})

    print("the default handler logs:")
    loop.set_exception_handler(None)
    loop.call_exception_handler({"message": "something odd", "detail": 42})

    print("a handler that is itself broken is reported too, and the loop goes on:")
    loop.set_exception_handler(lambda loop, context: 1 / 0)
    loop.call_soon(broken_callback)
    await asyncio.sleep(0.01)
    print("  still running:", loop.is_running())


asyncio.run(main())
