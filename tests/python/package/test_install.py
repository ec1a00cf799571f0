"""install() and uninstall()."""

from _child import succeeds


def test_every_module_of_asyncio_holds_the_native_object():
    succeeds("""
        import asyncio, sys
        stock = {name: getattr(asyncio, name) for name in asyncio.__all__}
        import rasyncio
        rasyncio.install()
        replaced = [
            name for name in ("Task", "Future", "gather", "sleep", "Runner", "TaskGroup", "Handle")
            if name in stock
        ]
        for name in replaced:
            assert getattr(asyncio, name) is getattr(rasyncio, name) is not stock[name], name
        old = {id(stock[name]) for name in replaced}
        for name, module in list(sys.modules.items()):
            if name.startswith("asyncio."):
                for key, value in vars(module).items():
                    assert id(value) not in old or key.startswith(("_Py", "_py_")), (name, key)
    """)


def test_the_newest_names_appear_on_every_version():
    succeeds("""
        import asyncio, rasyncio
        rasyncio.install()
        for name in ("TaskGroup", "EventLoop", "QueueShutDown", "eager_task_factory",
                     "create_eager_task_factory", "capture_call_graph", "print_call_graph",
                     "future_add_to_awaited_by"):
            assert name in asyncio.__all__, name
            assert getattr(asyncio, name) is not None
        from asyncio.graph import format_call_graph
        namespace = {}
        exec("from asyncio import *", namespace)
        assert namespace["EventLoop"] is rasyncio.EventLoop
    """)


def test_uninstall_restores_every_module_exactly():
    succeeds("""
        import asyncio, sys, rasyncio

        def state():
            return {
                name: dict(vars(module)) for name, module in sys.modules.items()
                if name == "asyncio" or name.startswith("asyncio.")
            }

        before = state()
        policy = dict(vars(rasyncio.events._DefaultPolicy))
        rasyncio.install()
        assert rasyncio._install.installed()
        rasyncio.uninstall()
        assert state() == before
        assert dict(vars(rasyncio.events._DefaultPolicy)) == policy
        assert not rasyncio._install.installed()
        rasyncio.uninstall()
    """)


def test_installing_twice_is_installing_once():
    succeeds("""
        import asyncio, rasyncio
        stock = asyncio.Task
        rasyncio.install()
        rasyncio.install()
        rasyncio.uninstall()
        assert asyncio.Task is stock
    """)


def test_it_refuses_while_a_loop_runs():
    succeeds("""
        import asyncio, rasyncio

        async def main(call):
            try:
                call()
            except RuntimeError as error:
                return str(error)

        message = asyncio.run(main(rasyncio.install))
        assert "while an event loop is running" in message, message
        assert not rasyncio.installed()
        rasyncio.install()
        assert "rasyncio.uninstall()" in asyncio.run(main(rasyncio.uninstall))
        assert rasyncio.installed()
    """)


def test_asyncio_makes_native_loops():
    succeeds("""
        import asyncio, rasyncio
        rasyncio.install()

        async def kind():
            return type(asyncio.get_running_loop())

        assert asyncio.run(kind()) is rasyncio.EventLoop
        for make in (asyncio.new_event_loop, asyncio.SelectorEventLoop, asyncio.EventLoop):
            loop = make()
            assert type(loop) is rasyncio.EventLoop
            assert isinstance(loop, asyncio.BaseEventLoop)
            loop.close()
    """)


def test_a_policy_set_by_the_program_keeps_its_say():
    succeeds("""
        import asyncio, sys, rasyncio
        from asyncio import events
        rasyncio.install()
        base = rasyncio.events._DefaultPolicy
        set_policy = getattr(events, "_set_event_loop_policy", None) or events.set_event_loop_policy

        class Loop(rasyncio.EventLoop):
            pass

        class Policy(base):
            def new_event_loop(self):
                return Loop()

        set_policy(Policy())

        async def kind():
            return type(asyncio.get_running_loop())

        assert asyncio.run(kind()) is Loop
    """)


def test_the_python_twins_stay_stock():
    succeeds("""
        import asyncio, rasyncio
        twins = [asyncio.tasks._PyTask, asyncio.futures._PyFuture]
        rasyncio.install()
        assert twins == [asyncio.tasks._PyTask, asyncio.futures._PyFuture]
        assert asyncio.tasks._CTask is rasyncio.Task
        assert asyncio.futures._CFuture is rasyncio.Future
    """)


def test_code_with_stock_names_runs_on_a_native_loop():
    succeeds("""
        from asyncio import Future, all_tasks, create_task, current_task, gather, sleep, wait_for
        import asyncio, rasyncio
        rasyncio.install()

        async def child():
            await sleep(0)
            return current_task().get_name()

        async def main():
            task = create_task(child(), name="child")
            assert all_tasks() == {task, current_task()} == asyncio.all_tasks()
            assert current_task() is asyncio.current_task()
            future = Future()
            asyncio.get_running_loop().call_soon(future.set_result, 1)
            return await gather(task, wait_for(future, 5))

        assert asyncio.run(main()) == ["child", 1]
    """)


def test_native_futures_are_instances_of_the_stock_classes():
    succeeds("""
        from asyncio import Future, Task, sleep
        from asyncio.tasks import gather
        import asyncio, rasyncio

        async def main():
            loop = asyncio.get_running_loop()
            task = loop.create_task(sleep(0))
            future = loop.create_future()
            gathered = rasyncio.gather(task)
            assert isinstance(task, Task) and isinstance(task, Future)
            assert isinstance(future, Future) and not isinstance(future, Task)
            assert isinstance(gathered, Future)
            assert isinstance(task, rasyncio.Task) and type(task) is rasyncio.Task

            class Mine(rasyncio.Future):
                pass

            assert Mine().__class__ is Mine
            await gathered

        rasyncio.run(main())
        rasyncio.install()
        asyncio.run(main())
    """)
