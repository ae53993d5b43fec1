"""The options that several commands take, each defined once: its name, its placeholder, its help.

A placeholder says what is typed: RUN a run's name, FILE and FOLDER paths, N a whole number, KEY=VALUE a recipe key. In
the help, options are grouped in panels: *Model*, *Problems*, *Recipe* (what a run is), *Machine* (how it is executed)
and *Output* (where it is written and what is shown); what one command alone has stands above them.

The options of the runtime are the fields of `Execution`. A command decorated with `takes_execution` has a parameter
`execution`; on the command line that parameter is the options named, or all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from selfimprove.cli.completion import engines, keys, recipes, runs, trackers

MODEL, PROBLEMS, RECIPE, MACHINE, OUTPUT = "Model", "Problems", "Recipe", "Machine", "Output"

Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's name.", autocompletion=runs)]
RunIfOne = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="The run's name; optional with --serve, or if there is only one run.",
        autocompletion=runs,
    ),
]
RunOrAll = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's name; all runs if omitted.", autocompletion=runs)
]
RunsFolder = Annotated[
    Path,
    typer.Option("--rounds-dir", metavar="FOLDER", help="Folder that holds the runs.", rich_help_panel=OUTPUT),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=OUTPUT)]

Recipe = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        metavar="RECIPE",
        help="A TOML file, or the name of a recipe that comes with the program, such as `rft`.",
        rich_help_panel=RECIPE,
        autocompletion=recipes,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="Hub id, folder, .gguf file, or `embedded:NAME` for a model installed as a package.",
        rich_help_panel=MODEL,
    ),
]
Problems = Annotated[
    str,
    typer.Option(
        "--problems", metavar="SOURCE", help="File, folder, hub dataset or `reasoning-gym:…`.", rich_help_panel=PROBLEMS
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set a recipe key: `section.key=value` or `seed=value`; repeatable.",
        rich_help_panel=RECIPE,
        autocompletion=keys,
    ),
]

Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        help="`auto`, `transformers` or `vllm`.",
        rich_help_panel=MACHINE,
        autocompletion=engines,
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", metavar="DEVICE", help="Torch device: `cpu`, `cuda`, ….", rich_help_panel=MACHINE),
]
Threads = Annotated[
    int,
    typer.Option(
        "--threads", metavar="N", help="CPU threads for the model; 0: all usable cores.", rich_help_panel=MACHINE
    ),
]
Ray = Annotated[
    str,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Sample and train on a Ray cluster: `auto` or HOST:PORT.",
        rich_help_panel=MACHINE,
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        help="Samplers on the cluster; 0: one per GPU, or one per node if there are no GPUs.",
        rich_help_panel=MACHINE,
    ),
]
CheckerWorkers = Annotated[
    int,
    typer.Option(
        "--checker-workers",
        metavar="N",
        help="Processes of the answer checker; 0: one per usable core.",
        rich_help_panel=MACHINE,
    ),
]
TrainProcesses = Annotated[
    int,
    typer.Option("--train-processes", metavar="N", help="Number of training processes.", rich_help_panel=MACHINE),
]
Sharding = Annotated[
    str,
    typer.Option(
        "--sharding",
        metavar="MODE",
        help="`none`, or `fsdp`: shard the frozen weights over the training processes.",
        rich_help_panel=MACHINE,
    ),
]
MicroTokens = Annotated[
    str,
    typer.Option(
        "--micro-tokens",
        metavar="N",
        help="Tokens per forward pass in training; `auto`: based on free memory.",
        rich_help_panel=MACHINE,
    ),
]
GradientCheckpointing = Annotated[
    str,
    typer.Option(
        "--gradient-checkpointing",
        metavar="MODE",
        help="`on` (less memory, more time), `off`, or `auto`: based on free memory.",
        rich_help_panel=MACHINE,
    ),
]
TensorParallel = Annotated[
    int,
    typer.Option("--tensor-parallel", metavar="N", help="GPUs per copy of the model (vllm).", rich_help_panel=MACHINE),
]
DataParallel = Annotated[
    int,
    typer.Option(
        "--data-parallel",
        metavar="N",
        help="Copies of the model, each on its own GPUs (vllm).",
        rich_help_panel=MACHINE,
    ),
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.", rich_help_panel=MODEL)
]
KeepModels = Annotated[
    bool, typer.Option("--keep-models", help="Keep every round's merged model on disk.", rich_help_panel=MACHINE)
]

Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="TRACKER",
        help="`tensorboard`, `wandb`, `trackio` or `mlflow`; repeatable.",
        rich_help_panel=OUTPUT,
        autocompletion=trackers,
    ),
]
EventsAsJson = Annotated[
    bool, typer.Option("--json", help="Print one event per line, as JSON.", rich_help_panel=OUTPUT)
]
Plain = Annotated[bool, typer.Option("--plain", help="Print plain lines even on a terminal.", rich_help_panel=OUTPUT)]


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a run is executed, as typed: every option of the runtime, with the runtime's own defaults.

    `parsing.read_runtime` validates it.
    """

    engine: Engine = "auto"
    device: Device = "auto"
    threads: Threads = 0
    ray: Ray = ""
    workers: Workers = 0
    checker_workers: CheckerWorkers = 0
    train_processes: TrainProcesses = 1
    sharding: Sharding = "none"
    micro_tokens: MicroTokens = "auto"
    gradient_checkpointing: GradientCheckpointing = "auto"
    tensor_parallel: TensorParallel = 1
    data_parallel: DataParallel = 1
    trust_remote_code: TrustRemoteCode = False
    keep_models: KeepModels = False


def takes_execution(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorates a command: its parameter `execution` becomes these fields of `Execution` as options, by default all."""
    fields = signature(Execution, eval_str=True).parameters
    options = [fields[name] for name in names or fields]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def expanded(**typed: Any) -> None:  # noqa: ANN401 - what was typed, each value of its option's type
            execution = Execution(**{option.name: typed.pop(option.name) for option in options})
            command(**typed, execution=execution)

        parameters: list[Parameter] = []
        for parameter in signature(command, eval_str=True).parameters.values():
            parameters += options if parameter.name == "execution" else [parameter]
        keyword_only = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]
        expanded.__signature__ = Signature(keyword_only)  # type: ignore[attr-defined]  # what typer and inspect read
        return expanded

    return decorate
