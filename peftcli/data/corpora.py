"""Reading a task's rows: from the hub or its caches, a folder laid out like it, NLTK's sample, or demo's grammar."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli.data import treebank
from peftcli.errors import UserError, first_line, unknown
from peftcli.models import fingerprints, hub
from peftcli.tasks import demo, own_files
from peftcli.tasks.registry import Task

if TYPE_CHECKING:
    import pyarrow as pa

DATA_DIR = "PEFTCLI_DATA_DIR"
TREEBANK, DEMO = "nltk/treebank", "peftcli/demo"  # the `data` of tasks that are read otherwise than from the hub
SHARD = re.compile(r"(?P<split>.+)-[0-9]{5}-of-(?P<count>[0-9]{5})(-[0-9a-f]+)?\.parquet")
# Branches to which the hub converted data sets that only a script could read, and no client runs scripts any more.
CONVERTED = {"aps/super_glue": "refs/convert/parquet", "eriktks/conll2003": "refs/convert/parquet"}

Tables = dict[str, "pa.Table"]  # split -> rows as they are stored


def data_folder(option: Path | None) -> Path | None:
    """Return the data folder of --data-dir, else of PEFTCLI_DATA_DIR, else None. Raises UserError if it is missing."""
    named = option or (Path(os.environ[DATA_DIR]) if os.environ.get(DATA_DIR) else None)
    if named is None:
        return None
    folder = named.expanduser().resolve()
    if not folder.is_dir():
        raise UserError(f"data folder {str(named)!r} {'is not a folder' if folder.exists() else 'does not exist'}")
    return folder


def read(task: Task, splits: Sequence[str], folder: Path | None, columns: Sequence[str] | None = None) -> Tables:
    """Read splits of a task as they are stored, unchecked. `folder` is what `data_folder` returns.

    Of files, those splits' alone are read, and of these `columns` (by default the task's inputs and label) and `idx`.
    In a folder D, `nyu-mll/glue` is `D/glue`, and the treebank sample's NLTK folder `D/ptb_nltk`. Without a folder, a
    hub data set is read from the local caches, and otherwise from the hub. A custom task's `folder` is its own file or
    folder. Raises UserError where data is missing, needs a network that is not there, or cannot be read.
    """
    columns = (*task.inputs, task.label) if columns is None else columns
    if not on_hub(task):
        return _chosen(task, splits, _read_elsewhere(task, splits, folder, columns))
    if folder is None:
        return _from_hub(task, splits, columns)
    root = folder / task.data.rpartition("/")[2]
    if not root.is_dir():
        raise UserError(f"data folder {str(folder)!r} has no folder {root.name!r} for {task.data}; {_contents(folder)}")
    return _from_folder(root, task, splits, columns)


def key(task: Task, splits: Sequence[str], folder: Path | None) -> str | None:
    """Return what the fingerprint of a task's data is kept under; None where its files are not on this machine.

    The user's own data is not kept: its runs hold a fingerprint of the files themselves.
    """
    try:
        return (
            None
            if task.data == own_files.SOURCE
            else fingerprints.key(f"data {task.name}", files(task, splits, folder))
        )
    except UserError:
        return None


def files(task: Task, splits: Sequence[str], folder: Path | None) -> list[Path]:
    """Return the files on this machine that `read` reads a task's splits from; none for what is generated.

    Raises UserError where they are not there. No network is asked.
    """
    if task.data == DEMO:
        return []
    if task.data == TREEBANK:
        return treebank.files(None if folder is None else folder / "ptb_nltk")
    if folder is not None:
        root: Path | None = folder / task.data.rpartition("/")[2]
    else:
        root = hub.cached(task.data, CONVERTED.get(task.data), patterns(task, splits))
    shards = [] if root is None else [_shards(root / (task.subset or ""), split) for split in splits]
    if not all(shards) or not shards:
        raise UserError(f"the data of task {task.name} is not in {folder or 'the local hub cache'}")
    return [file for files in shards for file in files]


def on_hub(task: Task) -> bool:
    """Return whether a task's data set is one on the hub."""
    return task.data not in (TREEBANK, DEMO, own_files.SOURCE)


