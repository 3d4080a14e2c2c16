"""`SELECT *` in prepared statements: found in the text, and replaced by the table's columns.

The driver keeps a prepared statement's result columns and asks the server to leave them out of answers (protocol v4,
SKIP_METADATA): after `ALTER TABLE … ADD` a prepared `*` would be decoded with the columns of yesterday. With its columns
named the answer has the same ones for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acsylla_like import errors

if TYPE_CHECKING:
    from acsylla_like.session import Session

__all__ = ["Star", "columns", "find"]

# Strings, quoted names and comments are one token each, so that a * inside them is none.
_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|//[^\n]*|/\*.*?\*/)
      | (?P<string>'(?:[^']|'')*'|\$\$.*?\$\$)
      | (?P<quoted>"(?:[^"]|"")+")
      | (?P<name>[A-Za-z]\w*)
      | (?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)

_KIND_ORDER = {"partition_key": 0, "clustering": 1, "static": 2, "regular": 3}

_COLUMNS = "SELECT column_name, kind, position FROM {} WHERE keyspace_name = ? AND table_name = ?"


@dataclass(frozen=True)
class Star:
    """A text that selects `*`, with its two halves and its table."""

    before: str
    after: str
    keyspace: str | None
    table: str

    def expand(self, names: list[str]) -> str:
        """The text with these columns in place of `*`."""
        return self.before + ", ".join('"' + name.replace('"', '""') + '"' for name in names) + self.after


def find(text: str) -> Star | None:
    """The `*` that stands for all columns of a table, if the text selects that."""
    tokens = [match for match in _TOKEN.finditer(text) if match.lastgroup != "skip"]
    if len(tokens) < 4 or not _is_word(tokens[0], "SELECT") or tokens[1][0] != "*" or not _is_word(tokens[2], "FROM"):
        return None
    first = _name(tokens[3])
    if first is None:
        return None
    keyspace, table = None, first
    if len(tokens) > 5 and tokens[4][0] == ".":
        second = _name(tokens[5])
        if second is None:
            return None
        keyspace, table = first, second
    return Star(text[: tokens[1].start()], text[tokens[1].end() :], keyspace, table)


def _is_word(token: re.Match[str], word: str) -> bool:
    return token.lastgroup == "name" and token[0].upper() == word


def _name(token: re.Match[str]) -> str | None:
    if token.lastgroup == "quoted":
        return token[0][1:-1].replace('""', '"')
    return token[0].lower() if token.lastgroup == "name" else None


async def columns(session: Session, star: Star, timeout: float) -> list[str] | None:
    """The table's columns in the order in which the server gives them for `*`, or None where they cannot be read."""
    keyspace = star.keyspace or session.keyspace
    if keyspace is None:
        return None
    for source in ("system_schema.columns", "system_virtual_schema.columns"):
        try:
            rows = await session.execute(_COLUMNS.format(source), (keyspace, star.table), timeout=timeout)
        except (errors.Unauthorized, errors.InvalidQuery):
            continue  # a role without the right, or a server without virtual tables
        if rows:
            found = sorted((_KIND_ORDER[kind], position, name.encode()) for name, kind, position in rows)
            return [name.decode() for _, _, name in found]
    return None
