"""Texts made to be slow: a test of one fails when it hangs, not when the machine is busy.

A second or two is what they take. Work that grows with the square of such a text takes an hour.
"""

import pytest

ends = pytest.mark.timeout(150)
