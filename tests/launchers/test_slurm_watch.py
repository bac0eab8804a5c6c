"""What is shown of a cluster's jobs comes from the queue and the records."""

from peftcli.launchers import slurm_watch
from peftcli.launchers.slurm_queue import Job, Submission
from peftcli.launchers.slurm_watch import JobsView, Tally
from tests import written_records


def test_runs_count_as_ended_once_their_record_is_new(tmp_path):
    first, second, *_ = written_records.runs(written_records.small())
    written_records.write(tmp_path, first, {}, "failed")
    tally = Tally([first, second], tmp_path)
    assert tally.left([first, second]) == [first, second]
    assert tally.counts() == (0, 0)
    written_records.write(tmp_path, first, {"validation": {"accuracy": 0.5}})
    assert tally.left([first, second]) == [second]
    assert tally.counts() == (1, 0)
    written_records.write(tmp_path, second, {}, "failed")
    assert tally.counts() == (1, 1)


def test_what_is_shown_of_jobs_comes_from_the_queue_and_the_records(tmp_path, monkeypatch):
    runs = written_records.runs(written_records.small())[:6]
    ids = [run.id for run in runs]
    costs = dict(zip(ids, (1.0, 1.0, 4.0, 3.0, 3.0, 5.0), strict=True))
    monkeypatch.setattr(slurm_watch.time, "monotonic", lambda: now)
    now = 100.0
    shares_ = [[ids[:2], ids[2:3]], [ids[3:4], ids[4:5]], [ids[5:]]]
    submission_ = Submission(tmp_path, "7", "someone", 1, shares_)
    view = JobsView(submission_, Tally(runs, tmp_path), lambda cohort: sum(costs[run.id] for run in cohort))
    jobs = {("7", 0): Job("RUNNING", "n1"), ("7", 1): Job("PENDING", "")}
    first = view.screen(jobs)
    assert first.rows == (
        ("7_0", "RUNNING", "n1", f"{runs[0].describe()} and 1 more", "3 of 3"),
        ("7_1", "PENDING", "", "", "2 of 2"),
        ("7_2", "OVER", "", "", "1 of 1"),
    )
    assert first.summary == "0 done, 0 failed, 6 left"
    for run, status in ((runs[0], "completed"), (runs[1], "failed")):
        written_records.write(tmp_path, run, {"validation": {"accuracy": 0.5}} if status == "completed" else {}, status)
    now = 120.0  # 2 of 6 in twenty seconds: 40 more for the first job, 60 for the second if it is as fast
    second = view.screen(jobs)
    assert second.rows[0] == ("7_0", "RUNNING", "n1", runs[2].describe(), "1 of 3")
    assert second.summary == "1 done, 1 failed, 4 left; about 60 s left"
