"""`python -m tests.benchmarks [--json FILE] [--rounds N]`: prints the table and writes it to results/bench/."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from peftcli import files
from peftcli.engine.device import choose, prepare, resolve_precision
from tests.benchmarks.cases import on_gpu, on_processor
from tests.benchmarks.timing import Ratio, machine, named_file


def main() -> None:
    """Run the comparisons that fit this machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison, both sides in turn")
    parser.add_argument("--device", help="cpu or cuda; default: cuda where there is one")
    arguments = parser.parse_args()
    device = choose(arguments.device)
    if device.type == "cpu":
        torch.set_num_threads(2)
    precision = resolve_precision("auto", device)
    prepare(device, precision)
    before = {**machine(device), "precision": precision}
    print(f"{before['device']}, {before['threads']} threads, load {before['load']:.2f}", file=sys.stderr)
    found = []
    for ratio in (on_gpu if device.type == "cuda" else on_processor)(arguments.rounds):
        found.append(ratio)
        print(_line(ratio), flush=True)
    document = {"machine": before, "load_after": machine(device)["load"], "ratios": [asdict(ratio) for ratio in found]}
    for target in filter(None, [arguments.json, named_file(before)]):
        files.write(target, json.dumps(document, indent=1) + "\n")


def _line(ratio: Ratio) -> str:
    bound = f">= {ratio.at_least}" if ratio.at_least else f"<= {ratio.at_most}" if ratio.at_most else ""
    verdict = {True: "met", False: "MISSED", None: ""}[ratio.met]
    low, high = ratio.spread
    return (
        f"{ratio.name:<62}{ratio.ratio:>7.2f} x  ({low:.2f} to {high:.2f})  {ratio.ours * 1e3:>8.1f} ms  "
        f"{ratio.theirs * 1e3:>8.1f} ms  {bound:<8}{verdict}"
    )


if __name__ == "__main__":
    main()
