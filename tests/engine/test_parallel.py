"""Processes that train one cohort together find what one process finds."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from peftcli.engine import parallel as groups
from peftcli.engine.batches import build
from peftcli.engine.parallel import batch_slice
from peftcli.errors import UserError
from peftcli.models.reach import Reading
from tests import parallel, tiny

REPOSITORY = Path(__file__).parents[2]
JOBS = {
    "pair full": {"kind": "pair", "strategy": "full"},
    "token bitfit": {"kind": "token", "strategy": "bitfit"},
    "choice layernorm": {"kind": "choice", "strategy": "layernorm", "model": "roberta"},
    "span lora": {"kind": "span", "strategy": "lora"},
    "regression diffpruning": {"kind": "regression", "strategy": "diffpruning"},
    "last batches of one": {"kind": "pair", "strategy": "full", "batch_size": 3},  # ten examples: 3, 3, 3, 1
    "words in three examples": {"kind": "token", "strategy": "full", "bare": list(range(7))},
    "dropout": {"kind": "pair", "strategy": "full", "dropout": True},
    "dropout, roberta": {"kind": "token", "strategy": "lora", "model": "roberta", "dropout": True},
    "dropout, choice": {"kind": "choice", "strategy": "full", "dropout": True},
    "in parts": {
        "kind": "regression",
        "strategy": "diffpruning",
        "dropout": True,
        "accumulate": 2,
        "checkpoint_activations": True,
    },
    "more parts than examples": {
        "kind": "choice",
        "strategy": "full",
        "batch_size": 3,
        "dropout": True,
        "accumulate": 5,
    },
    "deberta in parts": {"kind": "pair", "strategy": "full", "model": "deberta-v2", "dropout": True, "accumulate": 2},
    "best": {"kind": "pair", "strategy": "full", "restore_best": True, "evaluate_every": "2 steps"},
}


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.chaos)])
def together(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    """What each of two or three processes found."""
    size = request.param
    folder = tmp_path_factory.mktemp(f"group{size}")
    torch.save(list(JOBS.values()), folder / "jobs.pt")
    command = [sys.executable, "-m", "tests.parallel", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    processes = [
        subprocess.Popen([*command, str(rank), str(size)], env=environment, cwd=REPOSITORY) for rank in range(size)
    ]
    assert [process.wait(240) for process in processes] == [0] * size
    return [torch.load(folder / f"found-{rank}.pt", weights_only=True) for rank in range(size)]


@pytest.mark.parametrize("job", JOBS)
def test_the_same_weights_and_numbers_as_in_one_process(together, job):
    alone = parallel.train(**JOBS[job] | {"accumulate": 1, "checkpoint_activations": False})
    ranks = [rank[list(JOBS).index(job)] for rank in together]
    for found in ranks:
        assert torch.equal(found["flat"], ranks[0]["flat"])  # the processes agree to the bit
        assert found["histories"] == ranks[0]["histories"]
    assert float((ranks[0]["flat"] - alone["flat"]).abs().max()) < 1e-9
    assert ranks[0]["tokens"] == alone["tokens"]
    for found, expected in zip(ranks[0]["histories"], alone["histories"], strict=True):
        for part, own in zip(found, expected, strict=True):
            assert len(part) == len(own)
            for entry, wanted in zip(part, own, strict=True):
                assert entry == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("kind", ["pair", "choice", "token"])
def test_slices_are_the_whole_batch_end_to_end(kind: str, size: int) -> None:
    """Each knows what lies before it and what the whole has; one with nothing to do computes what does not count."""
    device = torch.device("cpu")
    parts = [(tiny.examples(kind, 12, 0), np.array([3, 0, 7, 5])), (tiny.examples(kind, 12, 5), np.array([2]))]
    whole = build(parts, Reading(1), device)
    slices = [batch_slice(parts, rank, size, Reading(1), device) for rank in range(size)]
    for run, (examples, picked) in enumerate(parts):
        present = whole.present[run].bool()
        labels = torch.cat([part.labels[run][part.present[run].bool()] for part in slices])
        assert labels.tolist() == whole.labels[run][present].tolist()
        before = 0  # tokens
        for rank, part in enumerate(slices):
            assert part.whole is not None
            assert int(part.whole.counts[run]) == int(present.sum())
            assert int(part.whole.tokens_before[run]) == before
            stretch = picked[len(picked) * rank // size : len(picked) * (rank + 1) // size]
            assert bool(part.present[run].any()) == (len(stretch) > 0)
            if len(stretch):
                length = len(examples.take(stretch).ids)
                assert torch.equal(part.stream.ids[run, :length], whole.stream.ids[run, before : before + length])
                before += length
    assert {part.tokens for part in slices} == {whole.tokens}
    assert len({part.slots for part in slices}) == 1


def test_gpus_that_cannot_send_to_each_other_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuses(said: str) -> Callable[..., object]:
        def state(**_: object) -> object:
            raise NotImplementedError(said)

        return state

    words = 'Using RTX 4000 series doesn\'t support faster communication. Please set `NCCL_P2P_DISABLE="1"` and …'
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", dict(os.environ))
        patch.setattr("accelerate.PartialState", refuses(words))
        with pytest.raises(UserError, match=r"export NCCL_P2P_DISABLE=1 NCCL_IB_DISABLE=1, and run the command again$"):
            groups.join(tmp_path / "meeting", 0, 2, "cpu")
        patch.setattr("accelerate.PartialState", refuses("something else"))
        with pytest.raises(NotImplementedError):
            groups.join(tmp_path / "meeting", 0, 2, "cpu")
