"""`add_reader` and `add_writer`: callbacks when a descriptor is ready.

The lowest level of input and output: one socket pair, no streams, no
transports.
"""

import asyncio
import socket


async def main():
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)

    received = []
    complete = loop.create_future()

    def readable():
        data = left.recv(4)
        if data:
            received.append(data)
        else:
            loop.remove_reader(left)
            complete.set_result(b"".join(received))

    loop.add_reader(left, readable)

    print("ready as long as there is something to read:")
    right.send(b"0123456789")
    await asyncio.sleep(0.02)
    print("  ", received)

    def writable():
        # Writable at once and always, so take it back or be called for ever.
        loop.remove_writer(right)
        right.send(b"the end")
        right.shutdown(socket.SHUT_WR)

    loop.add_writer(right, writable)
    print("all:", await complete)
    print("already removed:", loop.remove_reader(left))

    left.close()
    right.close()


asyncio.run(main())
