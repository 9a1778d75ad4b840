from collections.abc import Sequence
from typing import Any

class MinHash:
    hashvalues: Any
    @classmethod
    def bulk(cls, b: Sequence[Sequence[bytes]], **kwargs: Any) -> list[MinHash]: ...
