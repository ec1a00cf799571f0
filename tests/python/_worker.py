"""Runs cases one after the other: `python _worker.py WAY MODULE FILE RESULTS CASE...`.

Each result, a JSON line on the descriptor RESULTS, is all that the case printed, logged or let escape.
"""

import asyncio
import faulthandler
import gc
import io
import json
import logging
import sys
import threading
import traceback
import warnings

import _program

#: A case that takes longer hangs.
LIMIT = 60


class Log(logging.Handler):
    def emit(self, record):
        print(f"log {record.levelname}: {record.getMessage()}")
        if record.exc_info and record.exc_info[1]:
            print(f"log with {describe(record.exc_info[1])}")


def describe(error):
    """An error with what it was caused by, and the functions of the program that it went through."""
    parts = []
    while error is not None:
        frames = [
            frame.name for frame in traceback.extract_tb(error.__traceback__) if "/cases/" in frame.filename
        ]
        parts.append(f"{error!r} through {frames}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " after ".join(parts)


def unraisable(hook):
    print(f"unraisable: {hook.err_msg or 'Exception ignored in'}: {describe(hook.exc_value)}")


def warn(message, category, filename, lineno, file=None, line=None):
    print(f"{category.__name__}: {message}")


def run(case):
    text = io.StringIO()
    sys.stdout = sys.stderr = text
    try:
        result = case()
        if asyncio.iscoroutine(result):
            case.__globals__["asyncio"].run(result)
    except BaseException as error:
        print(f"raised {describe(error)}")
        # The frames hold what the case made.
        traceback.clear_frames(error.__traceback__)
    finally:
        gc.collect()
        gc.collect()
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    return text.getvalue()


def main(way, module, path, results, *names):
    logger = logging.getLogger("asyncio")
    logger.addHandler(Log())
    logger.propagate = False
    logger.setLevel(logging.INFO)
    sys.unraisablehook = unraisable
    threading.excepthook = lambda args: print(f"in a thread: {describe(args.exc_value)}")
    warnings.simplefilter("always")
    warnings.showwarning = warn

    _program.prepare(way, module)
    program = _program.load(path, way, module, name="cases")
    with open(int(results), "w", encoding="utf-8") as out:
        for name in names:
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            print(json.dumps([name, run(getattr(program, name))]), file=out, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
