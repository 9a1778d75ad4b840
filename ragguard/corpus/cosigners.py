"""List everybody who signed a manifest: those whom its source counts, and whoever else did.

A reviewer who put a signature beside the source's own has vouched for the documents, and cannot be
the second pair of eyes on them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ragguard.errors import IntegrityError
from ragguard.trust import dsse
from ragguard.workspace import Workspace

MAX_BYTES = 1 << 30  # it was accepted once, under the limits of that day


def signed_by(
    workspace: Workspace, envelope: str, listed: Sequence[Sequence[str]]
) -> list[tuple[str, str]]:
    """Key id and principal of all whose signature on a manifest verifies.

    Args:
        envelope: Vault digest of the manifest's envelope.
        listed: Key id and principal of those that were counted when it was accepted.

    Raises:
        VaultError: The envelope is gone or damaged.
    """
    signers = {str(keyid): str(principal) for keyid, principal in listed}
    data = workspace.vault.get(envelope)
    try:
        parsed = dsse.parse_envelope(data, max_bytes=MAX_BYTES)
        keys = workspace.root.keys
        result = dsse.verify(parsed, keys, payload_type=dsse.IN_TOTO, threshold=1)
    except IntegrityError:  # the record of an adoption, which nobody signs
        return list(signers.items())
    signers |= {key.keyid: key.principal for key in result.signed}
    return list(signers.items())
