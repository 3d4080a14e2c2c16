"""acsylla's client on acsylla_like.compat: the very same calls, with the one import changed."""

from __future__ import annotations

import sys

import acsylla_like
import acsylla_like.compat

sys.modules["acsylla"] = acsylla_like.compat

import client_acsylla  # noqa: E402  which imports it


class Client(client_acsylla.Client):
    version = f"driver {acsylla_like.driver_info().version}"
