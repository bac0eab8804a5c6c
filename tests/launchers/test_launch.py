"""The launcher that is chosen, and the options that it takes."""

import pytest

from peftcli.errors import UserError
from peftcli.launchers import launch
from peftcli.launchers.launch import LauncherOptions


@pytest.mark.parametrize(
    ("launcher", "options", "said"),
    [
        ("slrum", {}, "did you mean 'slurm'"),
        (
            "local",
            {"processes": 2},
            "--processes does nothing with --launcher local: it is for --launcher accelerate",
        ),
        ("accelerate", {"partition": "a"}, "--partition does nothing .* --launcher slurm"),
        ("local", {"detach": True}, "--detach does nothing"),
        (
            "accelerate",
            {"max_jobs": 3},
            "--max-jobs does nothing with --launcher accelerate: it is for --launcher slurm",
        ),
    ],
)
def test_options_of_another_launcher_are_refused(launcher, options, said):
    with pytest.raises(UserError, match=said):
        launch.choose(launcher, LauncherOptions(**options))
