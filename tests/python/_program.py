"""Runs a whole program in one of the ways in: `python _program.py WAY MODULE PROGRAM`.

`stock`   the program as it is
`loop`    stock asyncio around MODULE's event loop
`import`  `import MODULE as asyncio`, in the program only, and `MODULE.scheduler` as aiojobs
`install` the program as it is, after `MODULE.install()`; what `python -m MODULE` does for whole programs.
          The package aiojobs, if it is there, gets `MODULE.scheduler`'s classes as well

MODULE is `rasyncio`. Given `asyncio` instead, everything is stock, which tests the tests.
"""

import functools
import importlib
import importlib.util
import re
import sys
import types

WAYS = ("loop", "import", "install")

_IMPORTS = [
    (re.compile(r"^(\s*)import asyncio$", re.M), r"\1import {0} as asyncio"),
    (re.compile(r"^(\s*)from asyncio import ", re.M), r"\1from {0} import "),
    (re.compile(r"^(\s*)import aiojobs$", re.M), r"\1import {0}.scheduler as aiojobs"),
    (re.compile(r"^(\s*)from aiojobs import ", re.M), r"\1from {0}.scheduler import "),
]


def prepare(way, module):
    """Does what has to be done before the program is loaded."""
    if way == "loop":
        _around_loop(importlib.import_module(module).new_event_loop)
    elif way == "install" and module != "asyncio":
        importlib.import_module(module).install()
        if importlib.util.find_spec("aiojobs") is not None:
            importlib.import_module(f"{module}.scheduler").install()


def _around_loop(new_event_loop):
    import asyncio

    asyncio.new_event_loop = asyncio.events.new_event_loop = new_event_loop
    if sys.version_info >= (3, 12):
        asyncio.run = functools.partial(asyncio.run, loop_factory=new_event_loop)


def load(path, way, module, name="__main__"):
    """Runs the program at `path` as module `name` and returns it."""
    with open(path, encoding="utf-8") as file:
        source = file.read()
    if way == "import" and module != "asyncio":
        for pattern, replacement in _IMPORTS:
            source = pattern.sub(replacement.format(module), source)
    program = types.ModuleType(name)
    program.__file__ = path
    # Registered, so that pickle finds the program's functions by name.
    sys.modules[name] = program
    exec(compile(source, path, "exec"), program.__dict__)
    return program


if __name__ == "__main__":
    way, module, path, *arguments = sys.argv[1:]
    sys.argv = [path, *arguments]
    prepare(way, module)
    load(path, way, module)
