"""SQL compared by its result in sqlite. The problem's answer is `{"tables": …, "query": …}`, both of them SQL."""

from __future__ import annotations

import json
import re
import sqlite3

from selfimprove.problem import Problem

FENCED = re.compile(r"```(?:sql)?\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)
READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
MOST_ROWS = 10_000


def check(completion: str, problem: Problem) -> bool:
    """Whether the query of the last fenced block, or else the whole text, gives the rows of the reference's query.

    The order of rows counts where the reference orders them. A query that sqlite refuses is wrong.
    """
    reference = json.loads(problem.answer or "{}")
    blocks = FENCED.findall(completion)
    written = (blocks[-1] if blocks else completion).strip()
    wanted = rows(reference["tables"], reference["query"])
    try:
        found = rows(reference["tables"], written)
    except (sqlite3.Error, sqlite3.Warning):
        return False
    if "order by" in reference["query"].lower():
        return found == wanted
    return sorted(found, key=repr) == sorted(wanted, key=repr)


def rows(tables: str, query: str) -> list[tuple[object, ...]]:
    """The rows that a query reads from these tables, in a database of its own in memory; it may do nothing but read."""
    database = sqlite3.connect(":memory:")
    try:
        database.executescript(tables)
        database.set_authorizer(allowed)
        return database.execute(query).fetchmany(MOST_ROWS)
    finally:
        database.close()


def allowed(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """sqlite's question before each step of a statement: reading is allowed, and functions that stay inside."""
    calls = action == sqlite3.SQLITE_FUNCTION and second != "load_extension"
    return sqlite3.SQLITE_OK if action in READING or calls else sqlite3.SQLITE_DENY
