"""Problems: what a model is trained and judged on, read from anywhere into three sets that share nothing.

A problem is a question, a final answer if one is known, and an identity. Identity matters most: training on a problem
that is judged on makes every later number worthless, and small models are asked problems from pools so small that two
random draws coincide. So each set is made of distinct problems, and no problem stands in two sets, whichever files or
generators they come from. A file's problem is known by the normal form of its question
(`wording`), a generated one by what is asked, not by its sentence (`generated`).

A run starts on good rows or not at all: the first bad row of a file is named with its line (`files`, `fields`).
What is read is put into an order that depends on the seed and the problems alone (`distinct`), then split
(`split`, `sizes`).
"""

from __future__ import annotations

from selfimprove.problem.sets import ProblemSets
from selfimprove.problem.split import fresh_heldout, load_problems, problems_of
from selfimprove.problem.values import Problem
from selfimprove.problem.wording import normal_form

__all__ = ["Problem", "ProblemSets", "fresh_heldout", "load_problems", "normal_form", "problems_of"]
