"""The model that a benchmark measures, and what it is asked: the embedded model and made-up prompts, or your own.

python -m benchmarks --only engines --model model.gguf --problems gsm8k.jsonl --prompt '{question} Step by step.'
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from selfimprove.problem import Problem, load_problems
from selfimprove.recipe import EMBEDDED, Model, Problems
from selfimprove.sampling import Decoding, Request, Tokenizer, derive_seed, render_prompt

if TYPE_CHECKING:
    from selfimprove.models import ModelFolder

DRAWN = Decoding(0.6, 1.0, 0)
"""The recipe's temperature, without top-p and top-k."""

EXAMPLES = "\n".join(
    f"Question: What is {a} + {b}?\nAnswer: {a} + {b} = {a + b}" for a, b in ((3, 4), (12, 9), (7, 15))
)
CHAT = "Tell me in a few sentences how to plan a day in a town I have never been to with {n} euros, if it rains"
SUMS = "reasoning-gym:sums"


@dataclass(frozen=True, kw_only=True)
class Work:
    """A model by the name that a recipe has for it, a source of problems, and their prompt.

    Without `problems` the prompts are made up: sums, plain chat, and sums after few-shot examples.
    """

    model: str = EMBEDDED
    problems: str = ""
    prompt: str = "{question}"

    def folder(self) -> ModelFolder:
        """The model in bfloat16, converted if need be."""
        from selfimprove.models import default_cache, resolve_model  # imports torch

        return resolve_model(Model(name=self.model), default_cache())

    def drawn(self, count: int) -> Sequence[Problem]:
        """`count` problems of the source, or generated sums without one; always the same."""
        source = self.problems or SUMS
        return load_problems(Problems(train=source, train_size=count, heldout_size=1, sealed_size=1)).train

    def requests(self, tokenizer: Tokenizer, count: int, limit: int) -> list[Request]:
        """`count` requests of at most `limit` new tokens, always the same."""
        asked = [problem.question for problem in self.drawn(count)] if self.problems else map(_mixed, range(count))
        return [
            Request(
                key=f"r{n}",
                sample=0,
                prompt_ids=render_prompt(tokenizer, "", self.prompt, question),
                max_new_tokens=limit,
                seed=derive_seed("b", n),
                decoding=DRAWN,
            )
            for n, question in enumerate(asked)
        ]

    def described(self) -> str:
        """What is asked, for a row of the table."""
        return f"prompts from {Path(self.problems).name}" if self.problems else "prompts of mixed length"


def _mixed(n: int) -> str:
    """Half are sums, a quarter chat, a quarter sums after few-shot examples."""
    question = f"What is {n * 7 % 50 + 3} + {n % 13} * {n % 5 + 2}?"
    match n % 4:
        case 2:
            return CHAT.format(n=n) + " and I want to see art" * (n % 9) + "?"
        case 3:
            return f"Answer the last question as in the examples.\n{EXAMPLES}\nQuestion: {question}"
        case _:
            return question
