"""Which markers hold the partition key: told where it is certain, with a reason where it is not."""

from __future__ import annotations

import re

import pytest

from acsylla_like.key_markers import Keyed, indexes, read


@pytest.mark.parametrize(
    ("text", "names", "key", "expected"),
    [
        ("INSERT INTO t (k, v) VALUES (?, ?)", "k v", "k", (0,)),
        ("insert into ks.t (v, k) values (?, ?) IF NOT EXISTS USING TTL ?", "v k [ttl]", "k", (1,)),
        ("INSERT INTO t (v, b, a) VALUES (now(), ?, ?)", "b a", "a b", (1, 0)),
        ('INSERT INTO "T"."x y" ("K", v) VALUES (?, {1: ?, \'a:b\': :x})', "K v v", "K", (0,)),
        ("INSERT INTO \"T\" (\"K\", v) VALUES (:id, {'a': 1, 'b': :x})", "id x", "K", (0,)),
        ("INSERT INTO t (k, v) VALUES (:key, :Value)", "key value", "k", (0,)),
        ('INSERT INTO t (k, v) VALUES (:"Key", ?)', "Key v", "k", (0,)),
        ("INSERT INTO t (v, k) VALUES ({street: 'a, (b', no: ?}, ?)", "v k", "k", (1,)),
        ("SELECT * FROM t WHERE k = ?", "k", "k", (0,)),
        ("SELECT a, count(*) FROM ks.t WHERE c > ? AND k=? LIMIT ?;", "c k [limit]", "k", (1,)),
        ("SELECT CAST(a AS text) FROM t WHERE k = ? AND c IN (?, ?) ORDER BY c DESC", "k c c", "k", (0,)),
        ("SELECT v FROM t WHERE (c, d) > (?, ?) AND b = ? AND a = ? PER PARTITION LIMIT 1", "c d b a", "a b", (3, 2)),
        ("SELECT v -- WHERE x = ?\n FROM t /* ? */ WHERE k = ? AND s = 'it''s ?'", "k", "k", (0,)),
        ("UPDATE t USING TTL ? AND TIMESTAMP ? SET v = ?, w = w + ? WHERE k = ? IF v = ?", "[ttl] [timestamp] v w k v", "k", (4,)),
        ("UPDATE t SET m[?] = ?, l = ? + l WHERE k = ? AND c = ? IF EXISTS", "key(m) value(m) l k c", "k", (3,)),
        ("DELETE v, m[?] FROM ks.t USING TIMESTAMP ? WHERE k = ? IF v = ?", "key(m) [timestamp] k v", "k", (2,)),
        ("DELETE FROM t WHERE per = ? AND limit = ?", "per limit", "per limit", (0, 1)),
        ("SELECT v FROM t WHERE k = :k AND c > :x AND d < :x", "k x x", "k", (0,)),
        # ScyllaDB counts a name once.
        ("SELECT v FROM t WHERE c > :x AND d < :x AND k = :k", "x k", "k", (1,)),
    ],
)
def test_markers_of_the_key_are_found(text: str, names: str, key: str, expected: tuple[int, ...] | str) -> None:
    found = indexes(text, names.split(), key.split())
    if isinstance(expected, str):
        assert isinstance(found, str)
        assert found.startswith(expected)
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("text", "names", "reason"),
    [
        ("SELECT * FROM t", "", "k is not restricted"),
        ("SELECT * FROM t WHERE v = ? ALLOW FILTERING", "v", "k is not restricted"),
        ("SELECT * FROM t WHERE k = 5", "", "k is no marker but 5"),
        ("SELECT * FROM t WHERE k = 'a = ?'", "", r"k is no marker but 'a = \?'"),
        ("SELECT * FROM t WHERE k = f(?)", "arg0(f)", r"k is no marker but f \( \? \)"),
        ("SELECT * FROM t WHERE k = (int) ?", "k", r"k is no marker but \( int \) \?"),
        ("SELECT * FROM t WHERE k IN (?, ?)", "k k", "k is not compared by = but by IN"),
        ("SELECT * FROM t WHERE k IN ?", "in(k)", "k is not compared by = but by IN"),
        ("SELECT * FROM t WHERE k > ? ALLOW FILTERING", "k", "k is not compared by = but by >"),
        ("SELECT * FROM t WHERE token(k) > ? AND token(k) <= ?", "partition key token", "the server counts 3 markers"),
        ("SELECT * FROM t WHERE token(k) > ?", "[token]", "k is not restricted"),
        ("SELECT * FROM t WHERE k = ? AND k = ?", "k k", "k occurs twice"),
        ("SELECT * FROM t WHERE k = ?", "other", "the server names the marker of k other"),
        ("SELECT * FROM t WHERE k = :a AND c = ?", "a c d", "the server counts 3 markers, and the text has 2"),
        ("INSERT INTO t JSON ?", "[json]", "the key is inside JSON"),
        ("INSERT INTO t (k, v) VALUES (1, ?)", "v", "k is no marker but 1"),
        ("INSERT INTO t (k, v) VALUES (?)", "k", "not as many values as columns"),
        ("INSERT INTO t", "", "this INSERT has no columns"),
        ("INSERT INTO t (k", "", "this INSERT has no columns"),
        ("SELECT 1", "", "there is no table in this SELECT"),
        ("BEGIN BATCH INSERT INTO t (k) VALUES (?) APPLY BATCH", "k", "BEGIN has no partition key"),
        ("", "", "an empty text has no partition key"),
        ("UPDATE", "", "this text has no table"),
        ("SELECT * FROM t WHERE", "", "k is not restricted"),
        ("SELECT * FROM t WHERE k", "", "k is not restricted"),
        ("SELECT * FROM t WHERE k = ", "", "k is no marker but "),
    ],
)
def test_what_is_not_certain_is_not_guessed(text: str, names: str, reason: str) -> None:
    found = indexes(text, names.split(), ["k"])
    assert isinstance(found, str)
    assert re.search(reason, found), found


@pytest.mark.parametrize(
    ("text", "keyspace", "table"),
    [
        ("SELECT * FROM T WHERE k = ?", None, "t"),
        ('UPDATE "Ks"."T""1" SET v = 1 WHERE k = ?', "Ks", 'T"1'),
        ("DELETE FROM ks . t WHERE k = ?", "ks", "t"),
        ("INSERT INTO Ks.t (k) VALUES (?)", "ks", "t"),
    ],
)
def test_the_table_is_named_as_the_server_knows_it(text: str, keyspace: str | None, table: str) -> None:
    found = read(text)
    assert isinstance(found, Keyed)
    assert (found.keyspace, found.table, found.bound) == (keyspace, table, {"k": 0})
