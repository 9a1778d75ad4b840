"""Keep the ledger: the only mutable truth, in SQL.

The store's alias and the vault are caches and bytes beside it.
"""
