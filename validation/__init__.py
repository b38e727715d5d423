"""Measurements against outside truths: each module is a script, ``python -m validation.NAME --help``.

Every script prints a table, writes ``validation/results/NAME.json`` and has ``--quick``.
"""
