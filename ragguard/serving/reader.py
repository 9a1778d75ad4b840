"""Open a guarded retriever in a process that has no workspace and no secret.

It needs what `ragguard publish` wrote, the log's public key, and the model. Where the workspace is
embedded the published copy is asked, where it is on a server the server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ragguard.errors import ModelDigestError, RecipeMismatchError, UsageError
from ragguard.model import Recipe
from ragguard.serving.abstain import Rules
from ragguard.serving.against_snapshot import AgainstSnapshot
from ragguard.serving.retriever import Retriever
from ragguard.store import published
from ragguard.store.qdrant import QdrantStore, connect
from ragguard.trust import canonical
from ragguard.trust.canonical import digest_bytes
from ragguard.trust.scope import Wanted

if TYPE_CHECKING:
    from ragguard.embed.encoder import Encoder
    from ragguard.embed.remote import Endpoint
    from ragguard.serving.retrieval_log import RetrievalLog
    from ragguard.trust.keys import KeyPair

SNAPSHOT = "points.snapshot"
PINS = "model.pins"  # of a model behind an endpoint; its digest is in the signed recipe
OF_SERVER = "server.json"  # in the place of a collection's settings, where a server is asked
MAX_AGE = timedelta(hours=24)


def open_reader(
    folder: Path,
    log_key: str,
    *,
    scope: Wanted | None = None,
    rules: Rules | None = None,
    receipt_key: KeyPair | None = None,
    retrievals: RetrievalLog | None = None,
    ranking: float = 0.0,
    url: str = "",
    api_key: str = "",
    alias: str = "corpus",
    max_age: timedelta = MAX_AGE,
    model: str = "",
    endpoint: Endpoint | None = None,
    encoder: Encoder | None = None,
    clock: Callable[[], datetime] = canonical.now,
) -> Retriever:
    """Open a retriever on what was published; close it to let go of its copy.

    Args:
        folder: Where `ragguard publish` writes.
        log_key: Verifier key of the log, `name+keyid+base64`, from where it is not published.
        scope: Whom it answers; see `Retriever`.
        rules: When to abstain; see `Retriever`.
        receipt_key: A key of the reader's own that signs a receipt of every answer.
        retrievals: Where its answers are logged.
        ranking: See `Retriever`; the snapshot has to be made for it.
        url: Of the Qdrant server, where the index is on one.
        api_key: For the server; one that may only read is enough.
        alias: The alias that the folder names it by.
        max_age: How old the snapshot may be; what was removed or revoked since is not known here.
        model: The model's name or folder here, where it is another than where the index was built.
        endpoint: Where the model is served, where the index was built through one.
        encoder: An open one, instead.

    Raises:
        UsageError: Nothing is published there, or without a snapshot.
        ExpiredError: The snapshot is too old.
        IntegrityError and those below it: It is not what the log's key signed.
        ModelDigestError, RecipeMismatchError: The model is not the index's.
        StoreError: The index cannot be opened.
    """
    name = published.aliases(folder).get(alias, "")
    if not name or Path(name).name != name:
        raise UsageError(
            f"{folder}: nothing is published there as {alias!r}",
            hint="`ragguard publish` publishes.",
        )
    path = folder / name / SNAPSHOT
    if not url and (folder / name / OF_SERVER).is_file():
        raise UsageError(
            f"{folder}: what is published there is proved by a snapshot, and is on a server",
            hint="Name the server: --url, or url=…",
        )
    if not url:
        client = published.open_published(folder)
        store = QdrantStore(client)
        name = store.aliases().get(alias, "")  # it may have moved meanwhile
        path = folder / name / SNAPSHOT
    else:
        store = QdrantStore(connect(url, api_key or None))
    try:
        evidence = AgainstSnapshot(
            path, log_key, max_age, collection="" if url else name, clock=clock
        )
        recipe = evidence.snapshot.head.recipe
        pins = path.with_name(PINS)
        query_encoder = encoder if encoder is not None else _encoder(recipe, model, endpoint, pins)
        check_vectors(query_encoder.recipe, recipe)
        return Retriever(
            evidence,
            store,
            query_encoder,
            scope=scope,
            rules=rules,
            receipt_key=receipt_key,
            retrievals=retrievals,
            ranking=ranking,
            clock=clock,
            close=store.close,
        )
    except BaseException:
        store.close()
        raise


def _encoder(recipe: Recipe, model: str, endpoint: Endpoint | None, pins: Path) -> Encoder:
    from ragguard.embed.encoder import REMOTE, open_encoder, run_as

    kept: bytes | None = None
    if recipe.pooling == REMOTE:
        if endpoint is None:
            raise UsageError(
                f"model {recipe.model!r}: the index was built through an endpoint",
                hint="Name one: endpoint=…, or RAGGUARD_MODEL__URL on the command line.",
            )
        endpoint = replace(endpoint, max_tokens=recipe.max_tokens)
        try:
            kept = pins.read_bytes()
        except OSError as error:
            raise UsageError(
                f"{pins}: {error.strerror}", hint="`ragguard publish` writes it."
            ) from None
        if digest_bytes(kept) != recipe.model_digest:
            raise ModelDigestError(
                f"{pins}: not what the snapshot's model was pinned by",
                hint="Publish again; if it stays so, find out who changed it.",
            )
    else:
        endpoint = None
    runtime, pooling = run_as(recipe.pooling)
    # Sizes of chunks are no matter of questions.
    return open_encoder(
        model or recipe.model,
        runtime=runtime,
        pooling=pooling,
        size=1000,
        overlap=100,
        endpoint=endpoint,
        pins=kept,
    )


def check_vectors(mine: Recipe, built: Recipe) -> None:
    """Refuse a model that gives other vectors than the index was built with.

    Raises:
        ModelDigestError: Its files are others.
        RecipeMismatchError: It is used otherwise.
    """
    if mine.model_digest != built.model_digest:
        raise ModelDigestError(
            f"model {mine.model!r}: its files are not those the index was built with (sha256 "
            f"{mine.model_digest[:12]}…, then {built.model_digest[:12]}…)",
            hint=f"Get {built.model!r} of that digest, or name its folder.",
        )
    names = ("pooling", "normalised", "max_tokens", "dimensions")
    a, b = asdict(mine), asdict(built)
    if odd := [f"{k}: here {a[k]!r}, index {b[k]!r}" for k in names if a[k] != b[k]]:
        raise RecipeMismatchError(f"index: built with another recipe ({'; '.join(odd)})")
