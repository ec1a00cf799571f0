"""Processes with streams: the standard library's classes, with our streams and tasks in them."""

from asyncio import subprocess as _stock
from asyncio.subprocess import *  # noqa: F403
from asyncio.subprocess import __all__  # noqa: F401

from . import streams, tasks
from ._stock import fallback, with_names

PIPE = _stock.PIPE
STDOUT = _stock.STDOUT
DEVNULL = _stock.DEVNULL


class SubprocessStreamProtocol(_stock.SubprocessStreamProtocol):
    """Between the transport of a process and the streams of its pipes."""

    connection_made = with_names(
        _stock.SubprocessStreamProtocol.connection_made, _stock, {"streams": streams}
    )


class Process(_stock.Process):
    """A child process, as `create_subprocess_exec` and `create_subprocess_shell` return it."""

    communicate = with_names(_stock.Process.communicate, _stock, {"tasks": tasks})


_NAMES = {"SubprocessStreamProtocol": SubprocessStreamProtocol, "Process": Process}

create_subprocess_exec = with_names(_stock.create_subprocess_exec, _stock, _NAMES)
create_subprocess_shell = with_names(_stock.create_subprocess_shell, _stock, _NAMES)

__getattr__ = fallback("subprocess")
