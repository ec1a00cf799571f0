"""Interpreters of their own, for what changes a whole process."""

import os
import subprocess
import sys
import textwrap

_UNWANTED = {"PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONSTARTUP", "PYTHONWARNINGS"}


def python(*arguments, given="", **options):
    """Run the interpreter; return what became of it."""
    environment = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    return subprocess.run(
        [sys.executable, *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        **options,
    )


def succeeds(code):
    """Run code whose own assertions say whether it behaves."""
    done = python("-c", textwrap.dedent(code))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
