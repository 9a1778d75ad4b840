"""A chain of custody as W3C PROV-JSON (https://www.w3.org/submissions/prov-json/).

Documents, their manifest and their points are entities; commits are activities; signers, reviewers
and whoever acted are agents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

PREFIXES = {"rg": "urn:ragguard:", "prov": "http://www.w3.org/ns/prov#"}


def prov_json(chains: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """PROV-JSON of chains of custody.

    Returns:
        An object with prefix, entity, activity, agent, and the relations between them.
    """
    kinds = ("entity", "activity", "agent", "wasGeneratedBy", "wasDerivedFrom")
    relations = ("used", "wasAttributedTo", "wasAssociatedWith")
    made: dict[str, Any] = {kind: {} for kind in (*kinds, *relations)}
    for chain in chains:
        _add(made, chain)
    return {"prefix": dict(PREFIXES), **{k: v for k, v in made.items() if v}}


def _add(made: dict[str, Any], chain: Mapping[str, Any]) -> None:
    label = f"{chain['source']}/{chain['document']}"
    manifest = f"rg:manifest-{chain['manifest']['digest']}"
    document = f"rg:document-{quote(label, safe='')}-{chain['digest'][:16]}"
    made["entity"][manifest] = {"prov:type": "rg:manifest"}
    made["entity"][document] = {
        "prov:type": "rg:document",
        "prov:label": label,
        "rg:sha256": chain["digest"],
    }
    _relate(
        made,
        "wasDerivedFrom",
        {"prov:generatedEntity": document, "prov:usedEntity": manifest},
    )
    for _, principal in chain["manifest"]["signers"]:
        who = {"prov:entity": manifest, "prov:agent": _agent(made, principal)}
        _relate(made, "wasAttributedTo", who)
    for number, act in enumerate(chain["proof"].get("acts", ())):
        name = f"rg:commit-{act['commit']}"
        made["activity"][name] = {
            "prov:type": f"rg:{act['act']}",
            "prov:startTime": act["at"],
            "prov:endTime": act["at"],
        }
        by = {"prov:activity": name, "prov:agent": _agent(made, act["actor"])}
        _relate(made, "wasAssociatedWith", by)
        if number:  # a release, a cut-over: it moved what was there
            _relate(made, "used", {"prov:activity": name, "prov:entity": document})
        else:
            _relate(made, "used", {"prov:activity": name, "prov:entity": manifest})
            _relate(made, "wasGeneratedBy", {"prov:entity": document, "prov:activity": name})
    for point in chain["points"]:
        name = f"rg:point-{point['point']}"
        made["entity"][name] = {"prov:type": "rg:point", "rg:sealed": point["sealed"]}
        from_ = {"prov:generatedEntity": name, "prov:usedEntity": document}
        _relate(made, "wasDerivedFrom", from_)


def _agent(made: dict[str, Any], principal: str) -> str:
    name = f"rg:principal-{quote(principal, safe='')}"
    made["agent"][name] = {"prov:type": "rg:principal", "prov:label": principal}
    return name


def _relate(made: dict[str, Any], kind: str, body: Mapping[str, str]) -> None:
    if dict(body) not in made[kind].values():
        made[kind][f"_:{kind}{len(made[kind]) + 1}"] = dict(body)
