"""`selfimprove doctor`: whether a run would work here, and work well, told before it is started.

A check is a function that looks at one thing and returns one `Finding`: ok, a warning (it works, but slower or less
surely than it could) or an error (it will not work), with what was found and what to do. No check depends on another:
what several need, problems and model, is read once (`subject.py`), and where it can't be had its own check says why.
Checks run one after the other, the quick ones first, and each finding is shown at once.

Nothing is written but what the run would write to the model cache first: the converted model. Weights are not
downloaded. `machine.py` looks at packages and devices, `resources.py` at memory, disk, cache and network, `content.py`
at problems, answers and model. `environment.py` is what `selfimprove env` tells of programs and machine.

A check that raises something unforeseen is an error line too and hides no other: the doctor is called when things are
broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from selfimprove.doctor import content, machine, resources
from selfimprove.doctor.findings import Finding, Level, error
from selfimprove.doctor.subject import Subject
from selfimprove.errors import SelfImproveError

__all__ = ["Finding", "Level", "Subject", "examine", "sampled"]

_REPORT_IT = "If the message doesn't help, it is a bug in this program: please report it."


def examine(subject: Subject) -> Iterator[Finding]:
    """What each check found, in the order in which they are made."""
    yield from map(_made, _checks(subject))


def sampled(subject: Subject, count: int) -> Finding:
    """What samples of the model on `count` training problems say of the recipe; loads the model, and takes a while."""
    return _made(("samples", partial(content.samples, subject, count)))


def _checks(subject: Subject) -> list[tuple[str, Callable[[], Finding]]]:
    of_runtime = {
        "torch": machine.torch_device,
        "vllm": machine.vllm,
        "compiler": machine.compiler,
        "threads": machine.threads,
    }
    of_subject = {
        **({"recipe": content.recipe} if subject.why else {}),
        "hub": resources.hub,
        "model cache": resources.model_cache,
        "model": content.model,
        "problems": content.problems,
        "power": content.detectable,
        "memory": resources.memory,
        "disk": resources.disk,
        "template": content.template,
        "targets": content.targets,
        "decoding": content.decoding,
        "merge": content.merge,
        "checker": content.references,
    }
    return [
        ("packages", machine.packages),
        *((name, partial(check, subject.runtime)) for name, check in of_runtime.items()),
        ("energy", machine.energy),
        *((name, partial(check, subject)) for name, check in of_subject.items()),
    ]


def _made(named: tuple[str, Callable[[], Finding]]) -> Finding:
    name, check = named
    try:
        return check()
    except SelfImproveError as cause:
        return error(name, cause.message, cause.hint)
    except Exception as cause:  # noqa: BLE001 - a broken installation fails in any way, and hides no other check
        return error(name, f"{type(cause).__name__}: {cause}", _REPORT_IT)
