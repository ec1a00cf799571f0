import sys
from asyncio.unix_events import _UnixSelectorEventLoop as _StockLoop
from selectors import BaseSelector

if sys.version_info < (3, 14):
    from asyncio.unix_events import AbstractChildWatcher as AbstractChildWatcher
    from asyncio.unix_events import DefaultEventLoopPolicy as DefaultEventLoopPolicy
    from asyncio.unix_events import FastChildWatcher as FastChildWatcher
    from asyncio.unix_events import MultiLoopChildWatcher as MultiLoopChildWatcher
    from asyncio.unix_events import PidfdChildWatcher as PidfdChildWatcher
    from asyncio.unix_events import SafeChildWatcher as SafeChildWatcher
    from asyncio.unix_events import ThreadedChildWatcher as ThreadedChildWatcher

class _UnixSelectorEventLoop(_StockLoop):
    def __init__(self, selector: BaseSelector | None = None) -> None: ...

SelectorEventLoop = _UnixSelectorEventLoop
EventLoop = _UnixSelectorEventLoop
