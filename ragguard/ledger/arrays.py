"""Read and write arrays (npy) as if anybody had written them.

`numpy.load` raises whatever it trips over in a header, makes room for as many numbers as the header
claims, and takes archives too. Here the header must be of the plain kind, and the bytes behind it
just as many as it says.
"""

from __future__ import annotations

import io
import math
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ragguard.errors import LedgerError


def dump_array(array: NDArray[Any]) -> bytes:
    """Return an array as bytes (npy)."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def load_array(data: bytes) -> NDArray[Any]:
    """Read what `dump_array` wrote.

    Raises:
        LedgerError: Anything else.
    """
    file = io.BytesIO(data)
    try:
        if npy.read_magic(file) != (1, 0):
            raise ValueError("of another version")
        shape, fortran, kind = npy.read_array_header_1_0(file)
        rest = data[file.tell() :]
        if kind.hasobject or len(rest) != math.prod(shape) * kind.itemsize:
            raise ValueError(f"{len(rest)} bytes for {shape} of {kind}")
        flat = np.frombuffer(rest, kind) if rest else np.empty(0, kind)
        return flat.reshape(shape, order="F" if fortran else "C").copy()
    except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, OverflowError) as error:
        raise LedgerError(f"array: cannot be read ({type(error).__name__})") from None
