"""Opens two sessions at once. Prints the mode of each, and whatever is said of a port that is in use.

python tests/shards/two_sessions.py 127.0.0.1,127.0.0.2 9042
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time

import acsylla_like

TROUBLE = ("in use", "EADDRINUSE", "cannot assign", "EADDRNOTAVAIL", "not available")
NO_PORTS = "too few local ports are free"


class Trouble(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if any(word.lower() in message.lower() for word in TROUBLE):
            print(f"trouble: {message}", flush=True)


async def main(hosts: str, port: str) -> None:
    sessions = await asyncio.gather(*(acsylla_like.connect(hosts, port=int(port), shard_aware_port=True) for _ in range(2)))
    ends = time.monotonic() + 60.0
    while time.monotonic() < ends and not all(_is_decided(session) for session in sessions):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    for session in sessions:
        hosts = session.shards().values()
        modes = {host.mode for host in hosts}
        if modes == {"advanced"}:
            print("mode: advanced")
        else:
            print(f"mode: {'/'.join(sorted(modes))}: {'; '.join(sorted({host.reason for host in hosts}))}")
        await session.close()


def _is_decided(session: acsylla_like.Session) -> bool:
    hosts = session.shards().values()
    # A machine under load may take longer than it may for the proof of the shard-aware port, which is repeated after 15 s.
    return bool(hosts) and all(host.mode == "advanced" or NO_PORTS in host.reason for host in hosts)


if __name__ == "__main__":
    logging.getLogger("acsylla_like").addHandler(Trouble())
    logging.getLogger("acsylla_like.shards").setLevel(logging.INFO)
    asyncio.run(main(*sys.argv[1:]))
