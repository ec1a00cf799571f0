"""Starting child processes past `Popen`'s constructor.

That one does for every process what few need. Here the C function under it is called with what asyncio
asks for mostly. All else is left to it, and so is every failure: whatever goes wrong here is undone, and
tried again by `Popen`, which says what is wrong in its own words.
"""

import os
import posix
import subprocess
from io import FileIO
from subprocess import DEVNULL, PIPE, STDOUT

from . import _rasyncio

#: Keywords besides those about streams that are known here.
KEYWORDS = frozenset({"cwd", "env", "start_new_session"})

_Popen = subprocess.Popen
_INIT = _Popen.__init__
_EXECUTE_CHILD = _Popen._execute_child
# A program may have put a class of its own there before this module was imported.
_IS_STOCK = getattr(_INIT, "__globals__", None) is vars(subprocess)
# Until 3.13 whether `vfork` may be used is an argument.
_SAYS_VFORK = hasattr(subprocess, "_USE_VFORK")
_UNUSED = (-1,) * 6


class _Sketch(_Popen):
    """What the running version's constructor sets, without a process."""

    def _get_handles(self, *streams):
        return _UNUSED

    def _execute_child(self, *arguments):
        self._closed_child_pipe_fds = True
        self._child_created = True

    def __del__(self):
        pass


class _Started(_Popen):
    """The `Popen` of a process that runs already.

    It has what transports look at. When anything else is asked for it becomes a plain `Popen`.
    """

    __module__ = "subprocess"
    _child_created = True

    def __init__(self, args, pid):
        self.args = args
        self.stdin = self.stdout = self.stderr = None
        self.pid = pid
        self.returncode = None

    def __getattr__(self, name):
        complete(self)
        return getattr(self, name)

    def __del__(self):
        if self.returncode is None:
            _Popen.__del__(self)


_Started.__name__ = _Started.__qualname__ = "Popen"


def complete(popen):
    """Make one of ours a `Popen` in every respect; any other is left as it is."""
    if type(popen) is not _Started:
        return
    known = vars(popen)
    for name, value in vars(_Sketch(popen.args, bufsize=0, universal_newlines=False)).items():
        known.setdefault(name, value)
    popen.__class__ = _Popen


def start(args, shell, stdin, stdout, stderr, cwd=None, env=None, start_new_session=False):
    """Start a program; None if that is left to `Popen`."""
    if not (
        subprocess.Popen is _Popen
        and _Popen.__init__ is _INIT
        and _Popen._execute_child is _EXECUTE_CHILD
        and _IS_STOCK
        and os.posix_spawn is posix.posix_spawn
        and not _rasyncio._audited()
    ):
        return None
    if subprocess._active:
        subprocess._cleanup()
    theirs = []
    kept = []
    started = None
    try:
        if stdin is stdout is stderr is None:
            handles = _UNUSED
        else:
            handles = _open([stdin, stdout, stderr], kept, theirs)
            if handles is None:
                return None
        failure, telling = os.pipe()
        kept.append(failure)
        theirs.append(telling)
        # The numbers of streams that this process has closed need more care.
        if min(kept) < 3 or min(theirs) < 3:
            return None
        argv = ["/bin/sh", "-c", args] if shell else list(args)
        executables = _executables(os.fsencode(argv[0]), env)
        variables = None if env is None else [_variable(*item) for item in env.items()]
        vfork = (subprocess._USE_VFORK,) if _SAYS_VFORK else ()
        started = _Started(
            args,
            subprocess._fork_exec(
                argv,
                executables,
                True,  # close all others
                (telling,),
                cwd,
                variables,
                *handles,
                failure,
                telling,
                True,  # restore signals
                start_new_session,
                -1,  # process group
                None,
                None,
                None,
                -1,  # umask
                None,
                *vfork,
            ),
        )
        while theirs:
            os.close(theirs.pop())
        # It ends without a word when the program runs.
        if os.read(failure, 1):
            _forget(started)
            return None
        os.close(kept.pop())
        if kept:
            _keep(started, handles, kept)
    except Exception:
        if started is not None:
            raise
        return None
    finally:
        for fd in theirs + kept:
            os.close(fd)
    return started


def _open(streams, kept, theirs):
    """The six handles of `fork_exec`; None for what is left to `Popen`."""
    handles = []
    for number, stream in enumerate(streams):
        mine = child = -1
        if stream is None:
            pass
        elif type(stream) is not int:
            return None
        elif stream == PIPE:
            reader, writer = os.pipe()
            mine, child = (reader, writer) if number else (writer, reader)
            kept.append(mine)
            theirs.append(child)
        elif stream == DEVNULL:
            child = os.open(os.devnull, os.O_RDWR)
            theirs.append(child)
        elif stream == STDOUT and number == 2 and handles[3] != -1:
            child = handles[3]
        elif stream >= 0:
            child = stream
        else:
            return None
        handles += (mine, child) if number else (child, mine)
    return handles


def _executables(name, env):
    """Where to look for a program, as bytes."""
    if b"/" in name:
        return (name,)
    return tuple([os.path.join(os.fsencode(folder), name) for folder in os.get_exec_path(env)])


def _variable(name, value):
    name = os.fsencode(name)
    if b"=" in name:
        raise ValueError("illegal environment variable name")
    return name + b"=" + os.fsencode(value)


def _keep(started, handles, kept):
    """Make files of this process's ends of pipes, which own them from then on."""
    for name, fd, mode in [
        ("stdin", handles[1], "wb"),
        ("stdout", handles[2], "rb"),
        ("stderr", handles[4], "rb"),
    ]:
        if fd != -1:
            setattr(started, name, FileIO(fd, mode))
            kept.remove(fd)


def _forget(started):
    """Reap a child that could not run its program."""
    started.returncode = 255
    try:
        os.waitpid(started.pid, 0)
    except ChildProcessError:
        pass
