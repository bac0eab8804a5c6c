"""The launcher that is chosen, and the options that it takes."""

import pytest

from peftcli.errors import UserError
from peftcli.launchers import launch

NOTHING = dict.fromkeys(
    ("--processes", "--processes-per-run", "--partition", "--time", "--gpus", "--max-jobs", "--account", "--detach")
) | {"--slurm": []}


@pytest.mark.parametrize(
    ("launcher", "options", "said"),
    [
        ("slrum", {}, "did you mean 'slurm'"),
        (
            "local",
            {"--processes": 2},
            "--processes does nothing with --launcher local: it is for --launcher accelerate",
        ),
        ("accelerate", {"--partition": "a"}, "--partition does nothing .* --launcher slurm"),
        ("local", {"--detach": True}, "--detach does nothing"),
    ],
)
def test_options_of_another_launcher_are_refused(launcher, options, said):
    with pytest.raises(UserError, match=said):
        launch.choose(launcher, {**NOTHING, **options})
