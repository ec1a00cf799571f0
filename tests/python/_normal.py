"""What two runs of the same program may differ in, taken out of their output.

Addresses, clock times, where the interpreter keeps its library, and the frames of asyncio itself in a
traceback: a program sees those of its own code, whoever runs it. Everything else must be equal.
"""

import re
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_LIBRARY = sysconfig.get_paths()["stdlib"]

#: Files whose frames are the machinery's, not the program's.
_MACHINERY = re.compile(
    r"/asyncio/|/aiojobs/|/concurrent/futures/|/rasyncio/|/threading\.py|<frozen |/runpy\.py|/_program\.py|/_worker\.py"
    r"|/contextlib\.py|^<?rasyncio|^<?asyncio"
)

_FRAME = re.compile(r'^(?P<margin>[\s|]*)File "(?P<file>[^"]+)", line \d+(, in .*)?$')

_RULES = [
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "0x…"),
    (re.compile(r"took \d+\.\d+ seconds"), "took … seconds"),
    # Stock names its own line in `create_task`; rasyncio's is native, so the line is its caller's.
    (re.compile(r" created at [^ >,\]]+:\d+"), " created at …"),
    # Where a callback or coroutine of asyncio's own is defined.
    (re.compile(r" at <r?asyncio[^ >]*>:\d+"), ""),
    (re.compile(r" at (?:[^ >,]*/)?r?asyncio/[^ >,]+:\d+"), ""),
    (re.compile(r"<_UnixSelectorEventLoop "), "<EventLoop "),
    (re.compile(r"\b(_?rasyncio\._rasyncio|_rasyncio|rasyncio|_asyncio)(\.[a-z_]+)*\.(?=[A-Z_])"), "asyncio."),
    (re.compile(r"\basyncio(\.[a-z_]+)+\.(?=[A-Z_])"), "asyncio."),
    # Messages of the interpreter qualify native types only.
    (re.compile(r"'asyncio\.(\w+)'"), r"'\1'"),
    # An anonymous descriptor or process number.
    (re.compile(r"\b(pid|fd)[= ]\d+"), r"\1=…"),
]

_TASK = re.compile(r"\bTask-(\d+)\b")


def normal(text, *, renumber=False):
    """Returns `text` without what may differ. With `renumber`, `Task-N` counts from the first seen."""
    # 3.15's linecache says it of any source that was not imported, as often as it is asked.
    lines = [line for line in text.splitlines() if "is missing a __spec__.loader" not in line]
    lines = _without_machinery(lines)
    text = "\n".join(lines)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = text.replace(str(ROOT), "…").replace(_LIBRARY, "…lib")
    if renumber:
        seen = {}
        text = _TASK.sub(lambda match: f"Task-#{seen.setdefault(match[1], len(seen) + 1)}", text)
    return text


def _without_machinery(lines):
    """Drops traceback frames of the machinery with their source and marker lines."""
    kept = []
    dropping = None
    for line in lines:
        frame = _FRAME.match(line)
        if frame:
            machinery = _MACHINERY.search(frame["file"])
            dropping = frame["margin"] if machinery else None
            if machinery:
                continue
        elif dropping is not None:
            # Source lines stand further in than their frame.
            if line.startswith(dropping + "  "):
                continue
            dropping = None
        if line.strip(" |") and set(line.strip(" |")) <= set("^~"):
            continue
        kept.append(line)
    return kept
