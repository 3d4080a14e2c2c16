"""`python -m acsylla_like`: the command line."""

from __future__ import annotations

import sys

from acsylla_like.cli import main

if __name__ == "__main__":
    sys.exit(main())
