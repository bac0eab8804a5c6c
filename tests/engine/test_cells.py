"""Dropout's numbers by cells: those of each run's own padded grid, whole or cut in slices."""

from types import SimpleNamespace
from typing import Any

import torch

from peftcli import noise
from peftcli.engine import cells
from peftcli.engine.batches import build
from peftcli.engine.parallel import batch_slice
from tests import backbones

CPU = torch.device("cpu")
SITES = (
    "backbone.embeddings.dropout",
    "backbone.encoder.layer.0.attention.self.pos_dropout",
    "backbone.encoder.layer.0.attention.self.dropout",
    "backbone.encoder.layer.1.attention.self.pos_key_proj.lora_dropout",
)
KEYS = torch.tensor([[5, -90], [17, 2], [1, 10**9], [-3, 4]], dtype=torch.int32)  # [sites, runs]
HEADS, DISTANCES = 2, range(3, 8)


def backbone() -> Any:
    """What is asked of a backbone: how many heads it has, and which relative positions sequences read."""
    return SimpleNamespace(config=SimpleNamespace(num_attention_heads=HEADS), distances=lambda longest: DISTANCES)


def test_a_row_has_the_number_of_its_cell_in_the_run_s_own_grid() -> None:
    network = backbones.network(backbones.classifier("deberta-v3"))
    parts, batch = backbones.batches(network)
    layout = batch.stream.layout
    drawn = cells.numbers(KEYS, SITES, batch, backbone())
    for run, (examples, chosen) in enumerate(parts):
        lengths = examples.lengths[chosen]
        width = int(lengths.max())
        assert width == layout.widths[run]
        grid = torch.arange(len(lengths) * width).view(-1, width)
        tokens = torch.cat([row[:length] for row, length in zip(grid, lengths.tolist(), strict=True)])
        counted = noise.counting(KEYS[0, run : run + 1], grid.numel())[0]
        assert torch.equal(drawn[0][run, : len(tokens)], counted[tokens])
        # Some layers get the rows of relative positions behind the tokens', some these rows alone.
        for site, numbers in ((0, drawn[0][run, -len(DISTANCES) :]), (1, drawn[1][run]), (3, drawn[3][run])):
            of_rows = noise.counting(KEYS[site, run : run + 1], DISTANCES.stop)[0]
            assert torch.equal(numbers, of_rows[DISTANCES.start :])
        scores = noise.counting(KEYS[2, run : run + 1], len(lengths) * HEADS * width)[0]
        laid = drawn[2][run].view(HEADS, -1, layout.longest)[:, : len(lengths), :width]
        assert torch.equal(laid, scores.view(-1, HEADS, width).transpose(0, 1))


def test_a_slice_has_the_numbers_of_the_whole() -> None:
    network = backbones.network(backbones.classifier("deberta-v3"))
    parts, whole = backbones.batches(network)
    reading = network.reading
    assert torch.equal(build(parts, reading, CPU).stream.ids, whole.stream.ids)
    wanted = cells.numbers(KEYS, SITES, whole, backbone())
    before = [0] * len(parts)
    for number in range(2):
        piece = batch_slice(parts, number, 2, reading, CPU)
        drawn = cells.numbers(KEYS, SITES, piece, backbone())
        assert torch.equal(drawn[1], wanted[1])
        for run, (examples, chosen) in enumerate(parts):
            own = chosen[len(chosen) * number // 2 : len(chosen) * (number + 1) // 2]
            tokens = int(examples.lengths[own].sum())
            start = before[run]
            assert torch.equal(drawn[0][run, :tokens], wanted[0][run, start : start + tokens])
            before[run] += tokens
    assert before == [int(e.lengths[c].sum()) for e, c in parts]
