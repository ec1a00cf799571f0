#!/usr/bin/env python3
"""Runs the own tests of projects that are built on asyncio, as they are and with rasyncio in its place.

    scripts/test_ecosystem.py                       all of them, on the interpreter that runs this
    scripts/test_ecosystem.py --python python3.13 --projects anyio,uvicorn

Each comes from PyPI as source, of the version named here. Its tests run twice: under plain Python, and
under `python -m rasyncio`. What fails in both is the machine's affair, or the project's; what fails only
with rasyncio is run once more, and is a failure if it fails again.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import build_extension
from setup import install_debian

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "ecosystem"
#: Seconds for the tests of one project.
PATIENCE = 1200


@dataclass(frozen=True)
class Project:
    name: str
    version: str
    #: What its tests need besides.
    needs: tuple[str, ...] = ()
    #: For pytest.
    arguments: tuple[str, ...] = ("tests",)
    #: Only this is copied: the package itself comes as a wheel, since it is compiled.
    only: str | None = None
    #: They ask a server, at the address that stands for {redis}.
    redis: bool = False


PROJECTS = [
    Project(
        "aiohttp",
        "3.14.5",
        ("blockbuster", "freezegun", "isal", "proxy.py", "pytest-codspeed", "pytest-cov", "pytest-mock",
         "pytest-xdist", "python-on-whales", "re-assert", "time-machine", "trustme", "zlib_ng"),
        ("tests/test_web_functional.py", "tests/test_client_functional.py", "tests/test_web_sendfile_functional.py",
         "tests/test_client_ws_functional.py", "tests/test_web_websocket_functional.py"),
        only="tests",
    ),
    Project(
        "anyio",
        "4.16.0",
        ("blockbuster", "hypothesis", "psutil", "pytest-mock", "trio", "trustme", "truststore"),
        ("-k", "asyncio and not uvloop", "tests"),
    ),
    Project(
        "redis",
        "8.1.0",
        ("numpy", "pytest-asyncio"),
        ("-o", "asyncio_mode=auto", "--redis-url", "{redis}", "-m", "not onlycluster and not redismod and not ssl",
         *(f"tests/test_asyncio/test_{name}.py" for name in
           ("commands", "pubsub", "connection_pool", "pipeline", "lock", "cwe_404", "monitor", "scripting"))),
        redis=True,
    ),
    Project(
        "uvicorn",
        "0.54.0",
        ("a2wsgi", "httptools", "httpx", "pytest-mock", "pytest-xdist", "python-dotenv", "pyyaml", "trustme",
         "watchfiles", "websockets", "wsproto"),
        ("-W", "default", "-k", "not trio", "tests"),
    ),
    # The half of its tests that is for asyncio.
    Project("uvloop", "0.23.0", ("aiohttp", "psutil", "pyOpenSSL"), ("-k", "AIO", "tests"), only="tests"),
]


def run(*command, **options):
    subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL, **options)


def environment_of(python, project):
    """A virtual environment with what a project's tests need; answers its interpreter."""
    folder = FOLDER / f"{version_of(python)}-{project.name}"
    inside = folder / "bin" / "python"
    stamp = folder / ".holds"
    wheel = [f"{project.name}=={project.version}"]
    packages = ["pytest>=8", "pytest-timeout", *wheel, *project.needs]
    if not stamp.exists() or stamp.read_text() != repr(packages):
        shutil.rmtree(folder, ignore_errors=True)
        run(python, "-m", "venv", folder)
        run(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
        stamp.write_text(repr(packages))
    return inside


def version_of(python):
    done = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        check=True, capture_output=True, text=True,
    )
    return done.stdout.strip()


def sources_of(inside, project):
    """The folder with a project's tests."""
    folder = FOLDER / f"{project.name}-{project.version}"
    if not folder.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        run(inside, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--no-binary=:all:", f"{project.name}=={project.version}", cwd=FOLDER)
        archive = next(FOLDER.glob(f"{project.name}-{project.version}.tar.gz"))
        with tarfile.open(archive) as file:
            file.extractall(FOLDER, filter="data")
        archive.unlink()
    if project.only is None:
        return folder
    # Beside its package in the source, the tests would import that one, which is not compiled.
    apart = FOLDER / f"{project.name}-{project.version}-tests"
    if not apart.exists():
        shutil.copytree(folder / project.only, apart / project.only)
        for settings in ("pyproject.toml", "setup.cfg", "examples"):
            source = folder / settings
            if source.is_dir():
                shutil.copytree(source, apart / settings)
            elif source.exists():
                shutil.copy(source, apart)
    return apart


@contextmanager
def redis_server():
    """A server of its own, on a free port of the loopback; its address."""
    if shutil.which("redis-server") is None:
        install_debian(["redis-server"], "a Redis server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=FOLDER)
    try:
        for _ in range(100):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


def tests(inside, folder, arguments, package):
    """Runs them; answers the last line, and those that have failed."""
    command = [inside, *(["-m", "rasyncio"] if package else []), "-m", "pytest"]
    command += ["-q", "-p", "no:cacheprovider", "--timeout=60", "-o", "addopts=", "-rfE", "--tb=no", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(package or ""), "COLUMNS": "1000"}
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=PATIENCE,
    )
    lines = done.stdout.splitlines()
    failed = set()
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ("FAILED", "ERROR") and "::" in rest:
            failed.add(rest.split(" - ")[0].strip())
    outcome = next((line for line in reversed(lines) if " passed" in line or " failed" in line), "")
    if not outcome:
        sys.stdout.write(done.stdout[-4000:])
    return outcome, failed


def compare(project, python, package, address):
    """Whether rasyncio is as good as what it replaces."""
    inside = environment_of(python, project)
    folder = sources_of(inside, project)
    arguments = [argument.replace("{redis}", address) for argument in project.arguments]
    stock, known = tests(inside, folder, arguments, None)
    print(f"{project.name} {project.version}, asyncio:  {stock.strip('= ')}", flush=True)
    ours, failed = tests(inside, folder, arguments, package)
    print(f"{project.name} {project.version}, rasyncio: {ours.strip('= ')}", flush=True)
    if not stock or not ours:
        return False
    suspects = sorted(failed - known)
    if not suspects:
        return True
    options = [argument for argument in arguments if not argument.startswith("tests")]
    if "-k" in options:
        at = options.index("-k")
        del options[at : at + 2]
    _, again = tests(inside, folder, [*options, *suspects], package)
    for name in sorted(again):
        print(f"  fails with rasyncio only: {name}")
    return not again


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--projects", default=",".join(project.name for project in PROJECTS))
    options = parser.parse_args()
    python = shutil.which(options.python)
    if python is None:
        sys.exit(f"there is no interpreter {options.python}")
    python = os.path.abspath(python)
    package = build_extension.build(python, "release")
    wanted = options.projects.split(",")
    bad = []
    for project in PROJECTS:
        if project.name not in wanted:
            continue
        if project.redis:
            FOLDER.mkdir(parents=True, exist_ok=True)
            with redis_server() as address:
                good = compare(project, python, package, address)
        else:
            good = compare(project, python, package, "")
        if not good:
            bad.append(project.name)
    if bad:
        sys.exit(f"test_ecosystem: not as with asyncio: {', '.join(bad)}")


if __name__ == "__main__":
    main()
