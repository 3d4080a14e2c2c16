"""The partition keys of tables, and which markers of a prepared text hold them.

The server tells the driver, which routes by it, but the driver's C API does not tell us. So the text is read, and believed only as
far as the names agree that the server gave to the markers.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acsylla_like.select_star import name_of, tokens_of

if TYPE_CHECKING:
    from acsylla_like._native import Options
    from acsylla_like.session import Session

__all__ = ["Keyed", "index_of", "indexes", "indexes_of", "partition_key", "read"]

_KEY = (
    "SELECT column_name, position FROM system_schema.columns "
    "WHERE keyspace_name = ? AND table_name = ? AND kind = 'partition_key' ALLOW FILTERING"
)

_ENDS_RELATION = frozenset(("AND", "GROUP", "ORDER", "PER", "LIMIT", "ALLOW", "BYPASS", "USING", "IF"))
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True)
class _Lexeme:
    """A token, or a marker, which may be two of them."""

    text: str
    name: str | None = None
    """What it names, where it can be a name."""
    marker: int | None = None
    """Its place among the markers; the name is then the marker's own."""

    def is_word(self, *words: str) -> bool:
        return self.marker is None and self.name is not None and self.text[0] != '"' and self.text.upper() in words


@dataclass(frozen=True)
class Keyed:
    """A text on the rows of one table, and what its columns are compared with or set to."""

    keyspace: str | None
    table: str
    markers: tuple[str | None, ...]
    """The names of all markers in their order, None for a `?`."""
    bound: dict[str, int] = field(default_factory=dict)
    """Columns that are equal to a marker, and which."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Columns that are something else, and what."""


def read(text: str) -> Keyed | str:
    """What a text does, or why it has no partition key."""
    lexemes = list(_lexemes(text))
    while lexemes and lexemes[-1].text == ";":
        lexemes.pop()
    verb = lexemes[0].text.upper() if lexemes else ""
    if verb == "INSERT":
        return _read_insert(lexemes)
    if verb == "UPDATE":
        return _read_where(lexemes, 1)
    if verb in ("SELECT", "DELETE"):
        start = next((i for i, lexeme in _at_top(lexemes) if lexeme.is_word("FROM")), None)
        return f"there is no table in this {verb}" if start is None else _read_where(lexemes, start + 1)
    return f"{verb or 'an empty text'} has no partition key"


def indexes(text: str, names: Sequence[str], key: Sequence[str]) -> tuple[int, ...] | str:
    """Of a prepared text with parameters of these names: which of them hold the columns of the partition key, in its order; or
    why that cannot be told."""
    found = read(text)
    return found if isinstance(found, str) else indexes_of(found, names, key)


def indexes_of(found: Keyed, names: Sequence[str], key: Sequence[str]) -> tuple[int, ...] | str:
    """As `indexes`, of a text that was read already."""
    chosen = []
    for column in key:
        index = index_of(found, names, column)
        if isinstance(index, str):
            return index
        chosen.append(index)
    return tuple(chosen)


def index_of(found: Keyed, names: Sequence[str], column: str) -> int | str:
    """The parameter that a column is equal to, or why there is none."""
    places = _places(found.markers, names)
    if places is None:
        return f"the server counts {len(names)} markers, and the text has {len(found.markers)}"
    marker = found.bound.get(column)
    if marker is None:
        return found.reasons.get(column, f"{column} is not restricted")
    index = places[marker]
    if names[index] != (found.markers[marker] or column):
        return f"the server names the marker of {column} {names[index]}"
    return index


def _places(markers: Sequence[str | None], names: Sequence[str]) -> Sequence[int] | None:
    """Of each marker the parameter that it is."""
    if len(markers) == len(names):
        return range(len(names))
    if None not in markers and len(set(markers)) == len(names):
        # ScyllaDB counts markers of the same name once.
        distinct = list(dict.fromkeys(markers))
        return [distinct.index(name) for name in markers]
    return None


async def partition_key(session: Session, keyspace: str, table: str, options: Options) -> tuple[str, ...]:
    """The columns of a table's partition key in their order, as the server has them; none where there is no such table.

    Raises what `execute` raises.
    """
    rows = await session._ask(_KEY, (keyspace, table), options)
    return tuple(column for column, _ in sorted(rows, key=lambda row: row.position))


