"""
Which shard a key belongs to, the same for every caller on every machine.

Rendezvous hashing, as between the connections of a pool: the shard whose hash together with the key
is the highest.  One more shard takes its share of the keys from all others, and moves no other key.
The hash is another one, though.  Within a pool it is Python's own, which is fast, and differs from
process to process; callers on several machines must agree, and not all of them are Python: SHA-256.

@since: 0.1.0
"""

from __future__ import annotations

from hashlib import sha256

__all__ = ["shard_of"]


def shard_of(key: str | bytes | int, shards: int) -> int:
    """
    Find the shard of a key.

    The shard with the highest SHA-256 digest of C{<number in decimal> <key>}, where C{<key>} is
    UTF-8 for a C{str}, and decimal for an C{int}.

    @param shards: how many there are.
    @return: a number from 0 to C{shards - 1}.
    @since: 0.1.0
    """
    octets = key if isinstance(key, bytes) else str(key).encode()
    return max(range(shards), key=lambda shard: sha256(b"%d %b" % (shard, octets)).digest())
