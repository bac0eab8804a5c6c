"""`peftcli prefetch`: downloads what a recipe reads, then checks it in a process without a network."""

import sys

from peftcli.cli.options import DataDir, RecipeName, SetOption


def prefetch(
    recipe: RecipeName,
    data_dir: DataDir = None,
    overrides: SetOption = [],  # noqa: B006
) -> int:
    """Download what a recipe reads, for a node without a network.

    Model and data; then it is checked, with the network off, what such a node will find.
    """
    from peftcli.cli.recipes import load

    # A recipe that is wrong is refused before the slower imports below.
    loaded = load(recipe, overrides)
    from peftcli.preflight import prefetch as downloads

    for fetched in downloads.fetch(loaded, data_dir):
        print(f"{fetched.kind} {fetched.name} {fetched.revision} = {fetched.commit}: "
              f"{fetched.files} files, {fetched.bytes:,} bytes")  # fmt: skip
    # The check is `peftcli doctor` in a process of its own, since the hub's client reads HF_HUB_OFFLINE only once.
    arguments = [recipe, *(["--data-dir", str(data_dir)] if data_dir else [])]
    for pair in overrides:
        arguments += ["--set", pair]
    print("checking with the network off", file=sys.stderr)
    items = downloads.check(arguments)["ready"]
    for item in items:
        state = "found" if item["ready"] else "MISSING"
        print(f"{state} without a network: {item['kind']} {item['name']}: {item['where']}")
    return 0 if all(item["ready"] for item in items) else 1
