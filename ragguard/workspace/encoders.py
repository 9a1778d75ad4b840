"""Open the encoder of a workspace: a model on this machine, or one that an endpoint serves.

What pins an endpoint's model (`embed.remote`) is in the vault, under the model digest of the recipe
that the ledger has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ragguard.config import ModelSettings
from ragguard.ledger import commits
from ragguard.trust.plugins import find

if TYPE_CHECKING:
    from ragguard.embed.encoder import Encoder
    from ragguard.embed.remote import Endpoint
    from ragguard.workspace import Workspace


def open_own(workspace: Workspace) -> Encoder:
    """Load the model of the settings; an endpoint's under the pins of the serving generation.

    Raises:
        EncodeError, ModelDigestError, VaultError: See `encoder.open_encoder`; no pins in the vault.
    """
    model, generation, pins = workspace.settings.model, workspace.generation(), None
    if model.url and generation is not None and not workspace.pin_anew:
        with workspace.ledger.reading() as conn:
            built = commits.recipe_body(conn, generation.recipe)
        pins = pins_of(workspace, built) if built["model"] == model.name else None
    return open_named(workspace, model.name, pins)


def open_named(
    workspace: Workspace, name: str, pins: bytes | None, built: Mapping[str, Any] | None = None
) -> Encoder:
    """Load a model, or reach it where the settings have an endpoint.

    Args:
        pins: See `pins_of`; `None`: an endpoint's model is pinned now, and kept in the vault.
        built: Recipe that says how it is run where the settings may be of another model.

    Raises:
        EncodeError, ModelDigestError: See `encoder.open_encoder`.
    """
    from ragguard.embed import encoder
    from ragguard.parse.document import parser_of
    from ragguard.parse.plugged import parsers_of

    model, chunks = workspace.settings.model, workspace.settings.chunks
    plugins = workspace.settings.plugins
    parser = parser_of(workspace.settings.parse) + parsers_of(plugins.parsers)
    if plugins.encoder and name == model.name:
        from ragguard.embed.plugged import PluginEncoder

        plugin = find("encoders", plugins.encoder)
        return PluginEncoder(plugin, name, chunks.size, chunks.overlap, parser)
    runtime, endpoint = model.runtime, endpoint_of(model)
    pooling: str = model.pooling
    if built is not None:
        runtime, pooling = encoder.run_as(built["pooling"], runtime)
        endpoint = endpoint if built["pooling"] == encoder.REMOTE else None
    named_encoder = encoder.open_encoder(
        name,
        runtime=runtime,
        pooling=pooling,
        size=chunks.size,
        overlap=chunks.overlap,
        offline=model.offline,
        parser=parser,
        endpoint=endpoint,
        pins=pins,
    )
    if named_encoder.pins and pins is None:
        workspace.vault.put(named_encoder.pins)
    return named_encoder


def endpoint_of(model: ModelSettings) -> Endpoint | None:
    """Return the endpoint that settings name, if they do."""
    from ragguard.embed.remote import Endpoint

    if not model.url:
        return None
    return Endpoint(
        model.url,
        model.api_key,
        batch=model.batch,
        per_minute=model.per_minute,
        timeout_s=model.timeout_s,
        max_tokens=model.max_tokens,
    )


def pins_of(workspace: Workspace, recipe: Mapping[str, Any]) -> bytes | None:
    """Return what pins an endpoint's model; `None` where the recipe is of a model with files.

    Raises:
        VaultError: It is not in the vault, or is other bytes.
    """
    from ragguard.embed.encoder import REMOTE

    return workspace.vault.get(recipe["model_digest"]) if recipe["pooling"] == REMOTE else None
