"""The newest version's names, on every version."""

import inspect

import rasyncio as asyncio
import pytest

# What CPython 3.15 has in asyncio.__all__.
NAMES = """
    ALL_COMPLETED AbstractEventLoop AbstractServer Barrier BaseEventLoop BaseProtocol BaseTransport
    BoundedSemaphore BrokenBarrierError BufferedProtocol CancelledError Condition DatagramProtocol
    DatagramTransport Event EventLoop FIRST_COMPLETED FIRST_EXCEPTION FrameCallGraphEntry Future
    FutureCallGraph Handle IncompleteReadError InvalidStateError LifoQueue LimitOverrunError Lock
    PriorityQueue Protocol Queue QueueEmpty QueueFull QueueShutDown ReadTransport Runner
    SelectorEventLoop Semaphore SendfileNotAvailableError Server StreamReader StreamReaderProtocol
    StreamWriter SubprocessProtocol SubprocessTransport Task TaskGroup TimeoutError Timeout
    TimerHandle Transport WriteTransport _enter_task _get_running_loop _leave_task _register_task
    _set_running_loop _unregister_task all_tasks as_completed capture_call_graph
    create_eager_task_factory create_subprocess_exec create_subprocess_shell create_task
    current_task eager_task_factory ensure_future format_call_graph future_add_to_awaited_by
    future_discard_from_awaited_by gather get_event_loop get_event_loop_policy get_running_loop
    iscoroutine iscoroutinefunction isfuture new_event_loop open_connection open_unix_connection
    print_call_graph run run_coroutine_threadsafe set_event_loop set_event_loop_policy shield sleep
    start_server start_unix_server timeout timeout_at to_thread wait wait_for wrap_future
""".split()

METHODS = {
    "Future": """add_done_callback cancel cancelled done exception get_loop remove_done_callback
        result set_exception set_result __await__ __iter__ __class_getitem__""",
    "Task": """cancel cancelling get_context get_coro get_name get_stack print_stack set_name
        uncancel""",
    "Handle": "cancel cancelled get_context",
    "TimerHandle": "cancel cancelled get_context when __lt__ __le__ __eq__ __hash__",
    "TaskGroup": "__aenter__ __aexit__ create_task cancel",
    "Timeout": "__aenter__ __aexit__ expired reschedule when",
    "Runner": "__enter__ __exit__ close get_loop run",
    "EventLoop": """add_reader add_signal_handler add_writer call_at call_exception_handler
        call_later call_soon call_soon_threadsafe close connect_accepted_socket connect_read_pipe
        connect_write_pipe create_connection create_datagram_endpoint create_future create_server
        create_task create_unix_connection create_unix_server default_exception_handler get_debug
        get_exception_handler get_task_factory getaddrinfo getnameinfo is_closed is_running
        remove_reader remove_signal_handler remove_writer run_forever run_in_executor
        run_until_complete sendfile set_debug set_default_executor set_exception_handler
        set_task_factory shutdown_asyncgens shutdown_default_executor sock_accept sock_connect
        sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall sock_sendfile
        sock_sendto start_tls stop subprocess_exec subprocess_shell time""",
}

MODULES = """
    base_events base_futures base_subprocess base_tasks constants coroutines events exceptions
    format_helpers futures graph locks log mixins protocols queues runners selector_events sslproto
    staggered streams subprocess taskgroups tasks threads timeouts transports trsock unix_events
""".split()


@pytest.mark.parametrize("name", NAMES)
def test_name(name):
    assert name in asyncio.__all__
    assert hasattr(asyncio, name)


@pytest.mark.parametrize("kind", METHODS)
def test_methods(kind):
    absent = [name for name in METHODS[kind].split() if not hasattr(getattr(asyncio, kind), name)]
    assert not absent


def test_names_of_the_running_version_are_kept():
    import asyncio as stock

    assert not set(stock.__all__) - set(asyncio.__all__)


def test_modules_are_attributes_and_can_be_imported():
    for name in MODULES:
        assert inspect.ismodule(getattr(asyncio, name))
        assert __import__(f"rasyncio.{name}", fromlist=["*"]) is getattr(asyncio, name)


def test_private_names_come_from_the_module_of_the_same_name():
    import asyncio as stock

    assert asyncio.tasks._PyTask is stock.tasks._PyTask
    assert asyncio.base_events._run_until_complete_cb is stock.base_events._run_until_complete_cb
    with pytest.raises(AttributeError, match="'rasyncio.tasks' has no attribute 'absent'"):
        asyncio.tasks.absent
    with pytest.raises(AttributeError, match="'rasyncio' has no attribute 'absent'"):
        asyncio.absent


def test_eager_task_factory_shows_its_constructor():
    factory = asyncio.create_eager_task_factory(asyncio.Task)
    for made in (factory, asyncio.eager_task_factory):
        assert made.__code__ is asyncio.eager_task_factory.__code__
        assert made.__closure__[0].cell_contents is asyncio.Task


def test_newest_options():
    async def main():
        loop = asyncio.get_running_loop()
        ran = []

        async def step():
            ran.append(asyncio.current_task().get_name())

        async with asyncio.TaskGroup() as group:
            group.create_task(step(), name="eager", eager_start=True)
            assert ran == ["eager"]
            group.create_task(asyncio.sleep(60))
            group.cancel()
        await loop.create_task(step(), name="later")
        async for finished in asyncio.as_completed([step()]):
            await finished
        await loop.shutdown_default_executor(timeout=1)
        return ran[:2]

    assert asyncio.run(main(), loop_factory=asyncio.EventLoop) == ["eager", "later"]
