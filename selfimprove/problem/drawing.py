"""A process that draws a block of reasoning-gym items under the hash seed that it was started with (`gym`)."""

from __future__ import annotations

import json
import os
import sys

from selfimprove.problem.gym import BLOCK, made_dataset, packed


def main() -> None:
    """Write a block of items of the task, the parameters and the seed that were given, one a line."""
    task, params, seed = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # some generators print while they work
    dataset = made_dataset(task, json.loads(params), int(seed))
    for index in range(BLOCK):
        out.write(f"{packed(dataset[index])}\n")
        out.flush()


if __name__ == "__main__":
    main()
