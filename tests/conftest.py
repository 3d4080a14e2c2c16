"""Lists the fixtures; each topic has a module of its own beside this file."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

_HERE = str(Path(__file__).parent)
if _HERE not in sys.path:  # whichever way pytest imports
    sys.path.insert(0, _HERE)

pytest_plugins = ["acsylla_like.testing.pytest_plugin", "fix_loop", "fix_server", "fix_leaks", "fix_wire"]

# A shell that runs this in the background has it ignore interrupts, and the programs that tests start and interrupt would, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
