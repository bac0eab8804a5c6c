"""Attention on a stream stays inside each sequence."""

import numpy as np
import torch

from peftcli.engine.batches import build
from peftcli.engine.network import Network
from tests import tiny


def test_a_sequence_does_not_see_its_neighbours():
    network = Network(tiny.backbone("bert"), "pair", 2, "stock")
    examples = tiny.examples("pair", 12)

    def hidden(chosen):
        batch = build([(examples, np.array(chosen))], 0, torch.device("cpu"))
        return network.encode(batch.stream)[0, : examples.lengths[chosen[0]]]

    torch.testing.assert_close(hidden([3, 0, 7]), hidden([3]), rtol=0, atol=1e-12)
    torch.testing.assert_close(hidden([3, 0, 7]), hidden([3, 8]), rtol=0, atol=1e-12)
