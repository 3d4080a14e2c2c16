"""The pages of the documentation whose blocks are programs run as they stand, but for the address."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import acsylla_like

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLOCK = re.compile(r"(?ms)^```python( cassandra-driver)?\n(.*?)^```")

# Runs blocks, each in the namespace of its client, with `await` at the top level; a failure names the line of the page.
RUNNER = """
import ast, asyncio, inspect, json, sys

async def main():
    page, blocks = json.load(sys.stdin)
    spaces = {}
    for line, client, code in blocks:
        compiled = compile("\\n" * line + code, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        space = spaces.setdefault(client, {"__name__": "__main__"})
        outcome = eval(compiled, space)
        if inspect.iscoroutine(outcome):
            await outcome

asyncio.run(main())
"""


def blocks_of(page: Path, host: str, port: int) -> list[tuple[int, str, str]]:
    """(lines before it, whose it is, the code) of each block."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in BLOCK.finditer(text):
        code = re.sub(r'"127\.0\.0\.1"(\]?), port=9042', rf'"{host}"\1, port={port}', block[2])
        found.append((text.count("\n", 0, block.start(2)), block[1] or "", code))
    return found


@pytest.mark.parametrize(
    ("name", "least"), [("errors.md", 7), ("migrate_from_cassandra_driver.md", 16), ("migrate_from_acsylla.md", 10), ("policies.md", 5)]
)
def test_the_blocks_of_a_page_run_one_after_another(cassandra, name: str, least: int) -> None:
    blocks = blocks_of(DOCS / name, cassandra.contact_points[0], cassandra.port)
    if any(client for _, client, _ in blocks) and importlib.util.find_spec("cassandra") is None:
        pytest.skip("needs cassandra-driver")
    assert len(blocks) >= least
    assert "9042" not in "".join(code for _, _, code in blocks)
    package = str(Path(acsylla_like.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))}
    ran = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-W", "error::RuntimeWarning", "-c", RUNNER],
        input=json.dumps([name, blocks]),
        capture_output=True,
        text=True,
        timeout=180,
        env=environment,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "never awaited" not in ran.stderr
