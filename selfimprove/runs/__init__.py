"""A run: the line of its rounds, its sealed finish, and what is done with its records afterwards.

`loop.py` runs rounds until there are as many as asked for, `sealed.py` judges base and champion on the sealed problems
at the end, `verify.py` holds the records against each other, `prune.py` deletes what can be rebuilt, and `assemble.py`
puts the real machinery together. (The folder is not called `run`, because that is the function that the library hands
out.)
"""
