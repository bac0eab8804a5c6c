"""What a record says of where it was made: versions, device, threads, commit. Nothing that changes from run to run."""

import platform
import re
import subprocess
from functools import lru_cache
from pathlib import Path

import torch

from peftcli.models.fingerprints import installed_version
from peftcli.records.body import Environment

PACKAGES = (
    "peftcli",
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "accelerate",
    "numpy",
    "scikit-learn",
    "scipy",
)

DRIVER = Path("/proc/driver/nvidia/version")  # what Linux says of the NVIDIA driver that is loaded


@lru_cache(maxsize=4)
def describe(on: torch.device, precision: str, compiled: bool = False) -> Environment:
    """Describe this process: packages, Python, machine, device, precision, threads, and the repository's commit."""
    return {
        "packages": {name: installed_version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(on) if on.type == "cuda" else "cpu",
        **(_gpu(on) if on.type == "cuda" else {}),
        "precision": precision,
        "compiled": compiled,
        "threads": torch.get_num_threads(),
        "commit": _commit(),
    }


def _gpu(on: torch.device) -> Environment:
    """What else a GPU's numbers depend on: its compute capability, and the versions of driver and libraries."""
    version = re.search(r"[0-9]+\.[0-9.]+", DRIVER.read_text()) if DRIVER.is_file() else None
    return {
        "capability": ".".join(map(str, torch.cuda.get_device_capability(on))),
        "driver": version[0] if version else None,
        "cuda": torch.version.cuda,
        "cudnn": str(torch.backends.cudnn.version()),
    }


def _commit() -> str | None:
    """The commit of the source tree this package runs from, with a mark where it has changes; None where installed."""
    root = Path(__file__).parents[2]  # peftcli/runner/environment.py: the folder above the package
    if not (root / ".git").exists():
        return None
    try:
        # --exclude=*: no tag is taken, so that what is said is the commit and nothing else.
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
