"""Run a program, or a console, on rasyncio.

    python -m rasyncio SCRIPT [ARGUMENTS]
    python -m rasyncio -m MODULE [ARGUMENTS]
    python -m rasyncio -c CODE [ARGUMENTS]
    python -m rasyncio

The program runs as `python` itself would run it, after `rasyncio.install()`. Without one there is
a console in which `await` works at top level, like `python -m asyncio`'s.
"""

import sys

from . import _console, _script, install

USAGE = """\
usage: python -m rasyncio [SCRIPT | -m MODULE | -c CODE] [ARGUMENTS]

Run a Python program with asyncio replaced by rasyncio. Without a program, start
a console in which `await` works at top level."""


def main(arguments):
    install()
    match arguments:
        case []:
            return _console.run()
        case ["-h" | "--help", *_]:
            print(USAGE)
        case ["-m", module, *rest]:
            _script.run_module(module, rest)
        case ["-c", code, *rest]:
            _script.run_code(code, rest)
        case ["-m" | "-c"]:
            print(f"Argument expected for the {arguments[0]} option\n{USAGE}", file=sys.stderr)
            return 2
        case [option, *_] if option.startswith("-") and option != "-":
            print(f"unknown option {option}\n{USAGE}", file=sys.stderr)
            return 2
        case [path, *rest]:
            _script.run_path(path, rest)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
