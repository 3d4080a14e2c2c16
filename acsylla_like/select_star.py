"""`SELECT *` in prepared statements: found in the text, and replaced by the table's columns.

The driver keeps a prepared statement's result columns and asks the server to leave them out of answers (protocol v4,
SKIP_METADATA): after `ALTER TABLE … ADD` a prepared `*` would be decoded with the columns of yesterday. With its columns
named the answer has the same ones for ever.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acsylla_like import errors
from acsylla_like._native import Options

if TYPE_CHECKING:
    from acsylla_like.session import Session

__all__ = ["Star", "columns", "find", "first_word", "name_of", "names_its_keyspaces", "names_of", "quoted", "tokens_of"]

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
    """A text that selects `*` from a table, and where in it they stand."""

    text: str
    star: tuple[int, int]
    name: tuple[int, int]
    keyspace: str | None
    table: str

    def expand(self, names: list[str], keyspace: str) -> str:
        """The text with these columns in place of `*`."""
        return self._replaced(", ".join(map(quoted, names)), keyspace)

    def qualify(self, keyspace: str) -> str:
        """The text with the table's keyspace named, so that no USE changes what it means."""
        return self._replaced("*", keyspace)

    def _replaced(self, columns: str, keyspace: str) -> str:
        text = self.text
        table = f"{quoted(keyspace)}.{quoted(self.table)}" if self.keyspace is None else text[self.name[0] : self.name[1]]
        return text[: self.star[0]] + columns + text[self.star[1] : self.name[0]] + table + text[self.name[1] :]


def find(text: str) -> Star | None:
    """The `*` that stands for all columns of a table, if the text selects that."""
    tokens = list(itertools.islice(tokens_of(text), 7))
    if len(tokens) > 1 and _is_word(tokens[1], "DISTINCT"):
        del tokens[1]
    if len(tokens) < 4 or not _is_word(tokens[0], "SELECT") or tokens[1][0] != "*" or not _is_word(tokens[2], "FROM"):
        return None
    first = name_of(tokens[3])
    if first is None:
        return None
    keyspace, table, last = None, first, tokens[3]
    if len(tokens) > 5 and tokens[4][0] == ".":
        second = name_of(tokens[5])
        if second is None:
            return None
        keyspace, table, last = first, second, tokens[5]
    return Star(text, tokens[1].span(), (tokens[3].start(), last.end()), keyspace, table)


def first_word(text: str) -> str:
    """The word that says what a text does, in capitals; empty where there is none."""
    token = next(tokens_of(text), None)
    return token[0].upper() if token is not None and token.lastgroup == "name" else ""


def names_its_keyspaces(text: str) -> bool:
    """Whether a text means the same tables in every keyspace."""
    tokens = list(tokens_of(text))
    names = [i + 1 for i, token in enumerate(tokens[:-1]) if token.lastgroup == "name" and token[0].upper() in ("FROM", "INTO", "UPDATE")]
    return bool(names) and all(i + 1 < len(tokens) and tokens[i + 1][0] == "." for i in names if name_of(tokens[i]) is not None)


def names_of(text: str) -> list[str] | None:
    """The names that a text such as `keyspace."Table"` consists of, with dots between them; None when it is something else."""
    tokens = list(tokens_of(text))
    names = [name_of(token) for token in tokens[::2]]
    found = [name for name in names if name is not None]
    is_path = len(tokens) % 2 == 1 and all(token[0] == "." for token in tokens[1::2])
    return found if is_path and len(found) == len(names) else None


def quoted(name: str) -> str:
    """A name as CQL reads it whatever its letters."""
    return '"' + name.replace('"', '""') + '"'


def tokens_of(text: str) -> Iterator[re.Match[str]]:
    """What a text consists of, without space and comments."""
    return (match for match in _TOKEN.finditer(text) if match.lastgroup != "skip")


def _is_word(token: re.Match[str], word: str) -> bool:
    return token.lastgroup == "name" and token[0].upper() == word


def name_of(token: re.Match[str]) -> str | None:
    """What a token names, if it can be a name."""
    if token.lastgroup == "quoted":
        return token[0][1:-1].replace('""', '"')
    return token[0].lower() if token.lastgroup == "name" else None


async def columns(session: Session, keyspace: str, table: str, timeout: float) -> list[str] | None:
    """The table's columns in the order in which the server gives them for `*`, or None where they cannot be read."""
    for source in ("system_schema.columns", "system_virtual_schema.columns"):
        try:
            # What the session's defaults say is for the caller's requests: a page_size of 10 would hide the 11th column.
            options = Options(timeout=timeout, consistency="ONE", tracing=False, page_size=5000)
            result = await session._step(_COLUMNS.format(source), (keyspace, table), options)
            rows = [row async for row in result]
        except (errors.Unauthorized, errors.InvalidQuery):
            continue  # a role without the right, or a server without virtual tables
        if rows:
            found = sorted((_KIND_ORDER.get(kind, 4), position, name.encode()) for name, kind, position in rows)
            return None if found[-1][0] == 4 else [name.decode() for _, _, name in found]
    return None
