"""Control-C while a child process is waited for: the wait is cancelled, and the child is ended."""

import asyncio
import os
import signal

PIPE = asyncio.subprocess.PIPE


async def main():
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    asyncio.get_running_loop().call_later(0.02, os.kill, os.getpid(), signal.SIGINT)
    try:
        await process.communicate()
        await process.wait()
    except asyncio.CancelledError:
        print("cancelled", process.returncode)
        process.kill()
        print(await process.wait())
        raise


try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
