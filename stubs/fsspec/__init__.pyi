from typing import Any

from . import core as core
