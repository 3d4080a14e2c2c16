#!/usr/bin/env python3
"""Check that no link in the documentation is dead; prints each dead one with its place.

A link to a file of this repository must lead to one. Where the link's text is code, as in [`Row.as_dict`](../src/rows.py),
every name in it must still be defined or written in that file: such links follow a function when it moves within its file
and fail when it leaves. A link to a heading (#like-this) must have one. Links to the web are not followed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

DOCUMENTS = ("README.md", "CHANGELOG.md", "docs/**/*.md", "vendor/*.md")
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\[]*)\]\((?P<target>[^()\s]+)\)")
CODE = re.compile(r"`([^`]+)`")


def anchors(text: str) -> set[str]:
    """The anchors that headings get on a forge."""
    headings = re.findall(r"(?m)^#+\s+(.*?)\s*$", text)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(root: Path) -> Iterator[str]:
    """Every dead link, as document:line: why."""
    for pattern in DOCUMENTS:
        for document in sorted(root.glob(pattern)):
            text = document.read_text(encoding="utf-8")
            # Examples in fences are code, not links.
            prose = re.sub(r"(?ms)^```.*?^```", lambda fence: re.sub(r"[^\n]", " ", fence[0]), text)
            for link in LINK.finditer(prose):
                line = prose.count("\n", 0, link.start()) + 1
                reason = why_dead(document, link["text"], link["target"])
                if reason:
                    yield f"{document.relative_to(root).as_posix()}:{line}: [{link['text']}]({link['target']}): {reason}"


def why_dead(document: Path, text: str, target: str) -> str:
    """Why the link leads nowhere, or nothing."""
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return ""
    name, _, anchor = target.partition("#")
    file = (document.parent / name) if name else document
    if not file.exists():
        return "no such file"
    if anchor and (not file.is_file() or anchor not in anchors(file.read_text(encoding="utf-8"))):
        return "no such heading"
    for code in CODE.findall(text):
        if file.is_dir() or code.rstrip("/").endswith(file.name):
            continue
        content = file.read_text(encoding="utf-8")
        missing = [word for word in re.findall(r"[A-Za-z_]\w*", code) if not re.search(rf"\b{word}\b", content)]
        if missing:
            return f"{file.name} has no {', '.join(missing)}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    found = list(dead_links(parser.parse_args().root))
    print("\n".join(found) if found else "links: none is dead")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
