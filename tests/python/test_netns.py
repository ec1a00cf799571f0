"""Connections through a network that delays, loses and reorders packets, and one that is cut in the middle."""

import functools
import subprocess
import sys

import pytest
from _compare import HERE, MODULE, environment
from _netns import FAR, link, missing

KINDS = pytest.mark.parametrize("kind", ["netem", "tun"])
TLS = pytest.mark.parametrize("tls", ["plain", "tls"])

QUALITIES = {
    "delay": {"delay": 0.02, "jitter": 0.005},
    "loss": {"delay": 0.001, "loss": 0.02},
    "reorder": {"delay": 0.01, "reorder": 0.2},
}


@functools.cache
def reason(kind):
    return missing(kind)


def need(kind):
    if reason(kind):
        pytest.skip(reason(kind))


def start(namespaces, end, *arguments):
    command = [*namespaces.command(end), sys.executable, HERE / "_netns_peer.py", MODULE, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment())


def started(namespaces, tls, task):
    """A server in one namespace and its client in the other."""
    server = start(namespaces, 1, "serve", FAR, tls, task)
    assert server.stdout.readline() == "listening\n", server.stderr.read()
    return server, start(namespaces, 0, "connect", FAR, tls, task)


def finish(*peers):
    outputs = []
    for peer in peers:
        try:
            output, errors = peer.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            for each in peers:
                each.kill()
            raise
        assert peer.returncode == 0, errors
        outputs.append(output)
    return outputs


@KINDS
@TLS
@pytest.mark.parametrize("quality", QUALITIES)
def test_streams_arrive_whole(kind, tls, quality):
    need(kind)
    with link(kind, **QUALITIES[quality]) as namespaces:
        _, client = finish(*started(namespaces, tls, "talk"))
    assert client == "done\n"


@KINDS
@TLS
def test_a_link_that_is_cut_is_a_time_out(kind, tls):
    need(kind)
    with link(kind, delay=0.001) as namespaces:
        peers = started(namespaces, tls, "wait")
        for peer in peers:
            assert peer.stdout.readline() == "connected\n", peer.stderr.read()
        namespaces.cut()
        for peer in peers:
            peer.stdin.write("\n")
            peer.stdin.flush()
        server, client = finish(*peers)
    for output in (server, client):
        # Of TLS, asyncio lets who waits to write go on when the connection is lost.
        assert f"drain {'errno 110' if tls == 'plain' else 'None'}\n" in output, output
        assert "read errno 110\n" in output, output


@KINDS
def test_a_server_that_is_not_reached(kind):
    need(kind)
    with link(kind) as namespaces:
        # Nobody listens, and the answer comes through the link.
        client = start(namespaces, 0, "connect", FAR, "plain", "talk")
        _, errors = client.communicate(timeout=30)
        assert client.returncode == 1 and "ConnectionRefusedError" in errors
        # Nor is there a way to somewhere else.
        client = start(namespaces, 0, "connect", "192.0.2.1", "plain", "talk")
        _, errors = client.communicate(timeout=30)
        assert client.returncode == 1 and "Network is unreachable" in errors
