"""Measures what a workload leaves behind: objects, references and memory."""

import ctypes
import gc
import os
import sys
from dataclasses import dataclass


@dataclass
class Growth:
    """By how much things grew, each the least over the rounds: what leaks, leaks every time."""

    #: Objects that the collector knows.
    objects: int
    #: References to any one of the watched objects.
    references: int
    #: Blocks of Python's own allocator.
    blocks: int
    #: Bytes of the C allocator, which is Rust's too.
    allocated: int
    #: Resident memory in bytes.
    resident: int


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
        )
    ]


def allocated():
    """Bytes in use in the C allocator; 0 where it cannot tell."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    mallinfo2.restype = _Mallinfo2
    return mallinfo2().uordblks


def resident():
    """Resident memory of this process in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(workload, count, watched=()):
    """Runs the workload three times after a warm-up and says what grew."""
    workload(max(count // 2, 10))
    rounds = []
    # What exists already is none of our business, and would make each collection slow.
    gc.collect()
    gc.freeze()
    try:
        for _ in range(3):
            before = _measure(watched)
            workload(count)
            rounds.append([new - old for old, new in zip(before, _measure(watched))])
    finally:
        gc.unfreeze()
    objects, blocks, malloc, memory, *references = map(min, zip(*rounds))
    return Growth(objects, max(references, default=0), blocks, malloc, memory)


def _measure(watched):
    for _ in range(3):
        gc.collect()
    return [
        len(gc.get_objects()),
        sys.getallocatedblocks(),
        allocated(),
        resident(),
        *map(sys.getrefcount, watched),
    ]
