"""What the tests of streams are made of."""

import asyncio

from _sockets import run

import rasyncio
from rasyncio import streams


def same(scenario):
    """Runs `scenario(log, module)` on stock streams and on ours; the logs must be equal."""
    ours = run(lambda log: scenario(log, streams), rasyncio.new_event_loop)
    stock = run(lambda log: scenario(log, asyncio.streams), asyncio.SelectorEventLoop)
    assert ours == stock
    return ours


async def outcome(log, awaitable):
    try:
        log("answer", bytes(await awaitable))
    except Exception as error:
        log("raised", error, getattr(error, "partial", None), getattr(error, "consumed", None))
