"""`python -m tests.benchmarks [WORD …] [--json FILE] [--rounds N]`: prints the table and writes it to results/bench/.

With words only the comparisons are run whose names hold one of them, and nothing is written to results/bench/.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from peftcli import files
from peftcli.engine.device import choose, prepare, resolve_precision
from peftcli.errors import UserError
from tests.benchmarks.cases import on_gpu, on_processor, picked
from tests.benchmarks.timing import Ratio, machine, named_file


def main() -> None:
    """Run the comparisons that fit this machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="run the comparisons with one of these words alone")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison, both sides in turn")
    parser.add_argument("--device", help="cpu or cuda; default: cuda where there is one")
    arguments = parser.parse_args()
    device = choose(arguments.device)
    every = (on_gpu if device.type == "cuda" else on_processor)(arguments.rounds)
    try:
        chosen = picked(every, arguments.words)
    except UserError as error:
        parser.error(str(error))
    if device.type == "cpu":
        torch.set_num_threads(2)
    precision = resolve_precision("auto", device)
    prepare(device, precision)
    before = {**machine(device), "precision": precision}
    print(f"{before['device']}, {before['threads']} threads, load {before['load']:.2f}", file=sys.stderr)
    found = []
    for _, measure in chosen:
        found.append(measure())
        print(_line(found[-1]), flush=True)
    document = {"machine": before, "load_after": machine(device)["load"], "ratios": [asdict(ratio) for ratio in found]}
    for target in filter(None, [arguments.json, None if arguments.words else named_file(before)]):
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
