"""Many connections with random streams in both directions: checksums, and what is left behind afterwards."""

import asyncio
import hashlib
import os
import random

from _tls import client_context, server_context

#: So many connections at a time.
AT_ONCE = 20


def descriptors():
    return len(os.listdir("/proc/self/fd"))


async def receive(reader, rng, left):
    """So many bytes, read in pieces of random sizes; their checksum."""
    digest = hashlib.sha256()
    while left:
        count = min(left, rng.choice((1, 100, 5000, 100_000)))
        data = await (reader.readexactly(count) if rng.random() < 0.5 else reader.read(count))
        assert data, "the end came too soon"
        digest.update(data)
        left -= len(data)
    return digest.digest()


async def talk(reader, writer, seed):
    """One end: sends a random stream and its checksum, and checks what comes."""
    rng = random.Random(seed)
    total = rng.choice((0, 1, 100, 5000, 100_000))
    writer.write(total.to_bytes(4, "big"))
    sending = asyncio.ensure_future(send_all(writer, rng.random(), total))
    left = int.from_bytes(await reader.readexactly(4), "big")
    got = await receive(reader, rng, left)
    sent = await sending
    writer.write(sent)
    assert await reader.readexactly(32) == got, "what came is not what was sent"


async def send_all(writer, seed, total):
    rng = random.Random(seed)
    digest = hashlib.sha256()
    while total:
        data = rng.randbytes(min(total, rng.choice((1, 100, 3000, 40_000))))
        total -= len(data)
        digest.update(data)
        if rng.random() < 0.3:
            cut = rng.randint(0, len(data))
            writer.writelines([data[:cut], data[cut:]])
        else:
            writer.write(data)
        if rng.random() < 0.5:
            await writer.drain()
    return digest.digest()


async def connections(aio, count, tls, seed=0):
    """Opens and closes so many, a few at a time; some end by a reset. Answers how many were accepted."""
    rng = random.Random(seed)
    accepted = []
    serving = set()

    async def serve(reader, writer):
        number = len(accepted)
        accepted.append(number)
        serving.add(task := asyncio.current_task())
        try:
            await talk(reader, writer, f"server {seed} {number}")
            # Who has heard all closes: the client.
            await reader.read(1)
        finally:
            await ended(writer)
            serving.discard(task)

    server = await aio.start_server(serve, "127.0.0.1", 0, ssl=server_context() if tls else None, backlog=100)
    address = server.sockets[0].getsockname()
    options = {"ssl": client_context(), "server_hostname": "localhost"} if tls else {}

    async def client(number):
        reader, writer = await aio.open_connection(*address, **options)
        await talk(reader, writer, f"client {seed} {number}")
        if rng.random() < 0.1:
            writer.transport.abort()
        await ended(writer)

    for first in range(0, count, AT_ONCE):
        await asyncio.gather(*map(client, range(first, min(first + AT_ONCE, count))))
    while serving:
        await asyncio.sleep(0.001)
    server.close()
    await server.wait_closed()
    return len(accepted)


async def ended(writer):
    writer.close()
    try:
        await writer.wait_closed()
    except ConnectionError:
        pass  # By a reset.
