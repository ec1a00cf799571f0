"""Transports of child processes.

A process is described by asyncio's transport and started past the standard library's `Popen`, or by it;
its pipes are native, and so is waiting for its end, which takes neither a child watcher nor a thread.
"""

from asyncio import base_subprocess as _stock_base
from asyncio import events, tasks, unix_events
from asyncio.log import logger

from . import _starting
from ._stock import fallback

# How many turns lie between the end and `_process_exited`, as on the way through a child watcher.
_CALLBACK = unix_events._UnixSelectorEventLoop._child_watcher_callback.__code__.co_names
_TURNS = _CALLBACK.count("call_soon_threadsafe") + _CALLBACK.count("call_soon")

# Since 3.14 a loop has a watcher; before that a policy has one, or makes one when it is asked.
_LOOP_WATCHES = hasattr(unix_events, "_PidfdChildWatcher")
if _LOOP_WATCHES:
    _DEFAULT_WATCHER = unix_events._PidfdChildWatcher
elif hasattr(unix_events, "can_use_pidfd") and unix_events.can_use_pidfd():
    _DEFAULT_WATCHER = unix_events.PidfdChildWatcher
else:
    _DEFAULT_WATCHER = unix_events.ThreadedChildWatcher

# Since then a cancelled start waits for the end of the process, even if it is cancelled again.
_SHIELDS = (
    "shield" in unix_events._UnixSelectorEventLoop._make_subprocess_transport.__code__.co_names
)


class _UnixSubprocessTransport(unix_events._UnixSubprocessTransport):
    """The transport of a child process, whose end the loop itself watches for."""

    def _start(self, args, shell, stdin, stdout, stderr, bufsize, **kwargs):
        streams = (stdin, stdout, stderr)
        if bufsize == 0 and (not kwargs or kwargs.keys() <= _starting.KEYWORDS):
            self._proc = _starting.start(args, shell, *streams, **kwargs)
        if self._proc is None:
            super()._start(args, shell, *streams, bufsize, **kwargs)

    def get_extra_info(self, name, default=None):
        """What is known of the process: its `Popen` by the name "subprocess"."""
        info = super().get_extra_info(name, default)
        if name == "subprocess":
            _starting.complete(info)
        return info

    def _child_ended(self, returncode):
        if returncode is None:
            returncode = self._lost_returncode()
        if _TURNS == 0:
            self._process_exited(returncode)
        elif _TURNS == 1:
            self._loop.call_soon(self._process_exited, returncode)
        else:
            self._loop.call_soon(self._loop.call_soon, self._process_exited, returncode)

    def _lost_returncode(self):
        # Somebody else has reaped it. If that was our Popen, by poll(), it knows.
        known = self._proc.returncode
        if known is not None:
            return known
        logger.warning(
            "child process pid %d exit status already read:  will report returncode 255", self._pid
        )
        return 255

    def _kill_now(self):
        """End the process and wait for that: what is left when it cannot be watched."""
        self._proc.kill()
        self._loop.call_soon(self._process_exited, self._proc.wait())


class SubprocessMethods:
    """The loop's method that starts child processes."""

    __slots__ = ()

    async def _make_subprocess_transport(
        self, protocol, args, shell, stdin, stdout, stderr, bufsize, extra=None, **kwargs
    ):
        given = (protocol, args, shell, stdin, stdout, stderr, bufsize)
        if not _waits_natively(self):
            return await super()._make_subprocess_transport(*given, extra=extra, **kwargs)
        connected = self.create_future()
        transport = _UnixSubprocessTransport(self, *given, waiter=connected, extra=extra, **kwargs)
        failure = None
        try:
            self._watch_child(transport._pid, transport._child_ended)
        except OSError as error:
            failure = error
            transport._kill_now()
        try:
            await connected
            if failure is not None:
                raise failure
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            ended = transport._wait()
            await (tasks.shield(ended) if _SHIELDS else ended)
            raise
        return transport


def _waits_natively(loop):
    """Whether the program has left it to asyncio how child processes are waited for."""
    if _LOOP_WATCHES:
        return type(loop._watcher) is _DEFAULT_WATCHER
    policy = events.get_event_loop_policy()
    default = unix_events._UnixDefaultEventLoopPolicy.get_child_watcher
    if getattr(policy.get_child_watcher, "__func__", None) is not default:
        return False
    watcher = policy._watcher
    return watcher is None or type(watcher) is _DEFAULT_WATCHER


BaseSubprocessTransport = _stock_base.BaseSubprocessTransport

__getattr__ = fallback("base_subprocess")
