"""The console: Python's own, with `await` at top level, over a native loop.

The loop runs in the main thread and the console in another. What is typed is run in the loop, so
that it may await, start tasks, and be interrupted.
"""

import ast
import asyncio
import code
import concurrent.futures
import contextvars
import inspect
import os
import site
import sys
import threading
import tokenize
import types
import warnings

from . import events, futures


def _terminal_console():
    """The console of 3.13 and later with editing and colours, or None."""
    if os.getenv("PYTHON_BASIC_REPL") and not sys.flags.ignore_environment:
        return None
    try:
        from _pyrepl.console import InteractiveColoredConsole
        from _pyrepl.main import CAN_USE_PYREPL
    except ImportError:
        return None
    return InteractiveColoredConsole if CAN_USE_PYREPL else None


_TERMINAL = _terminal_console()


class Console(_TERMINAL or code.InteractiveConsole):
    """Reads code, and has the loop run it."""

    def __init__(self, variables, loop):
        super().__init__(variables, filename="<stdin>")
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self.loop = loop
        self.exit_status = 0
        self._context = contextvars.copy_context()
        self._task = None
        self._interrupted = False

    def runcode(self, code):
        """Run compiled code in the loop and wait for it, in the console's thread."""
        outcome = concurrent.futures.Future()
        self.loop.call_soon_threadsafe(self._start, code, outcome, context=self._context)
        try:
            return outcome.result()
        except SystemExit as exit:
            self._leave(exit)
        except BaseException:
            if self._interrupted:
                self.write("\nKeyboardInterrupt\n")
            else:
                self.showtraceback()
            # What 3.13's console asks for to know that a statement failed.
            return getattr(self, "STATEMENT_FAILED", None)

    def _start(self, code, outcome):
        self._task = None
        self._interrupted = False
        try:
            result = types.FunctionType(code, self.locals)()
            if inspect.iscoroutine(result):
                # Several lines typed share one context, so context variables stay set.
                self._task = self.loop.create_task(result, context=self._context)
                futures._chain_future(self._task, outcome)
            else:
                outcome.set_result(result)
        except SystemExit as exit:
            self._leave(exit)
        except BaseException as error:
            self._interrupted = isinstance(error, KeyboardInterrupt)
            outcome.set_exception(error)

    def _leave(self, exit):
        self.exit_status = exit.code
        self.loop.call_soon_threadsafe(self.loop.stop)

    def interrupt(self):
        """Ctrl-C in the main thread: cancel what runs, or the line being typed."""
        self._interrupted = True
        if self._task is not None and not self._task.done():
            self._task.cancel()
        if _TERMINAL is not None:
            from _pyrepl.simple_interact import _get_reader

            reader = _get_reader()
            if reader.threading_hook is not None:
                reader.threading_hook.add("")

    def talk(self):
        """Read and run until the end of input, then stop the loop."""
        try:
            if not sys.flags.quiet:
                self.write(
                    f"rasyncio REPL {sys.version} on {sys.platform}\n"
                    f'Use "await" directly instead of "asyncio.run()".\n'
                    f'Type "help", "copyright", "credits" or "license" for more information.\n'
                )
            self._run_startup_file()
            self.write(f"{getattr(sys, 'ps1', '>>> ')}import asyncio\n")
            if _TERMINAL is None:
                self.interact(banner="", exitmsg="")
            else:
                self._interact_in_terminal()
        finally:
            warnings.filterwarnings(
                "ignore", message=r"^coroutine .* was never awaited$", category=RuntimeWarning
            )
            self.loop.call_soon_threadsafe(self.loop.stop)

    def _run_startup_file(self):
        path = os.getenv("PYTHONSTARTUP")
        if not path or sys.flags.ignore_environment:
            return
        sys.audit("cpython.run_startup", path)
        try:
            with tokenize.open(path) as file:
                exec(compile(file.read(), path, "exec"), self.locals)
        except SystemExit:
            raise
        except BaseException:
            self.showtraceback()

    def _interact_in_terminal(self):
        from _pyrepl.simple_interact import run_multiline_interactive_console

        try:
            run_multiline_interactive_console(self)
        except SystemExit:
            pass  # exit() and quit()
        except BaseException:
            self.showtraceback()
            self.write("Internal error, ")
            self.exit_status = 1


def run():
    """Run a console on standard input and output. Return the exit status."""
    sys.audit("cpython.run_stdin")
    loop = events.new_event_loop()
    asyncio.set_event_loop(loop)
    main = types.ModuleType("__main__")
    main.__builtins__ = sys.modules["builtins"]
    main.asyncio = asyncio
    sys.modules["__main__"] = main
    console = Console(vars(main), loop)
    _prepare_completion(console.locals)
    # The thread may sit in a read of standard input for ever.
    threading.Thread(target=console.talk, name="Interactive thread", daemon=True).start()
    while True:
        try:
            loop.run_forever()
            break
        except KeyboardInterrupt:
            console.interrupt()
    console.write("exiting asyncio REPL...\n")
    loop.close()
    return console.exit_status


def _prepare_completion(variables):
    """Prepare the terminal as the interpreter does, with the Tab key completing our names."""
    hook = getattr(sys, "__interactivehook__", None)
    if hook is None:
        return
    sys.audit("cpython.run_interactivehook", hook)
    hook()
    if hook is getattr(site, "register_readline", None):  # since 3.13
        try:
            import readline
            import rlcompleter
        except ImportError:
            return
        readline.set_completer(rlcompleter.Completer(variables).complete)
