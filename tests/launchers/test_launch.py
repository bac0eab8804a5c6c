"""The launcher that is chosen, and the options that it takes."""

import pytest

from peftcli.errors import UserError
from peftcli.launchers import launch
from peftcli.launchers.launch import LauncherOptions
from peftcli.runner.work import SweepSettings, WorkUnit
from tests import written_records


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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpus": 1, "processes_per_run": 2}, "--processes-per-run 2 with 2 processes: .* a job has 1; give --gpus 2$"),
        ({"slurm": ["gres=gpu:a100:3"], "processes": 4, "processes_per_run": 2}, "a job has 3; give --gpus 4$"),
        ({"gpus": 3, "processes_per_run": 2}, "--processes 3 is no multiple of --processes-per-run 2"),
    ],
)
def test_a_job_with_fewer_gpus_than_processes_that_train_together_is_refused(options, said, tmp_path, monkeypatch):
    monkeypatch.setattr("peftcli.launchers.slurm.check", lambda: None)
    start = launch.choose("slurm", LauncherOptions(**options))
    with pytest.raises(UserError, match=said):
        start(WorkUnit((), frozenset()), SweepSettings("minilm", tmp_path), False)


def test_gpus_asked_for_in_slurm_s_words_each_get_a_process(tmp_path, monkeypatch):
    monkeypatch.setattr("peftcli.launchers.slurm.check", lambda: None)
    monkeypatch.setattr(launch, "warm", lambda runs, settings: None)
    submitted = []

    def submit(assignment, request, jobs):
        submitted.append((assignment.processes, assignment.per_cohort, request.gpus))
        raise UserError("enough")

    monkeypatch.setattr("peftcli.launchers.slurm.submit", submit)
    (run, *_) = written_records.runs(written_records.small())
    with pytest.raises(UserError, match="enough"):
        launch.choose("slurm", LauncherOptions(slurm=["gres=gpu:4"]))(
            WorkUnit(((run,),), frozenset([run.id])), SweepSettings("minilm", tmp_path), False
        )
    assert submitted == [(4, 1, 4)]
