"""Running somebody's program as `__main__`, as the interpreter does it."""

import importlib.machinery
import io
import os
import runpy
import sys
import types


def run_path(path, arguments):
    """Run a script, a folder or archive with a `__main__` module, or standard input ("-")."""
    if path == "-":
        _run(sys.stdin.read(), "<stdin>", ["-", *arguments], "")
    elif os.path.isdir(path) or (os.path.isfile(path) and _is_archive(path)):
        _enter([path, *arguments])
        _put_first_on_search_path(os.path.abspath(path))
        with _Uncaught():
            runpy._run_module_as_main("__main__", alter_argv=False)
    else:
        try:
            with io.open_code(path) as file:
                source = file.read()
        except OSError as error:
            # The interpreter's own words and exit status.
            print(
                f"{sys.executable}: can't open file {os.path.abspath(path)!r}: "
                f"[Errno {error.errno}] {error.strerror}",
                file=sys.stderr,
            )
            sys.exit(2)
        folder = os.path.dirname(os.path.realpath(path))
        _run(source, os.path.abspath(path), [path, *arguments], folder)


def run_module(name, arguments):
    """Run a module or package by its import name."""
    _enter(["-m", *arguments])
    with _Uncaught():
        # It finds the module, sets sys.argv[0], and runs it in the `__main__` that we made.
        runpy._run_module_as_main(name)


def run_code(code, arguments):
    """Run a piece of code."""
    _run(code, "<string>", ["-c", *arguments], "")


def _is_archive(path):
    import zipfile

    return zipfile.is_zipfile(path)


def _enter(argv):
    """Set sys.argv and put a fresh module in the place of `rasyncio.__main__`."""
    sys.argv[:] = argv
    main = types.ModuleType("__main__")
    main.__builtins__ = sys.modules["builtins"]
    sys.modules["__main__"] = main
    return main


def _put_first_on_search_path(folder):
    # `python -m rasyncio` put the current folder there; safe-path mode puts nothing.
    if not sys.flags.safe_path:
        sys.path[:1] = [folder]


def _run(source, filename, argv, folder):
    main = _enter(argv)
    if filename[0] != "<":
        main.__file__ = filename
        main.__cached__ = None
        main.__loader__ = importlib.machinery.SourceFileLoader("__main__", filename)
    _put_first_on_search_path(folder)
    if filename == "<string>":
        _show_source(source)
    with _Uncaught():
        exec(compile(source, filename, "exec", dont_inherit=True), main.__dict__)


def _show_source(source):
    """Let tracebacks show the lines of `-c` code, as the interpreter's do since 3.13."""
    if sys.version_info >= (3, 13):
        import linecache

        linecache.cache["<string>"] = (len(source), None, source.splitlines(True), "<string>")


class _Uncaught:
    """Reports what a program does not catch with the program's own frames only.

    The exception is raised on, silently, because the interpreter makes the exit status of it: 1,
    or death by SIGINT for KeyboardInterrupt.
    """

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if error is None or isinstance(error, SystemExit):
            return
        while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
            traceback = traceback.tb_next
        sys.excepthook(kind, error.with_traceback(traceback), traceback)
        sys.excepthook = _say_nothing


def _say_nothing(kind, error, traceback):
    pass