def patterns(task: Task, splits: Sequence[str]) -> list[str]:
    """Return the glob patterns of the files in a task's hub repository that hold these splits."""
    prefix = f"{task.subset}/" if task.subset else ""
    # the second is the layout of converted branches
    return [pattern for split in splits for pattern in (f"{prefix}{split}-*.parquet", f"{prefix}{split}/*.parquet")]


def _read_elsewhere(task: Task, splits: Sequence[str], folder: Path | None, columns: Sequence[str]) -> Tables:
    """Return the splits of a task that is not a hub data set, and maybe others."""
    import pyarrow as pa

    if task.data == DEMO:
        return {split: pa.Table.from_pylist(demo.rows(split)) for split in demo.SIZES}
    if task.data == TREEBANK:
        return treebank.tables(None if folder is None else folder / "ptb_nltk", task.labels)
    assert folder is not None, "a custom task is read from the file or folder that its recipe names"
    return own_files.tables(task, splits, folder, columns)


def _from_hub(task: Task, splits: Sequence[str], columns: Sequence[str]) -> Tables:
    """Read from the first that has all splits: files in the hub's cache, the hub, what `datasets` once prepared."""
    wanted, revision = patterns(task, splits), CONVERTED.get(task.data)
    root = hub.cached(task.data, revision, wanted)
    if root is not None and all(_shards(root / (task.subset or ""), split) for split in splits):
        return _from_folder(root, task, splits, columns)
    if hub.reachable():
        try:
            root = hub.download(task.data, revision, wanted)
        except Exception as error:  # the hub's client, and the libraries under it, raise many kinds
            raise UserError(f"task {task.name}: {hub.refusal('data set', task.data, error)}") from error
        return _from_folder(root, task, splits, columns)
    tables = hub.prepared(task.data, task.subset)
    if tables is None:
        raise UserError(
            f"task {task.name}: {task.data} ({task.subset}) is not in the local cache, and there is no network (or "
            "HF_HUB_OFFLINE is set): use --data-dir D, or `peftcli prefetch RECIPE` on a machine with a network"
        )
    return _chosen(task, splits, tables)


def _from_folder(root: Path, task: Task, splits: Sequence[str], columns: Sequence[str]) -> Tables:
    base = root / task.subset if task.subset else root
    if not base.is_dir():
        folders = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
        raise UserError(f"{root}: {unknown(f'subset of {task.data}', task.subset, folders)}")
    return {split: _read_split(base, split, columns) for split in splits}


def _read_split(base: Path, split: str, columns: Sequence[str]) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import parquet

    shards = _shards(base, split)
    if not shards:
        raise UserError(
            f"{base} has no whole split {split!r}: {split}-00000-of-00001.parquet and so on; {_contents(base)}"
        )
    tables = []
    for file in shards:
        try:
            with parquet.ParquetFile(file) as opened:
                present = opened.schema_arrow.names
                for name in columns:
                    if name not in present:
                        raise UserError(f"{file}: {unknown('column', name, present)}")
                # Others may differ from file to file, or be of a type that cannot be read.
                tables.append(opened.read(columns=[name for name in present if name in (*columns, "idx")]))
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"cannot read {file}: {first_line(error)}") from None
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(f"the files of {base}/{split} differ in their columns: {first_line(error)}") from None


def _shards(base: Path, split: str) -> list[Path]:
    """Return a split's files in order, or none where some are missing.

    They are `train-00000-of-00001.parquet` and so on, or `train/0000.parquet` in a converted branch.
    """
    matches = [(file, SHARD.fullmatch(file.name)) for file in sorted(base.glob("*.parquet"))]
    # Each file's name says of how many it is one. The pattern's split is compared whole: train-extra is not train.
    counted = [(file, int(match["count"])) for file, match in matches if match and match["split"] == split]
    if counted:
        return [file for file, _ in counted] if len(counted) == counted[0][1] else []
    return sorted((base / split).glob("*.parquet"))


def _chosen(task: Task, splits: Sequence[str], tables: Tables) -> Tables:
    for split in splits:
        if split not in tables:
            raise unknown(f"split of {task.data}", split, tables)
    return {split: tables[split] for split in splits}


def _contents(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    return f"it holds {', '.join(names[:12]) or 'nothing'}"
