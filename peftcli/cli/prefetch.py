"""What `peftcli prefetch` does: downloads what a recipe reads, then checks it in a process without a network."""

import sys
from pathlib import Path

from peftcli.experiment.recipe import find, load, parse_set


def run(name: str, data_dir: Path | None, overrides: list[str]) -> int:
    """Fetch, check, and say what an offline node will find; the exit code is 1 where something is missing still."""
    recipe = load(find(name), parse_set(overrides))
    from peftcli.preflight import prefetch

    for fetched in prefetch.fetch(recipe, data_dir):
        print(f"{fetched.kind} {fetched.name} {fetched.revision} = {fetched.commit}: "
              f"{fetched.files} files, {fetched.bytes:,} bytes")  # fmt: skip
    more = ["--data-dir", str(data_dir)] if data_dir else []
    for pair in overrides:
        more += ["--set", pair]
    print("checking with the network off", file=sys.stderr)
    found = prefetch.check([name, *more])
    for item in found["ready"]:
        state = "found" if item["ready"] else "MISSING"
        print(f"{state} without a network: {item['kind']} {item['name']}: {item['where']}")
    return 0 if all(item["ready"] for item in found["ready"]) else 1
