"""What the tests of coroutines are made of."""

import types

import rasyncio


def finish(coroutine):
    """Send None until the coroutine returns; answer its value."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value


async def plain(delay, result=None):
    """What `rasyncio.sleep(0, result)` is compared with."""

    @types.coroutine
    def step():
        yield

    await step()
    return result


def awaits(awaitable):
    """A native coroutine that awaits `awaitable` and adds nothing."""
    return rasyncio.wait_for(awaitable, None)
