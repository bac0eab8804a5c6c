"""What `peftcli merge` does: joins folders of results, and names what it could not take. No torch."""

import sys
from collections.abc import Sequence
from pathlib import Path

from peftcli.records.merge import merge


def run(sources: Sequence[Path], output: Path) -> int:
    """Merge folders; gives the exit code: 1 where files were damaged and left out."""
    found = merge(sources, output)
    for path, reason in found.damaged:
        print(f"skipped {path}: {reason}", file=sys.stderr)
    print(f"{found.written} records added to {output}, {found.present} were there", file=sys.stderr)
    return 1 if found.damaged else 0