def _read_insert(lexemes: Sequence[_Lexeme]) -> Keyed | str:
    if len(lexemes) < 3 or not lexemes[1].is_word("INTO"):
        return "this INSERT has no table"
    named = _table(lexemes, 2)
    if named is None:
        return "this INSERT has no table"
    keyspace, table, at = named
    if at < len(lexemes) and lexemes[at].is_word("JSON"):
        return "the key is inside JSON"
    columns, at = _in_parentheses(lexemes, at)
    if columns is None or at >= len(lexemes) or not lexemes[at].is_word("VALUES"):
        return "this INSERT has no columns"
    values, _ = _in_parentheses(lexemes, at + 1)
    if values is None or len(values) != len(columns):
        return "this INSERT has not as many values as columns"
    found = Keyed(keyspace, table, _names_of_markers(lexemes))
    for column, value in zip(columns, values, strict=True):
        if len(column) == 1 and column[0].name is not None:
            _note(found, column[0].name, value)
    return found


def _read_where(lexemes: Sequence[_Lexeme], at: int) -> Keyed | str:
    """A text whose table stands at `at`, with its restrictions behind it."""
    named = _table(lexemes, at)
    if named is None:
        return "this text has no table"
    keyspace, table, at = named
    found = Keyed(keyspace, table, _names_of_markers(lexemes))
    start = next((i for i, lexeme in _at_top(lexemes) if i >= at and lexeme.is_word("WHERE")), None)
    while start is not None:
        # The first lexeme is a column's name even where it could be a keyword.
        end = next((i for i, lexeme in _at_top(lexemes) if i > start + 1 and lexeme.is_word(*_ENDS_RELATION)), len(lexemes))
        relation = lexemes[start + 1 : end]
        name = relation[0].name if relation else None
        if name is not None and len(relation) > 1:
            if relation[1].text == "=":
                _note(found, name, relation[2:])
            else:
                found.reasons.setdefault(name, f"{name} is not compared by = but by {relation[1].text.upper()}")
        start = end if end < len(lexemes) and lexemes[end].is_word("AND") else None
    return found


def _note(found: Keyed, column: str, value: Sequence[_Lexeme]) -> None:
    if column in found.bound or column in found.reasons:
        found.bound.pop(column, None)
        found.reasons[column] = f"{column} occurs twice"
    elif len(value) == 1 and value[0].marker is not None:
        found.bound[column] = value[0].marker
    else:
        found.reasons[column] = f"{column} is no marker but {' '.join(lexeme.text for lexeme in value)[:40]}"


def _names_of_markers(lexemes: Sequence[_Lexeme]) -> tuple[str | None, ...]:
    return tuple(lexeme.name for lexeme in lexemes if lexeme.marker is not None)


def _table(lexemes: Sequence[_Lexeme], at: int) -> tuple[str | None, str, int] | None:
    """Keyspace and table that are named at `at`, and where the text goes on."""
    if at >= len(lexemes) or lexemes[at].name is None or lexemes[at].marker is not None:
        return None
    first = lexemes[at].name
    assert first is not None
    if at + 2 < len(lexemes) and lexemes[at + 1].text == ".":
        second = lexemes[at + 2].name
        return None if second is None else (first, second, at + 3)
    return None, first, at + 1


def _in_parentheses(lexemes: Sequence[_Lexeme], at: int) -> tuple[list[Sequence[_Lexeme]] | None, int]:
    """What stands between the commas of a list in parentheses at `at`, and where the text goes on."""
    if at >= len(lexemes) or lexemes[at].text != "(":
        return None, at
    parts: list[Sequence[_Lexeme]] = []
    depth, start = 0, at + 1
    for i in range(at, len(lexemes)):
        text = lexemes[i].text
        depth += (text in _OPENING) - (text in _CLOSING)
        if (text == "," and depth == 1) or depth == 0:
            parts.append(lexemes[start:i])
            start = i + 1
        if depth == 0:
            return parts, i + 1
    return None, at


def _at_top(lexemes: Sequence[_Lexeme]) -> Iterator[tuple[int, _Lexeme]]:
    """Those outside of any brackets, with their places."""
    depth = 0
    for i, lexeme in enumerate(lexemes):
        depth += (lexeme.text in _OPENING) - (lexeme.text in _CLOSING)
        if depth == 0:
            yield i, lexeme


def _lexemes(text: str) -> Iterator[_Lexeme]:
    tokens = list(tokens_of(text))
    count = itertools.count()
    braces, before = 0, ""
    i = 0
    while i < len(tokens):
        token = tokens[i]
        said = token[0]
        i += 1
        braces += (said == "{") - (said == "}")
        if said == "?":
            yield _Lexeme(said, None, next(count))
        elif said == ":" and i < len(tokens) and name_of(tokens[i]) is not None and not (braces and _ends_term(before)):
            yield _Lexeme(f":{tokens[i][0]}", name_of(tokens[i]), next(count))
            said = tokens[i][0]
            i += 1
        else:
            yield _Lexeme(said, name_of(token))
        before = said


_TERM = re.compile(r"""[\w"'$?)\]}]""")


def _ends_term(token: str) -> bool:
    """Within braces a colon behind a term leads from a key to its value."""
    return _TERM.match(token[-1:]) is not None
