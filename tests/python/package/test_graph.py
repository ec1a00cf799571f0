"""The call graph, on every version."""

import re

import rasyncio as asyncio
import pytest


def shape(graph):
    """Names only: the task's, its calls', and the same for those who await it."""
    future = graph.future
    name = future.get_name() if hasattr(future, "get_name") else "future"
    calls = [entry.frame.f_code.co_name for entry in graph.call_stack]
    return name, calls, sorted(shape(parent) for parent in graph.awaited_by)


async def until_all_wait():
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_running_task_is_shown_from_the_innermost_call():
    def innermost():
        return asyncio.capture_call_graph()

    async def inner():
        return innermost()

    async def numbers():
        yield await inner()

    async def outer():
        async for graph in numbers():
            return shape(graph)

    async def main():
        return await asyncio.create_task(outer(), name="task")

    name, calls, parents = asyncio.run(main())
    assert (name, calls) == ("task", ["innermost", "inner", "numbers", "outer"])
    assert [calls for _, calls, _ in parents] == [["main"]]


def test_awaiters_are_found_through_gather_shield_wait_and_groups():
    async def main():
        future = asyncio.get_running_loop().create_future()

        async def by_gather():
            await asyncio.gather(future, asyncio.sleep(0))

        async def by_shield():
            await asyncio.shield(future)

        async def by_wait():
            await asyncio.wait([future])

        async def by_wait_for():
            await asyncio.wait_for(future, 60)

        async with asyncio.TaskGroup() as group:
            for function in (by_gather, by_shield, by_wait, by_wait_for):
                group.create_task(function(), name=function.__name__)
            await until_all_wait()
            graph = asyncio.capture_call_graph(future)
            future.set_result(None)
        return shape(graph)

    name, calls, parents = asyncio.run(main())
    assert (name, calls) == ("future", [])
    found = {name: calls for name, calls, _ in parents}
    assert found == {
        "by_gather": ["by_gather"],
        "by_shield": ["by_shield"],
        "by_wait": ["_wait", "wait", "by_wait"],
        "by_wait_for": ["wait_for", "by_wait_for"],
    }


def test_it_is_printed_with_files_lines_and_kinds():
    async def inner(future):
        await future

    async def outer(future):
        await inner(future)

    async def main():
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(outer(future), name="worker")
        await until_all_wait()
        text = asyncio.format_call_graph(future)
        future.set_result(None)
        await task
        return text

    text = re.sub(r"0x[0-9a-f]+|line \d+", "#", asyncio.run(main()))
    test = "test_it_is_printed_with_files_lines_and_kinds.<locals>"
    assert text.splitlines() == [
        "* Future(id=#)",
        "  + Awaited by:",
        "    * Task(name='worker', id=#)",
        "      + Call stack:",
        f"      |   File {__file__!r}, #, in async {test}.inner()",
        f"      |   File {__file__!r}, #, in async {test}.outer()",
    ]


def test_native_coroutines_are_shown_as_coroutines():
    async def main():
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(asyncio.wait_for(future, 60))
        await until_all_wait()
        text = asyncio.format_call_graph(task)
        future.set_result(None)
        await task
        return text

    assert " in async wait_for()" in asyncio.run(main())


def test_limits_keep_one_end_of_the_stack():
    async def third(future):
        await future

    async def second(future):
        await third(future)

    async def first(future):
        await second(future)

    async def main():
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(first(future))
        await until_all_wait()
        found = [
            shape(asyncio.capture_call_graph(task, limit=limit))[1] for limit in (None, 1, -1, 0)
        ]
        future.set_result(None)
        await task
        return found

    assert asyncio.run(main()) == [["third", "second", "first"], ["first"], ["third"], []]


def test_a_ring_of_awaiters_ends_the_graph():
    async def main():
        first, second = (asyncio.get_running_loop().create_future() for _ in range(2))
        for future, waiter in ((first, second), (second, first)):
            asyncio.future_add_to_awaited_by(future, waiter)
        (parent,) = asyncio.capture_call_graph(first).awaited_by
        for future, waiter in ((first, second), (second, first)):
            asyncio.future_discard_from_awaited_by(future, waiter)
        return parent.future is second and not parent.awaited_by

    assert asyncio.run(main())


def test_it_asks_for_a_future_or_a_loop():
    with pytest.raises(TypeError, match="does not appear to be compatible"):
        asyncio.capture_call_graph("no future")
    with pytest.raises(RuntimeError, match="outside of a running event loop"):
        asyncio.capture_call_graph()


def test_there_is_none_outside_of_a_task():
    async def main():
        loop = asyncio.get_running_loop()
        found = loop.create_future()
        loop.call_soon(lambda: found.set_result(asyncio.capture_call_graph()))
        return await found

    assert asyncio.run(main()) is None
