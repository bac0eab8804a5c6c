"""Options that several commands share, and those of the launchers: their types, names and help."""

from pathlib import Path
from typing import Annotated, Any

import typer

from peftcli.cli import completion


def parse_path(text: str | Path) -> Path:
    """Read a path. Raises the library's BadParameter, which names the option, for an empty one."""
    # A shell variable that is not set gives one, and `Path` would take it for the working folder.
    if not str(text):
        raise typer.BadParameter("it is empty: a path, or . for the working folder")
    return Path(text)


def parse_name(text: str) -> str:
    """Read a name. Raises the library's BadParameter, which names the option, for an empty one."""
    if not text:
        raise typer.BadParameter("it is empty")
    return text


PATH: dict[str, Any] = {"parser": parse_path, "metavar": "PATH"}
NAME: dict[str, Any] = {"parser": parse_name, "metavar": "TEXT"}

# A type is shared where two commands take the same option with the same words; what one command alone takes stands there.
Output = Annotated[Path, typer.Option(help="The folder of the records.", **PATH)]
DataDir = Annotated[
    Path | None,
    typer.Option(envvar="PEFTCLI_DATA_DIR", help="A folder laid out like the hub: nyu-mll/glue is DIR/glue.", **PATH),
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a setting or recipe key.", autocompletion=completion.settings
    ),
]
Only = Annotated[
    list[str],
    typer.Option(metavar="KEY=VALUE", help="Only these runs, e.g. task=rte.", autocompletion=completion.only),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A recipe's file or name, e.g. transferability/table1.",
        autocompletion=completion.recipes,
    ),
]
OptionalRecipe = Annotated[
    str | None,
    typer.Argument(metavar="[RECIPE]", help="A recipe's file or name.", autocompletion=completion.recipes),
]
Device = Annotated[
    str | None,
    typer.Option(help="cpu or cuda.  [cuda where there is a GPU]", autocompletion=completion.of("cpu", "cuda")),
]
GpuMemory = Annotated[int | None, typer.Option(min=1, metavar="GB", help="A GPU's memory, where there is none here.")]
CohortSize = Annotated[int | None, typer.Option(min=1, help="Runs trained together.")]
AllowOtherData = Annotated[bool, typer.Option(help="Accept a data set whose sizes differ; recorded.")]
Track = Annotated[
    list[str],
    typer.Option(
        metavar="wandb|mlflow|trackio|tensorboard",
        help="Track runs with it; may be given several times.",
        autocompletion=completion.trackers,
    ),
]

# Launchers. None means that the option was not given: `launch.choose` refuses one that its launcher does not read.
Launcher = Annotated[
    str,
    typer.Option(
        help="local, accelerate (processes of this machine) or slurm.",
        autocompletion=completion.of(*completion.LAUNCHERS),
    ),
]
Processes = Annotated[int | None, typer.Option(min=1, help="Processes (slurm: of a job).  [one a GPU]")]
ProcessesPerRun = Annotated[int | None, typer.Option(min=1, help="Processes that train a run together.")]
Partition = Annotated[str | None, typer.Option(help="slurm: the partition.")]
Walltime = Annotated[str | None, typer.Option("--time", metavar="TIME", help="A job's walltime, e.g. 4:00:00.")]
Gpus = Annotated[int | None, typer.Option(min=0, help="slurm: GPUs of a job.")]
MaxJobs = Annotated[int | None, typer.Option(min=1, help="slurm: jobs at most.  [16]")]
Account = Annotated[str | None, typer.Option(help="slurm: the account.")]
Slurm = Annotated[list[str], typer.Option(metavar="KEY=VALUE", help="slurm: any option of sbatch.")]
Detach = Annotated[bool, typer.Option("--detach", help="slurm: submit and do not wait.")]

# Saved deltas.
DeltaFile = Annotated[
    Path,
    typer.Argument(
        metavar="DELTA", parser=parse_path, help="A file that --save-delta wrote.", autocompletion=completion.deltas
    ),
]
DeltaTask = Annotated[
    str | None, typer.Option(help="The delta's own task, for a check.", autocompletion=completion.tasks)
]
Base = Annotated[
    str | None,
    typer.Option(
        help="The base, where the delta's name for it is not a hub id.", autocompletion=completion.models, **NAME
    ),
]
