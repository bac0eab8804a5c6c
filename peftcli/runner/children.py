"""What processes that this one starts need to know."""

import os
from pathlib import Path


def python_path() -> str:
    """The PYTHONPATH with which another process finds this package, from wherever it is started."""
    package, inherited = str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")
    if package in inherited.split(os.pathsep):
        return inherited
    return os.pathsep.join(filter(None, (package, inherited)))
