"""Arrays come back as they were written, and whatever else stands there is refused by name."""

from __future__ import annotations

import io

import numpy as np
import pytest

from ragguard.errors import LedgerError
from ragguard.ledger.arrays import dump_array, load_array
from ragguard.ledger.writer import load_vectors


@pytest.mark.parametrize("shape", [(3, 2), (1, 4), (0, 4), (2, 0), (5,), ()], ids=str)
def test_arrays_are_read_as_they_were_written(shape: tuple[int, ...]) -> None:
    numbers = np.arange(np.prod(shape, dtype=int), dtype=np.uint64).reshape(shape)
    for array in (numbers, np.ones(shape, np.float32)):
        for made in (array, np.asfortranarray(array)):
            again = load_array(dump_array(made))
            assert (again.shape, again.dtype) == (made.shape, array.dtype)
            assert (again == made).all()
            assert again.flags.writeable


WHOLE = dump_array(np.ones((2, 3), np.float32))
ARCHIVE = io.BytesIO()
np.savez(ARCHIVE, a=np.ones(2))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        WHOLE[:-1],
        WHOLE + b"x",
        WHOLE[:12],
        WHOLE.replace(b"False", b"Fa{lse"),
        WHOLE.replace(b"False", b'"""  '),
        WHOLE.replace(b"(2, 3)", b"(9, 9)"),
        WHOLE.replace(b"(2, 3), }         ", b"(9999999999999,), }"[:18] + b""),
        WHOLE.replace(b"<f4", b"|O "),
        WHOLE.replace(b"<f4", b"<f3"),
        WHOLE.replace(b"NUMPY\x01", b"NUMPY\x03"),
        ARCHIVE.getvalue(),
    ],
    ids=lambda data: str(data[10:80]),
)
def test_bytes_that_are_no_array_are_refused(data: bytes) -> None:
    assert data != WHOLE
    with pytest.raises(LedgerError, match="array"):
        load_array(data)


@pytest.mark.parametrize("array", [np.ones((2, 3)), np.ones(3, np.float32)], ids=str)
def test_vectors_are_a_matrix_of_float32(array: np.ndarray) -> None:
    with pytest.raises(LedgerError, match="in place of a matrix"):
        load_vectors(dump_array(array))
