"""Two network namespaces and a link between them that delays, loses and reorders packets, or is cut.

The link is either a pair of veth devices with `tc netem`, where the kernel has it, or a pair of TUN devices
between which a thread carries the packets: that loses the same packets every time.
"""

import contextlib
import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time

NEAR, FAR = "10.199.77.1", "10.199.77.2"

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, stdin=subprocess.DEVNULL)


def missing(kind):
    """Why there can be no such link here; None if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None or shutil.which("tc") is None:
        return "iproute2 is not installed"
    try:
        with link(kind):
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        return f"this kernel has no {kind}: {getattr(error, 'stderr', error)!s:.80}"


class Namespaces:
    """Two of them, removed with all that is in them at the end."""

    def __init__(self):
        self.names = [f"rasyncio-{os.getpid()}-{end}" for end in ("near", "far")]

    def __enter__(self):
        for name in self.names:
            ip("netns", "add", name)
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def addresses(self, device):
        for name, address in zip(self.names, (NEAR, FAR)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", name, "link", "set", device, "up")

    def command(self, end):
        """What a command begins with that is to run in one of them (0 or 1)."""
        return ["ip", "netns", "exec", self.names[end]]


@contextlib.contextmanager
def link(kind, **quality):
    """Namespaces with a link: `delay` and `jitter` in seconds, `loss` and `reorder` as parts of one."""
    with Namespaces() as namespaces, {"netem": netem, "tun": tun}[kind](namespaces, **quality) as cut:
        namespaces.cut = cut
        yield namespaces


@contextlib.contextmanager
def netem(namespaces, delay=0.0, jitter=0.0, loss=0.0, reorder=0.0):
    near, far = namespaces.names
    ip("-n", near, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", far)
    quality = ["delay", f"{delay * 1000}ms", f"{jitter * 1000}ms", "loss", f"{loss * 100}%"]
    if reorder and delay:
        quality += ["reorder", f"{reorder * 100}%"]
    for name in namespaces.names:
        command = ["tc", "-n", name, "qdisc", "add", "dev", "wire", "root", "netem", *quality]
        subprocess.run(command, check=True, capture_output=True)
    namespaces.addresses("wire")

    def cut():
        for name in namespaces.names:
            ip("-n", name, "link", "set", "wire", "down")

    yield cut


@contextlib.contextmanager
def tun(namespaces, **quality):
    ends = []
    with contextlib.ExitStack() as stack:
        for number, name in enumerate(namespaces.names):
            device = f"rasyncio{os.getpid() % 100000}{'ab'[number]}"
            end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            stack.callback(os.close, end)
            fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN | _IFF_NO_PI))
            ip("link", "set", device, "netns", name)
            ip("-n", name, "link", "set", device, "name", "wire")
            ends.append(end)
        namespaces.addresses("wire")
        wire = Wire(ends, **quality)
        stack.callback(wire.stop)
        yield wire.cut


class Wire:
    """Carries packets between two descriptors, as badly as it is told."""

    def __init__(self, ends, delay=0.0, jitter=0.0, loss=0.0, reorder=0.0):
        self.ends = ends
        self.delay, self.jitter, self.loss, self.reorder = delay, jitter, loss, reorder
        self.random = random.Random(77)
        self.is_cut = self.stopped = False
        self.under_way = []
        self.count = 0
        self.thread = threading.Thread(target=self.carry)
        self.thread.start()

    def cut(self):
        self.is_cut = True

    def stop(self):
        self.stopped = True
        self.thread.join()

    def carry(self):
        while not self.stopped:
            now = time.monotonic()
            while self.under_way and self.under_way[0][0] <= now:
                _, _, end, packet = heapq.heappop(self.under_way)
                with contextlib.suppress(OSError):  # it is down, or full
                    os.write(end, packet)
            # Looks at `stopped` now and then.
            timeout = min(self.under_way[0][0] - now, 0.1) if self.under_way else 0.1
            for end in select.select(self.ends, [], [], timeout)[0]:
                with contextlib.suppress(BlockingIOError):
                    self.take(os.read(end, 65536), self.ends[end == self.ends[0]])

    def take(self, packet, to):
        if self.is_cut or self.random.random() < self.loss:
            return
        due = time.monotonic()
        if self.random.random() >= self.reorder:
            due += self.delay + self.random.random() * self.jitter
        self.count += 1
        heapq.heappush(self.under_way, (due, self.count, to, packet))
