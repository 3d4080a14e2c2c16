"""Where rows live: tokens of partition keys, shards of tokens.

token = token_of(parse_type("int").encode(42))      # a key of one column
token = token_of([country, name])                   # of several: each its bytes
shard_of(token, nr_shards=8, ignore_msb=12)
"""

from __future__ import annotations

from acsylla_like._native import routing_key_of, shard_of, token_of

__all__ = ["routing_key_of", "shard_of", "token_of"]
