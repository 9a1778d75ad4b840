"""Read and write calibration.json: weights that `calibrate` learned, and what they rest on.

The file lies in the workspace and is used from the next ingest on, as long as the index was built
with the recipe and is judged by the checks that it was made with. A file that does not fit any more
is stale: it is said so, and the shipped weights are used. A file that is damaged or was changed by
hand is an error: whoever lowers the weight of a check opens the gate. Its digest notices accidents;
`calibrate` also writes the digest into the log, and a file that is not in there is refused, as are
weights out of bounds. Who holds the checkpoint key can still write both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ragguard.detect import reference, scoring
from ragguard.errors import IntegrityError
from ragguard.ledger import log
from ragguard.trust import strict_json
from ragguard.trust.canonical import canonical, digest, format_time
from ragguard.trust.files import replace_file
from ragguard.workspace import Workspace

FILE = "calibration.json"
VERSION = 1
ACT = "calibrate"
MAX_BYTES = 256_000_000
LEAST, MOST = 1 / 50, 5.0  # bounds of a learned weight, times the shipped one
SLACK = 1e-3  # weights are written with six digits
HINT = "Run `ragguard calibrate` again, or remove the file to judge with the shipped weights."


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Share(_Part):
    """A share in [0, 1] and its 95 % interval."""

    share: float
    interval: tuple[float, float]


class Detection(_Part):
    """What of an attack is stopped: of its documents, of campaigns one document, all documents."""

    documents: Share
    any: Share
    all: Share


class AttackFigures(_Part):
    """An attack on the reporting part, judged with the shipped and with the learned weights."""

    name: str
    family: str
    params: str = Field(description="digest of its parameters")
    documents: int
    campaigns: int
    before: Detection
    after: Detection


class Figures(_Part):
    """What was measured on documents and attacks that nothing was learned from."""

    honest: int = Field(description="honest documents of the reporting part")
    false_alarms_before: Share
    false_alarms_after: Share
    mean_before: float = Field(description="mean over attack families, by document")
    mean_after: float
    attacks: tuple[AttackFigures, ...]


class Seeds(_Part):
    """What every random draw started from."""

    split: int
    fit: int
    report: int


class Calibration(_Part):
    """The file."""

    version: Literal[1] = 1
    at: str
    rate: float = Field(gt=0, lt=0.5)
    promised_rate: float
    weights: dict[str, float]
    learned: bool = Field(description="false: nothing did better than the shipped weights")
    arriving: int = Field(description="documents of a rehearsed batch")
    settings: str = Field(description="digest of the checks in force")
    recipe: str
    seeds: Seeds
    fit: tuple[str, ...] = Field(description="digests of the documents weights were learned on")
    reference: tuple[str, ...] = Field(description="digests of those the threshold was taken from")
    report: Figures


def settings_digest(workspace: Workspace) -> str:
    """Digest of what decides which scores a document gets: the checks, and the prior weights."""
    settings = workspace.settings
    checks = scoring.active_checks(settings.checks, settings.plugins.checks)
    params = {name: f"{value!r}{check.origin}" for name, (check, value) in checks.items()}
    prior = {"weights": dict(scoring.WEIGHTS), "shares": dict(scoring.SHARES)}
    return digest({"checks": params, "prior": prior, "reference": reference.VERSION})


def dump(calibration: Calibration) -> bytes:
    """Return the file's bytes; `digest` is SHA-256 of the canonical JSON of all the rest."""
    return canonical(body_of(calibration)) + b"\n"


def body_of(calibration: Calibration) -> dict[str, Any]:
    """Return the file as docs/schemas/calibration.json describes it."""
    body = calibration.model_dump(mode="json")
    return {**body, "digest": digest(body)}


def load(data: bytes, name: str = FILE) -> Calibration:
    """Read what `dump` wrote.

    Args:
        name: What to call it in errors.

    Raises:
        IntegrityError: Damaged, changed by hand, or of another version.
    """
    body = strict_json.parse(data, what=name, max_bytes=MAX_BYTES)
    if not isinstance(body, dict) or body.get("version") != VERSION:
        raise IntegrityError(f"{name}: not a calibration of version {VERSION}", hint=HINT)
    stated = body.pop("digest", None)
    if stated != digest(body):
        raise IntegrityError(f"{name}: was changed after it was written (digest)", hint=HINT)
    try:
        return Calibration.model_validate(body)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise IntegrityError(f"{name}: {place}: {error.errors()[0]['msg']}", hint=HINT) from None


def save(workspace: Workspace, calibration: Calibration) -> None:
    """Log the act, then put the file into the workspace, whole or not at all."""
    body = {
        "act": ACT,
        "at": format_time(workspace.now),
        "digest": body_of(calibration)["digest"],
        "rate": calibration.rate,
    }
    workspace.log_act(body)
    replace_file(workspace.folder / FILE, dump(calibration))


def kept(workspace: Workspace) -> Calibration | None:
    """Return the workspace's calibration, whether it still fits or not.

    Raises:
        IntegrityError: See `load`; or `calibrate` did not write it here, or a weight is out of
            bounds.
    """
    path = workspace.folder / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IntegrityError(f"{path}: {error.strerror}") from None
    calibration = load(data, str(path))
    with workspace.ledger.reading() as conn:
        logged = [text for _, text, _ in log.entries(conn) if f'"{ACT}"' in text]
    if body_of(calibration)["digest"] not in {_digest_in(text) for text in logged}:
        raise IntegrityError(f"{path}: is none that `calibrate` wrote here (log)", hint=HINT)
    if not stale(workspace, calibration):
        _require_bounds(calibration, str(path))
    return calibration


def _digest_in(entry: str) -> str:
    """Digest that an entry of the log names; empty where it is another act, or damaged."""
    body = log.read(entry) or {}
    return str(body.get("digest", "")) if body.get("act") == ACT else ""


def _require_bounds(calibration: Calibration, name: str) -> None:
    for family, weight in calibration.weights.items():
        prior = scoring.SHARES.get(family, 1.0)
        if not LEAST * prior * (1 - SLACK) <= weight <= MOST * prior * (1 + SLACK):
            raise IntegrityError(
                f"{name}: the weight {weight} of {family} is out of bounds", hint=HINT
            )


def stale(workspace: Workspace, calibration: Calibration) -> str:
    """Tell why a calibration does not fit any more; empty when it does."""
    generation = workspace.generation()
    if generation is None or generation.recipe != calibration.recipe:
        return "the index was built with another recipe"
    if settings_digest(workspace) != calibration.settings:
        return "other checks, or checks with other parameters, are in force"
    return ""


def in_force(workspace: Workspace) -> tuple[Calibration | None, str]:
    """Return the calibration that ingest uses, and why there is none although there is a file.

    Raises:
        IntegrityError: See `load`.
    """
    calibration = kept(workspace)
    if calibration is None:
        return None, ""
    reason = stale(workspace, calibration)
    if reason:
        return None, f"{FILE} is stale: {reason}; run `ragguard calibrate`"
    return calibration, ""


def shares_of(calibration: Calibration | None) -> Mapping[str, float]:
    """Learned shares of the families of checks over the shipped ones."""
    return scoring.SHARES if calibration is None else {**scoring.SHARES, **calibration.weights}


def rounded(value: Any) -> float:
    """Return a figure with the digits that a file keeps."""
    return round(float(value), 6)
