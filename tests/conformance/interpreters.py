"""The environment in which CPython's tests run: the same for stock asyncio and for rasyncio.

Tests start child interpreters, often with ``-I``, which looks neither at PYTHONPATH nor at the user's
site. So the tests run in a virtual environment whose ``.pth`` file knows rasyncio and, where
RASYNCIO_INSTALL is set, installs it before anything else. Stock runs in the same environment without
the variable.
"""

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "conformance"
HERE = Path(__file__).resolve().parent

HOOK = "import os; os.environ.get('RASYNCIO_INSTALL') == '1' and __import__('rasyncio').install()\n"

PROBE = """
import importlib.util, json, sys, sysconfig
files = {}
for name in json.loads(sys.argv[1]):
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    files[name] = spec and spec.origin
    if spec:
        with open(spec.origin, 'rb') as file:
            files[name] = file.read().hex()
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "build": sys.version,
    "tag": sysconfig.get_config_var("SOABI"),
    "files": files,
}))
"""


class Unusable(Exception):
    """The interpreter cannot serve; the message says what to do."""


@dataclass(frozen=True)
class Interpreter:
    """A Python with its virtual environment."""

    base: str
    version: str
    build: str
    venv: Path
    #: Name of each test file that this Python has, with a digest of its contents.
    files: dict
    #: What the environment has besides, where rasyncio is installed.
    extra: dict

    def command(self, *arguments):
        # By way of the base: it may be a launcher into another root, where alone the
        # environment's own interpreter can be reached.
        enter = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
        return [self.base, "-I", "-S", "-c", enter, str(self.venv / "bin" / "python"), *arguments]

    def environment(self, *, install):
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        }
        environment.pop("RASYNCIO_INSTALL", None)
        environment["LC_ALL"] = "C.UTF-8"
        if install:
            environment["RASYNCIO_INSTALL"] = "1"
            environment.update(self.extra)
        return environment


def _output(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Unusable(f"{' '.join(command[:2])} … failed:\n{done.stderr.strip()}")
    return done.stdout


def prepare(python, modules, package_folder, extra):
    """Make the virtual environment of `python`, with rasyncio from `package_folder` in it.

    `package_folder` is a callable from the version ("3.13") to the folder that holds the package.
    """
    found = json.loads(_output([python, "-I", "-c", PROBE, json.dumps(modules)]))
    version = found["version"]
    if not any(found["files"].values()):
        raise Unusable(
            f"{python} has no test.test_asyncio. On Debian: apt-get install libpython{version}-testsuite"
        )
    files = {
        name: hashlib.sha256(text.encode()).hexdigest()
        for name, text in found["files"].items()
        if text
    }
    folder = str(package_folder(version))
    identity = "\n".join([python, found["build"], folder])
    venv = CACHE / f"venv-{version}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    hook = venv / "lib" / f"python{version}" / "site-packages" / "rasyncio.pth"
    # The hook comes last, and tells a finished environment. Others may be using it.
    if not hook.exists():
        _output([python, "-I", "-m", "venv", "--without-pip", "--symlinks", str(venv)])
        hook.write_text(f"{folder}\n{HOOK}", encoding="utf-8")
    return Interpreter(python, version, found["build"], venv, files, extra)
