"""Opens two sessions at once and prints the mode of each; a line of the driver's about a port that is in use, too.

python tests/shards/two_sessions.py 127.0.0.1,127.0.0.2 9042
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time

import acsylla_like

TROUBLE = ("in use", "EADDRINUSE", "cannot assign", "EADDRNOTAVAIL")


class Trouble(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if any(word.lower() in message.lower() for word in TROUBLE):
            print(message, flush=True)


async def main(hosts: str, port: str) -> None:
    sessions = await asyncio.gather(*(acsylla_like.connect(hosts, port=int(port), shard_aware_port=True) for _ in range(2)))
    ends = time.monotonic() + 20.0
    while time.monotonic() < ends and not all(_modes(session) == {"advanced"} for session in sessions):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    for session in sessions:
        print(*(_modes(session) or {"unknown"}) if len(_modes(session)) == 1 else session.shards())
        await session.close()


def _modes(session: acsylla_like.Session) -> set[str]:
    return {host.mode for host in session.shards().values()}


if __name__ == "__main__":
    logging.getLogger("acsylla_like.driver").addHandler(Trouble())
    asyncio.run(main(*sys.argv[1:]))
