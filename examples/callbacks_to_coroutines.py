"""From a callback interface to a coroutine: three steps and a bridge.

A library that says "give me a function and I call it back" becomes awaitable
with one future per request.
"""

import asyncio


class OldClient:
    """Answers through callbacks, as libraries did before `await`."""

    def __init__(self, loop):
        self._loop = loop

    def ask(self, question, on_answer, on_error):
        if question == "meaning":
            self._loop.call_later(0.01, on_answer, 42)
        else:
            self._loop.call_later(0.01, on_error, KeyError(question))


def with_callbacks(client, done):
    """Each step nests in the one before."""

    def first(answer):
        print("  callback, first answer:", answer)
        client.ask("meaning", second, None)

    def second(answer):
        print("  callback, second answer:", answer)
        done.set_result(None)

    client.ask("meaning", first, None)


async def ask(client, question):
    """The bridge: one request as a coroutine."""
    answer = asyncio.get_running_loop().create_future()
    client.ask(question, answer.set_result, answer.set_exception)
    return await answer


async def main():
    loop = asyncio.get_running_loop()
    client = OldClient(loop)

    print("callbacks:")
    done = loop.create_future()
    with_callbacks(client, done)
    await done

    print("coroutine:")
    print("  first answer:", await ask(client, "meaning"))
    print("  second answer:", await ask(client, "meaning"))
    try:
        await ask(client, "the weather")
    except KeyError as error:
        print("  errors are exceptions again:", repr(error))


asyncio.run(main())
