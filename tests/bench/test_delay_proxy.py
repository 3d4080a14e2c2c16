"""The bench's proxy holds what a client sends for the time asked, in order, and loses none of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts" / "bench"))

import programs

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the proxy uses epoll"),
    pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler"),
]


def test_requests_are_held_and_arrive_whole() -> None:
    sent = os.urandom(3_000_000)
    with contextlib.ExitStack() as ends:
        listener = ends.enter_context(socket.create_server(("127.0.0.1", 0)))
        proxy = ends.enter_context(programs.DelayProxy("127.0.0.1", listener.getsockname()[1], 0.05))
        client = ends.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 10))
        server = ends.enter_context(listener.accept()[0])
        server.settimeout(10)
        started = time.monotonic()
        client.sendall(b"?")
        assert server.recv(1) == b"?"
        assert time.monotonic() - started >= 0.05
        writer = threading.Thread(target=client.sendall, args=(sent,))
        writer.start()
        received = b""
        while len(received) < len(sent):
            received += server.recv(1 << 20)
        writer.join()
        assert received == sent
        server.sendall(b"!")
        assert client.recv(1) == b"!"
        client.close()
        assert server.recv(1) == b""
