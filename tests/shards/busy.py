"""Opens and closes connections on loopback all the time, as another program of the machine would, until its input ends.

400 in a second, each open for half a second; every other one leaves its port in TIME_WAIT.

python tests/shards/busy.py
"""

from __future__ import annotations

import collections
import select
import socket
import struct
import sys
import time

EVERY, AT_ONCE, OPEN_FOR = 0.05, 20, 0.5  # seconds, connections, seconds


def main() -> None:
    opened: collections.deque[tuple[float, socket.socket, socket.socket]] = collections.deque()
    count = 0
    with socket.create_server(("127.0.0.1", 0), backlog=AT_ONCE) as server:
        while not select.select([sys.stdin], [], [], EVERY)[0]:
            for _ in range(AT_ONCE):
                client = socket.create_connection(server.getsockname())
                opened.append((time.monotonic() + OPEN_FOR, client, server.accept()[0]))
            while opened and opened[0][0] < time.monotonic():
                _, client, other = opened.popleft()
                if count % 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset: no TIME_WAIT
                client.close()
                other.close()
                count += 1
    print(count)


if __name__ == "__main__":
    main()
