"""Where a task's rows are: the hub and its local caches, a folder laid out like it, NLTK's data, or our own grammar."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli.data import treebank
from peftcli.errors import UserError, unknown
from peftcli.models import hub
from peftcli.tasks import demo, own_files
from peftcli.tasks.registry import Task

if TYPE_CHECKING:
    import pyarrow as pa

DATA_DIR = "PEFTCLI_DATA_DIR"
SHARD = re.compile(r"(?P<split>.+)-[0-9]{5}-of-(?P<count>[0-9]{5})(-[0-9a-f]+)?\.parquet")
# What the hub made of data sets whose own files only a script could read, which no client runs any more.
CONVERTED = {"aps/super_glue": "refs/convert/parquet", "eriktks/conll2003": "refs/convert/parquet"}

Tables = dict[str, "pa.Table"]


def data_folder(given: Path | None) -> Path | None:
    """Give the data folder given, else that of PEFTCLI_DATA_DIR, else None. Raises UserError where it is not there."""
    found = given or (Path(os.environ[DATA_DIR]) if os.environ.get(DATA_DIR) else None)
    if found is None:
        return None
    folder = found.expanduser().resolve()
    if not folder.is_dir():
        raise UserError(f"data folder {str(found)!r} {'is not a folder' if folder.exists() else 'does not exist'}")
    return folder


def read(task: Task, splits: Sequence[str], folder: Path | None) -> Tables:
    """Read splits of a task as they lie there, unchecked. `folder` is what `data_folder` gave.

    In a folder D, `nyu-mll/glue` is `D/glue`, and the treebank sample's NLTK folder `D/ptb_nltk`. With none, a hub data
    set comes from the local caches, and else from the hub.
    Raises UserError where it is not there, cannot be had without a network, or cannot be read.
    """
    own = _OWN.get(task.data)
    if own is not None:
        tables = own(task, folder)
        return {split: tables[_known(task, split, tables)] for split in splits}
    if folder is not None:
        root = folder / task.data.rpartition("/")[2]
        if not root.is_dir():
            raise UserError(
                f"data folder {str(folder)!r} has no folder {root.name!r} for {task.data}; {_holds(folder)}"
            )
        return _from_folder(root, task, splits)
    return _from_hub(task, splits)


def _treebank(task: Task, folder: Path | None) -> Tables:
    return treebank.tables(None if folder is None else folder / "ptb_nltk", task.labels)


def _demo(task: Task, folder: Path | None) -> Tables:
    import pyarrow as pa

    return {split: pa.Table.from_pylist(demo.rows(split)) for split in demo.SIZES}


def _described(task: Task, folder: Path | None) -> Tables:
    assert folder is not None, "whoever reads a described task knows where it is"
    return own_files.tables(task, folder)


_OWN: dict[str, Callable[[Task, Path | None], Tables]] = {
    "nltk/treebank": _treebank,
    "peftcli/demo": _demo,
    own_files.SOURCE: _described,
}


def on_hub(task: Task) -> bool:
    """Say whether a task's data set is one on the hub."""
    return task.data not in _OWN


def patterns(task: Task, splits: Sequence[str]) -> list[str]:
    """Give the patterns of the files that hold splits of a task in its hub repository."""
    stem = f"{task.subset}/" if task.subset else ""
    return [pattern for split in splits for pattern in (f"{stem}{split}-*.parquet", f"{stem}{split}/*.parquet")]


def _from_hub(task: Task, splits: Sequence[str]) -> Tables:
    """Read from the first of: downloaded files, the hub, what `datasets` once prepared."""
    stem = f"{task.subset}/" if task.subset else ""
    wanted, revision = patterns(task, splits), CONVERTED.get(task.data)
    root = hub.cached(task.data, revision, wanted)
    if root is not None and all(_shards(root / stem, split) for split in splits):
        return _from_folder(root, task, splits)
    if hub.reachable():
        try:
            root = hub.download(task.data, revision, wanted)
        except Exception as error:  # its client, and what that is built on, raise many kinds
            raise UserError(f"cannot download {task.data}: {_first_line(error)}") from error
        return _from_folder(root, task, splits)
    tables = hub.prepared(task.data, task.subset)
    if tables is None:
        raise UserError(
            f"task {task.name}: {task.data} ({task.subset}) is not in the local cache, and there is no network (or "
            "HF_HUB_OFFLINE is set): use --data-dir D, or `peftcli prefetch RECIPE` on a machine with a network"
        )
    return {split: tables[_known(task, split, tables)] for split in splits}


def _from_folder(root: Path, task: Task, splits: Sequence[str]) -> Tables:
    base = root / task.subset if task.subset else root
    if not base.is_dir():
        raise UserError(f"{root}: {unknown(f'subset of {task.data}', task.subset, _folders(root))}")
    return {split: _parquet(base, split) for split in splits}


def _parquet(base: Path, split: str) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import parquet

    files = _shards(base, split)
    if not files:
        raise UserError(
            f"{base} has no whole split {split!r}: {split}-00000-of-00001.parquet and so on; {_holds(base)}"
        )
    tables = []
    for file in files:
        try:
            with parquet.ParquetFile(file) as opened:
                tables.append(opened.read())
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"cannot read {file}: {_first_line(error)}") from None
    try:
        return pa.concat_tables(tables)
    except pa.ArrowException as error:
        raise UserError(f"the files of {base}/{split} differ in their columns: {_first_line(error)}") from None


def _shards(base: Path, split: str) -> list[Path]:
    """Name a split's files in order: `train-00000-of-00001.parquet`, or `train/0000.parquet` where the hub converted.

    None where some of them are missing.
    """
    matches = [(file, SHARD.fullmatch(file.name)) for file in sorted(base.glob("*.parquet"))]
    found = [(file, int(match["count"])) for file, match in matches if match and match["split"] == split]
    if found:
        return [file for file, _ in found] if len(found) == found[0][1] else []
    return sorted((base / split).glob("*.parquet"))


def _known(task: Task, split: str, tables: Tables) -> str:
    if split not in tables:
        raise unknown(f"split of {task.data}", split, tables)
    return split


def _folders(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _holds(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    return f"it holds {', '.join(names[:12]) or 'nothing'}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:200]
