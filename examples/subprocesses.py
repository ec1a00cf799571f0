"""Subprocesses: start, talk to, wait for and end other programs."""

import asyncio
import signal
import sys

UPPER = "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)"


async def main():
    print("output and exit code:")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print('hello'); raise SystemExit(3)", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    print("  ", output, process.returncode)

    print("a conversation:")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", UPPER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    for word in (b"one", b"two"):
        process.stdin.write(word + b"\n")
        await process.stdin.drain()
        print("  ", await process.stdout.readline())
    process.stdin.close()
    print("   exit code:", await process.wait())

    print("through a shell:")
    process = await asyncio.create_subprocess_shell(
        "echo out; echo err >&2", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    print("  ", await process.communicate())

    print("too slow, so it is ended:")
    process = await asyncio.create_subprocess_exec("sleep", "3600")
    try:
        await asyncio.wait_for(process.wait(), timeout=0.05)
    except TimeoutError:
        process.terminate()
        print("  ", signal.Signals(-await process.wait()).name)


asyncio.run(main())
