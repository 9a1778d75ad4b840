"""Write a chain of custody as W3C PROV-JSON (https://www.w3.org/submissions/prov-json/).

Documents, their manifest and their points are entities; commits are activities; signers, reviewers
and whoever acted are agents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

PREFIXES = {"rg": "urn:ragguard:", "prov": "http://www.w3.org/ns/prov#"}


def prov_json(chains: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Write PROV-JSON of chains of custody.

    Returns:
        An object with prefix, entity, activity, agent, and the relations between them.
    """
    kinds = ("entity", "activity", "agent", "wasGeneratedBy", "wasDerivedFrom")
    relations = ("used", "wasAttributedTo", "wasAssociatedWith")
    prov: dict[str, Any] = {kind: {} for kind in (*kinds, *relations)}
    for chain in chains:
        _add(prov, chain)
    return {"prefix": dict(PREFIXES), **{k: v for k, v in prov.items() if v}}


def _add(prov: dict[str, Any], chain: Mapping[str, Any]) -> None:
    label = f"{chain['source']}/{chain['document']}"
    manifest = f"rg:manifest-{chain['manifest']['digest']}"
    document = f"rg:document-{quote(label, safe='')}-{chain['digest'][:16]}"
    prov["entity"][manifest] = {"prov:type": "rg:manifest"}
    prov["entity"][document] = {
        "prov:type": "rg:document",
        "prov:label": label,
        "rg:sha256": chain["digest"],
    }
    _relate(
        prov,
        "wasDerivedFrom",
        {"prov:generatedEntity": document, "prov:usedEntity": manifest},
    )
    for _, principal in chain["manifest"]["signers"]:
        who = {"prov:entity": manifest, "prov:agent": _agent(prov, principal)}
        _relate(prov, "wasAttributedTo", who)
    for number, act in enumerate(chain["proof"].get("acts", ())):
        name = f"rg:commit-{act['commit']}"
        prov["activity"][name] = {
            "prov:type": f"rg:{act['act']}",
            "prov:startTime": act["at"],
            "prov:endTime": act["at"],
        }
        by = {"prov:activity": name, "prov:agent": _agent(prov, act["actor"])}
        _relate(prov, "wasAssociatedWith", by)
        if number:  # a release, a cut-over: it moved what was there
            _relate(prov, "used", {"prov:activity": name, "prov:entity": document})
        else:
            _relate(prov, "used", {"prov:activity": name, "prov:entity": manifest})
            _relate(prov, "wasGeneratedBy", {"prov:entity": document, "prov:activity": name})
    for point in chain["points"]:
        name = f"rg:point-{point['point']}"
        prov["entity"][name] = {"prov:type": "rg:point", "rg:sealed": point["sealed"]}
        from_ = {"prov:generatedEntity": name, "prov:usedEntity": document}
        _relate(prov, "wasDerivedFrom", from_)


def _agent(prov: dict[str, Any], principal: str) -> str:
    name = f"rg:principal-{quote(principal, safe='')}"
    prov["agent"][name] = {"prov:type": "rg:principal", "prov:label": principal}
    return name


def _relate(prov: dict[str, Any], kind: str, body: Mapping[str, str]) -> None:
    if dict(body) not in prov[kind].values():
        prov[kind][f"_:{kind}{len(prov[kind]) + 1}"] = dict(body)
