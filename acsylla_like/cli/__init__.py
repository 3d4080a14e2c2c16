"""The command line: `load`, `unload`, `query` and `doctor` (docs/cli.md).

pyarrow and rich are used here only, and imported when a command needs them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Sequence

from acsylla_like.cli.options import Exit, Problem, parser_of_all

__all__ = ["main"]

# The commands whose data pass through pyarrow.
_WITH_ARROW = ("load", "unload", "query")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code (`Exit`)."""
    logging.basicConfig(level=logging.WARNING, format="acsylla-like: %(message)s", stream=sys.stderr)
    # What the driver has to say of a connection comes back as the error of the command.
    logging.getLogger("acsylla_like").setLevel(logging.CRITICAL)
    options = parser_of_all().parse_args(arguments)
    try:
        if options.command in _WITH_ARROW and importlib.util.find_spec("pyarrow") is None:
            raise Problem(f"{options.command} needs pyarrow: pip install 'acsylla_like[cli]'", Exit.MISTAKE)
        # Two loops' worth of signals: the first ends the command cleanly, the second at once.
        return asyncio.run(_run(options))
    except Problem as problem:
        print(f"acsylla-like: {problem}", file=sys.stderr)
        return problem.code
    except BrokenPipeError:
        # Whoever reads the output has seen enough; the interpreter's own flush at exit must not complain either.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


async def _run(options: argparse.Namespace) -> int:
    """Runs the command's coroutine; SIGINT and SIGTERM cancel it, so that it ends with its report and its checkpoint."""
    command = importlib.import_module(f"acsylla_like.cli.{options.command}")
    task: asyncio.Task[int] = asyncio.ensure_future(command.run(options))
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if received:
            os._exit(128 + number)  # it was asked twice
        received.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not received:
            raise
        return 128 + received[0]
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
