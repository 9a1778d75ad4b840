"""Export the trusted baseline off this host, verify it as a stranger, restore from it.

- `write`: the clean set of a commit, its manifests, decisions, trust roots and the log, a folder.
- `verify`: that folder verified with public keys alone; needs no workspace, no model, no engine.
- `decisions`: the reviewers' decisions in it, likewise. `denials`: what they rejected, out and in.
- `restore_vault`: what the vault lost, put back from it.
- `restore_workspace`: a new workspace from it, after the old one is lost.

Nothing is imported here, so that verifying does not load what only writing needs. The format is in
docs/formats.md, the reasons are in docs/adr/0019-export.md.
"""
