"""Benchmark the gate: how much poison it finds, at which price, on a corpus of one's own.

It judges with the gate's own parts (view, checks, scoring, reference, store, encoder); nothing is
mocked, nothing is judged twice. Documents that anything was fitted on, documents that set a
threshold and documents that are reported are three disjoint sets, by construction (`folds`), and a
run in which they overlap fails.

Read in this order: `dataset`, `gate`, `protocols`, `measures`, `runner`, `page`.
"""
