"""The loop's table for other native extensions."""

import ctypes

import pytest

import rasyncio

NAME = b"rasyncio.loop_abi.v1"


class Head(ctypes.Structure):
    """The beginning of the table."""

    _fields_ = [
        ("version", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("loop_data", ctypes.c_void_p),
        ("loop_schedule", ctypes.c_void_p),
        ("loop_now", ctypes.PYFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)),
    ]


def table(capsule):
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return Head.from_address(pointer(capsule, NAME))


def test_the_table_leads_to_the_loop():
    loop = rasyncio.new_event_loop()
    try:
        capsule = loop._abi_capsule()
        head = table(capsule)
        assert head.version == 1
        assert head.size >= ctypes.sizeof(Head)
        before = loop.time()
        now = head.loop_now(head.loop_data) / 1e9
        assert before <= now + 1e-6 and now <= loop.time() + 1e-6
    finally:
        loop.close()


def test_a_closed_loop_gives_no_table():
    loop = rasyncio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop._abi_capsule()
