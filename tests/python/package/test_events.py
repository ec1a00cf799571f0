"""The current loop, and where loops come from."""

import sys
import threading

import pytest
import rasyncio as asyncio
from _child import succeeds


def test_new_event_loop_is_native_whatever_the_policy():
    succeeds("""
        from asyncio import events
        import asyncio, rasyncio
        set_policy = getattr(events, "_set_event_loop_policy", None) or events.set_event_loop_policy

        class Policy(rasyncio.events._DefaultPolicy):
            def new_event_loop(self):
                raise AssertionError

        set_policy(Policy())
        loop = rasyncio.new_event_loop()
        assert type(loop) is rasyncio.EventLoop
        loop.close()
    """)


def test_inside_a_loop_the_current_loop_is_the_running_one():
    async def main():
        return asyncio.get_event_loop() is asyncio.get_running_loop()

    assert asyncio.run(main())


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="3.14 makes no loop by itself")
def test_the_main_thread_is_given_a_native_loop_once():
    succeeds("""
        import asyncio, warnings, rasyncio
        warnings.simplefilter("ignore")
        loop = rasyncio.get_event_loop()
        assert type(loop) is rasyncio.EventLoop
        assert rasyncio.get_event_loop() is loop is asyncio.get_event_loop()
        loop.close()
        stock = asyncio.new_event_loop()
        assert type(stock) is not rasyncio.EventLoop
        stock.close()
    """)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="until 3.14 a loop is made")
def test_there_is_no_current_loop_by_itself():
    with pytest.raises(RuntimeError, match="no current event loop"):
        asyncio.get_event_loop()


def test_other_threads_have_no_current_loop():
    errors = []

    def ask():
        try:
            asyncio.get_event_loop()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert "There is no current event loop" in errors[0]


def test_all_tasks_of_stock_asyncio_has_ours_and_ours_has_theirs():
    import asyncio as stock

    async def main():
        ours = asyncio.create_task(asyncio.sleep(0))
        theirs = stock.tasks._PyTask(asyncio.sleep(0), loop=asyncio.get_running_loop())
        stock._register_task(theirs)
        everyone = {ours, theirs, asyncio.current_task()}
        found = stock.all_tasks(), asyncio.all_tasks()
        await asyncio.wait([ours, theirs])
        stock._unregister_task(theirs)
        return found == (everyone, everyone) and stock.all_tasks() == {asyncio.current_task()}

    assert asyncio.run(main())
