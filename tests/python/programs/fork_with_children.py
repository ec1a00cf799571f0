"""A process with children forks: the fork starts its own, and the children stay the parent's."""

import asyncio
import os

PIPE = asyncio.subprocess.PIPE


async def echo(data):
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    return await process.communicate(data)


async def main():
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    pid = os.fork()
    if pid == 0:
        output, _ = asyncio.run(echo(b"of the fork"))
        os._exit(3 if output == b"of the fork" else 4)
    print("fork", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    # The fork has copies of the pipes no more.
    print(await process.communicate(b"of the parent"), process.returncode)
    print(await echo(b"afterwards"))


asyncio.run(main())
