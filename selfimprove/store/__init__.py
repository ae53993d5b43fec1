"""A run's folder: the only modules that know its files.

`journal.py` is the contract of resuming, `round_folder.py` one round of it, `durable.py` writes files that are whole or
absent, `records.py` and `rows.py` have the records as values, `names.py` which runs there are.
"""
