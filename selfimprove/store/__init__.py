"""A run's folder: the only modules that know its files.

`journal.py` is the contract of resuming, `durable.py` writes files that are whole or absent, `records.py` has the
shapes of the records that are read back.
"""
