"""Choose which queries take part in a trial, by the query, the share and a salt.

The same query falls on the same side in every process and on every machine, and whoever took part
at a smaller share takes part at a larger one. Source: Kohavi, Longbotham, Sommerfield, Henne,
"Controlled experiments on the web", DMKD 18 (2009), section 4.1.2 (hash and partition).
"""

from __future__ import annotations

import unicodedata
from hashlib import sha256

_BITS = 64


def plain_query(query: str) -> str:
    """Fold a query as the split sees it: case, spaces and Unicode form make no other."""
    return " ".join(unicodedata.normalize("NFKC", query).casefold().split())


def takes_part(query: str, share: float, salt: str) -> bool:
    """Tell whether a query is among the share of all queries that takes part.

    Args:
        query: Any text.
        share: Share of the queries, in [0, 1].
        salt: Of the trial: another salt picks other queries.

    Returns:
        True for the share of distinct queries whose digest is low enough.
    """
    return _place(query, salt) < int(share * 2**_BITS)


def query_digest(query: str) -> str:
    """Return the sHA-256, hex, of a query as the split sees it."""
    return sha256(_bytes(plain_query(query))).hexdigest()


def _place(query: str, salt: str) -> int:
    """Tell where between 0 and 2**64 a query stands."""
    # The salt is hashed first, so that no salt and query run into one another.
    data = sha256(_bytes(salt)).digest() + _bytes(plain_query(query))
    return int.from_bytes(sha256(data).digest()[: _BITS // 8], "big")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
