"""The blocks of the migration page run one after another, as they stand but for the address."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import acsylla_like

PAGE = Path(__file__).resolve().parents[2] / "docs" / "migrate_from_acsylla.md"
ADDRESS = '["127.0.0.1"], port=9042'

RUNNER = """
import ast, asyncio, inspect, json, sys

async def main():
    name, blocks = json.load(sys.stdin)
    space = {"__name__": "__main__"}
    for line, code in blocks:
        compiled = compile("\\n" * line + code, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        outcome = eval(compiled, space)
        if inspect.iscoroutine(outcome):
            await outcome

asyncio.run(main())
"""


def test_the_blocks_of_the_page_run(cassandra) -> None:
    text = PAGE.read_text(encoding="utf-8")
    here = f"{cassandra.contact_points!r}, port={cassandra.port}"
    blocks = [
        (text.count("\n", 0, block.start(1)), block[1].replace(ADDRESS, here)) for block in re.finditer(r"(?ms)^```python\n(.*?)^```", text)
    ]
    assert len(blocks) >= 10
    assert text.count(ADDRESS) == text.count("port=9042") == 2
    package = str(Path(acsylla_like.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-W", "error::RuntimeWarning", "-c", RUNNER],
        input=json.dumps([PAGE.name, blocks]),
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "never awaited" not in ran.stderr
