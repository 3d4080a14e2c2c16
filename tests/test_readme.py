"""The README's example runs as it stands, but for the address."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import acsylla_like

ROOT = Path(__file__).resolve().parent.parent


def test_the_example_of_the_readme_runs(cassandra) -> None:
    (example,) = re.findall(r"(?ms)^```python\n(.*?)^```", (ROOT / "README.md").read_text())
    address = '"127.0.0.1", port=9042'
    assert address in example
    here = example.replace(address, f"{cassandra.contact_points!r}, port={cassandra.port}")
    program = f"import sys; sys.path.insert(0, {str(Path(acsylla_like.__file__).parent.parent)!r})\n{here}"
    ran = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    first, *people = ran.stdout.splitlines()
    assert first.startswith("Ada 36 {'id': UUID(")
    assert "Ada 36" in people
    assert len(people) >= 101
