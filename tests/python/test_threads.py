"""Threads: calls into a running loop from outside, and loops side by side."""

import concurrent.futures
import importlib
import threading

import pytest
from _compare import MODULE

aio = importlib.import_module(MODULE)

#: No wait here lasts as long unless something is broken.
LONG = 60


@pytest.fixture
def running():
    """A loop that runs in a thread of its own."""
    loop = aio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(LONG)
    assert not thread.is_alive()
    loop.close()


def in_threads(count, function):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return [future.result(LONG) for future in [pool.submit(function, n) for n in range(count)]]


def test_storm_of_threadsafe_calls_loses_nothing_and_keeps_order(running):
    calls = []

    def storm(number):
        for index in range(5000):
            running.call_soon_threadsafe(calls.append, (number, index))

    in_threads(4, storm)
    done = threading.Event()
    running.call_soon_threadsafe(done.set)
    assert done.wait(LONG)
    assert len(calls) == 20000
    for number in range(4):
        assert [index for who, index in calls if who == number] == list(range(5000))


def test_every_call_wakes_a_sleeping_loop(running):
    # The loop sleeps between the calls: a lost wake-up would hang here.
    for _ in range(3000):
        done = threading.Event()
        running.call_soon_threadsafe(done.set)
        assert done.wait(LONG)


def test_threadsafe_calls_from_the_loop_thread_itself(running):
    done = threading.Event()

    def chain(left):
        if left:
            running.call_soon_threadsafe(chain, left - 1)
        else:
            done.set()

    running.call_soon_threadsafe(chain, 1000)
    assert done.wait(LONG)


def test_cancelled_threadsafe_handles_do_not_run(running):
    ran = []
    blocked, go = threading.Event(), threading.Event()

    def block():
        blocked.set()
        go.wait(LONG)

    running.call_soon_threadsafe(block)
    assert blocked.wait(LONG)
    handles = [running.call_soon_threadsafe(ran.append, n) for n in range(10)]
    for handle in handles[::2]:
        handle.cancel()
    done = threading.Event()
    running.call_soon_threadsafe(done.set)
    go.set()
    assert done.wait(LONG)
    assert ran == [1, 3, 5, 7, 9]


def test_coroutines_from_many_threads(running):
    async def work(number):
        await aio.sleep(0)
        return threading.get_ident(), number

    def ask(number):
        futures = [aio.run_coroutine_threadsafe(work(n), running) for n in range(200)]
        return [future.result(LONG) for future in futures]

    results = in_threads(4, ask)
    assert [[number for _, number in result] for result in results] == [list(range(200))] * 4
    assert len({thread for result in results for thread, _ in result}) == 1


def test_cancelling_from_another_thread(running):
    entered, cleaned = threading.Event(), threading.Event()

    async def hang():
        entered.set()
        try:
            await aio.sleep(3600)
        finally:
            cleaned.set()

    future = aio.run_coroutine_threadsafe(hang(), running)
    assert entered.wait(LONG)
    assert future.cancel()
    assert cleaned.wait(LONG)


def test_loops_side_by_side():
    async def work():
        total = 0
        for number in range(500):
            total += await aio.create_task(aio.sleep(0, number))
        me = aio.current_task()
        return total, aio.all_tasks() == {me}

    assert in_threads(8, lambda _: aio.run(work())) == [(124750, True)] * 8


def test_loops_call_each_other():
    first, second = aio.new_event_loop(), aio.new_event_loop()
    threads = [threading.Thread(target=loop.run_forever) for loop in (first, second)]
    for thread in threads:
        thread.start()
    done = threading.Event()

    def ping(left):
        if left:
            second.call_soon_threadsafe(pong, left)
        else:
            done.set()

    def pong(left):
        first.call_soon_threadsafe(ping, left - 1)

    first.call_soon_threadsafe(ping, 2000)
    assert done.wait(LONG)
    for loop, thread in zip((first, second), threads):
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LONG)
        loop.close()


def test_calls_while_the_loop_closes_are_kept_or_refused():
    for _ in range(50):
        loop = aio.new_event_loop()
        refused = []
        started = threading.Event()

        def storm(loop=loop, refused=refused, started=started):
            for _ in range(200):
                try:
                    loop.call_soon_threadsafe(int)
                except RuntimeError:
                    refused.append(True)
                started.set()

        thread = threading.Thread(target=storm)
        thread.start()
        started.wait(LONG)
        loop.run_until_complete(aio.sleep(0))
        loop.close()
        thread.join(LONG)
        assert not thread.is_alive()
        with pytest.raises(RuntimeError):
            loop.call_soon_threadsafe(int)


def test_a_loop_may_run_in_one_thread_after_another():
    loop = aio.new_event_loop()

    def run(_):
        return loop.run_until_complete(aio.sleep(0, threading.get_ident()))

    assert loop.run_until_complete(aio.sleep(0, "here")) == "here"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        other = pool.submit(run, 0).result(LONG)
    assert other != threading.get_ident()
    assert loop.run_until_complete(aio.sleep(0.001, "here again")) == "here again"
    loop.close()


def test_two_threads_cannot_run_one_loop(running):
    with pytest.raises(RuntimeError, match="already running"):
        running.run_forever()


def test_executor_calls_from_many_tasks():
    async def main():
        return await aio.gather(*(aio.to_thread(pow, n, 2) for n in range(200)))

    assert aio.run(main()) == [n * n for n in range(200)]


def test_executor_error_keeps_its_traceback():
    def fail():
        raise OSError("in the thread")

    async def main():
        await aio.to_thread(fail)

    with pytest.raises(OSError, match="in the thread") as caught:
        aio.run(main())
    assert "fail" in [entry.name for entry in caught.traceback]


def test_timers_and_threads_together(running):
    fired = []
    done = threading.Event()

    def arm(number):
        for index in range(100):
            running.call_soon_threadsafe(running.call_later, index / 100_000, fired.append, number)

    in_threads(4, arm)
    running.call_soon_threadsafe(running.call_later, 0.05, done.set)
    assert done.wait(LONG)
    assert len(fired) == 400
