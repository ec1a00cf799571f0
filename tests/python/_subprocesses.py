"""What the tests of child processes are made of."""

import asyncio
import os
import subprocess

import pytest

import rasyncio

PIPE, DEVNULL, STDOUT = subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT
SHELL = "/bin/sh"


def fails(*arguments):
    raise ValueError("expected")


def ours(scenario):
    """Runs it on our loop only, and answers what it returns."""
    with asyncio.Runner(loop_factory=rasyncio.new_event_loop) as runner:
        return runner.run(scenario())


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def all_children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read().split()


#: Those that other tests have left: multiprocessing's servers stay for good.
others = set()


@pytest.fixture(autouse=True)
def _others():
    others.clear()
    others.update(all_children())


def children():
    return [child for child in all_children() if child not in others]


class Recorder(asyncio.SubprocessProtocol):
    """A protocol that logs; `then` maps a method's name to what is done in it."""

    def __init__(self, log, **then):
        self.log = log
        self.then = then
        self.lost = asyncio.get_running_loop().create_future()

    def _told(self, name, *what):
        self.log(name, *what)
        if name in self.then:
            return self.then[name](self)

    def connection_made(self, transport):
        self.transport = transport
        self._told("connection_made", type(transport).__name__)

    def pipe_data_received(self, fd, data):
        self._told("pipe_data_received", fd, data)

    def pipe_connection_lost(self, fd, exc):
        self._told("pipe_connection_lost", fd, exc)

    def process_exited(self):
        self._told("process_exited")

    def connection_lost(self, exc):
        self.lost.set_result(exc)
        self._told("connection_lost", exc)


async def started(log, line, /, then=(), **keywords):
    loop = asyncio.get_running_loop()
    _, recorder = await loop.subprocess_shell(lambda: Recorder(log, **dict(then)), line, **keywords)
    return recorder
