"""Rows about child processes."""

import asyncio
import shutil

from .row import clock, row

TRUE, CAT = shutil.which("true") or "/bin/true", shutil.which("cat") or "/bin/cat"
PIPE = asyncio.subprocess.PIPE


@row("subprocess", "subprocess: spawn true, wait", countable=False)
async def spawn_and_wait(n):
    start = clock()
    for _ in range(n):
        process = await asyncio.create_subprocess_exec(TRUE)
        await process.wait()
    return clock() - start


@row("subprocess-cat", "communicate 64 KiB through cat", countable=False)
async def communicate(n):
    sent = bytes(64 * 1024)
    start = clock()
    for _ in range(n):
        process = await asyncio.create_subprocess_exec(CAT, stdin=PIPE, stdout=PIPE)
        output, _ = await process.communicate(sent)
        assert len(output) == len(sent)
    return clock() - start
