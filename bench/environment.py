"""What the benchmark needs, made below `build/bench` in the project's folder.

A virtual environment for each interpreter, with the peers and aiojobs from PyPI, the
floor built with that interpreter's headers, and rasyncio itself as a release build.
Whatever is there already stays.
"""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = ["uvloop", "rloop"]
# What a row needs besides asyncio.
LIBRARIES = ["aiojobs"]
PREFERRED = "3.13"


class SetupError(Exception):
    """Something that the benchmark cannot do without is missing."""


def say(line: str) -> None:
    print(f"bench: {line}", flush=True)


def output(*command) -> str | None:
    """What a command prints, or None when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def find_interpreter(wanted: str | None) -> str:
    """The interpreter asked for; else a 3.13, which most published figures are of; else this one."""
    if wanted:
        found = shutil.which(wanted) or shutil.which(f"python{wanted}")
        candidates = [found or wanted, *pyenv(wanted)]
    else:
        candidates = [f"python{PREFERRED}", *pyenv(PREFERRED), sys.executable]
    for candidate in candidates:
        path = output(candidate, "-c", "import sys; print(sys.executable)")
        if path:
            return path
    raise SetupError(f"no Python interpreter {wanted!r}")


def pyenv(version: str) -> list[str]:
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    return sorted(glob.glob(f"{root}/versions/{glob.escape(version)}*/bin/python"), reverse=True)


class Environment:
    """The place of one interpreter's benchmark."""

    def __init__(self, base: str):
        self.base = base
        tag = output(base, "-c", "import sys; print(sys.implementation.cache_tag)")
        self.folder = ROOT / "build" / "bench" / str(tag)
        self.venv = self.folder / "venv"
        self.python = str(self.venv / "bin" / "python")

    def exists(self) -> bool:
        return output(self.python, "-c", "") is not None

    def prepare(self, rasyncio: bool = True) -> None:
        if not self.exists():
            say(f"making a virtual environment for {self.base}")
            self.folder.mkdir(parents=True, exist_ok=True)
            self.run(self.base, "-m", "venv", "--clear", str(self.venv))
        for peer in PEERS:
            # One without a wheel is left out, not compiled.
            if not self.install(peer, "--only-binary", ":all:"):
                say(f"{peer} cannot be had for this interpreter: its column will be left out")
        for library in LIBRARIES:
            if not self.install(library):
                say(f"{library} cannot be had: its row will fail")
        self.build_floor()
        if rasyncio:
            self.install_rasyncio()

    def install(self, package: str, *options: str) -> bool:
        if output(self.python, "-c", f"import {package}") is not None:
            return True
        say(f"installing {package}")
        pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        return not subprocess.run([*pip, *options, package], stdin=subprocess.DEVNULL).returncode

    def build_floor(self) -> None:
        source = HERE / "floor.c"
        ask = (
            "import sysconfig as s, os;"
            "print(s.get_path('include'));"
            "print(os.path.join(s.get_path('platlib'), 'rasyncio_floor' + s.get_config_var('EXT_SUFFIX')))"
        )
        include, target = (output(self.python, "-c", ask) or "\n").split("\n")
        if os.path.exists(target) and os.path.getmtime(target) >= source.stat().st_mtime:
            return
        if not os.path.exists(os.path.join(include, "Python.h")):
            raise SetupError(f"the floor needs Python.h, which {include} lacks (python3-dev?)")
        say("building the floor")
        compiler = os.environ.get("CC", "gcc")
        flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
        self.run(compiler, *flags, f"-I{include}", str(source), "-o", target)

    def build_echo(self) -> Path:
        """The C half of the network rows, for `net.py`."""
        return self.build_c("net_echo", ["net_echo.c"])

    def build_tls_echo(self) -> Path:
        """The same with TLS."""
        return self.build_c("tls_echo", ["tls_echo.c", "net_echo.c"], "-lssl", "-lcrypto")

    def build_c(self, name: str, sources: list[str], *libraries: str) -> Path:
        """A program of the first source, which includes the others."""
        target = self.folder / name
        newest = max((HERE / source).stat().st_mtime for source in sources)
        if not target.exists() or target.stat().st_mtime < newest:
            if libraries:
                self.run(sys.executable, str(ROOT / "scripts" / "setup.py"), "--openssl")
            say(f"building {name}")
            flags = ["-O2", "-Wall", "-Wextra", "-Werror", str(HERE / sources[0])]
            self.run(os.environ.get("CC", "gcc"), *flags, "-o", str(target), *libraries)
        return target

    def install_rasyncio(self) -> None:
        """Build a release and let this environment see the folder that it is built into."""
        say("building rasyncio (release: takes a minute or two when something has changed)")
        builder = ROOT / "scripts" / "build_extension.py"
        command = [sys.executable, str(builder), "--python", self.python, "--profile", "release"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SetupError("rasyncio does not build")
        folder = done.stdout.strip()
        packages = output(self.python, "-c", "import sysconfig as s; print(s.get_path('platlib'))")
        Path(str(packages), "rasyncio.pth").write_text(folder + "\n")

    def run(self, *command: str) -> None:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL)
        except OSError as error:
            raise SetupError(f"{command[0]}: {error.strerror}") from None
        if done.returncode:
            raise SetupError(f"this failed: {' '.join(command)}")
