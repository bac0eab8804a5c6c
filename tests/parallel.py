"""Several processes of a group, for the tests: each runs one function of this module and writes what it found."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from peftcli.engine import parallel, training
from tests import tiny

SIZES = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def train(
    kind: str, strategy: str, model: str = "bert", dropout: bool = False, bare: Sequence[int] = (), **settings: object
) -> dict[str, object]:
    """Train two runs of a strategy on a tiny model, in however many processes there are; `bare` examples have no word."""
    data = tiny.data(kind, count=10)
    if bare:
        data = replace(
            data,
            train=tiny.without_words(data.train, bare),
            evaluation={"validation": tiny.without_words(data.evaluation["validation"], bare)},
        )
    backbone = tiny.backbone(model, **({} if dropout else SIZES))
    runs = [tiny.run(strategy, rate, seed, **{"steps": 7, **settings}) for rate, seed in ((1e-2, 0), (3e-3, 1))]
    cohort = tiny.cohort(backbone, runs, kind, data)
    state = training.begin(cohort)
    for _ in training.train(cohort, state):
        pass
    return {
        "flat": state.flat.detach(),
        "histories": [(h.training, h.evaluations) for h in state.histories],
        "tokens": state.tokens,
    }


def main(folder: Path, rank: int, size: int) -> None:
    """Join the group and train what the file in the folder says."""
    torch.set_num_threads(1)
    parallel.join(folder / "meeting", rank, size)
    jobs = torch.load(folder / "jobs.pt", weights_only=True)
    found = [train(**job) for job in jobs]
    torch.save(found, folder / f"found-{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
