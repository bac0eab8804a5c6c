"""What `peftcli plan --calibrate` prints of timed cohorts."""

from typing import Any

from peftcli.cli import calibrate


def times(**changes: Any) -> dict[str, Any]:
    kind = {"name": "rte layernorm", "cohorts": 3, "runs": 8, "steps": 400, "step": 0.1234, "seconds": 90.04, "fit": 39}
    return {
        "title": "Small",
        "device": "cpu",
        "runs": 24,
        "cohorts": 3,
        "hours": 0.07503,
        "process_start_seconds": 2.6,
        "walltime_seconds": 3600,
        "too_large": [],
        "kinds": [kind, {**kind, "name": "a long name " * 5, "seconds": 9000.0, "fit": 0}],
        **changes,
    }


def test_a_line_a_kind_of_cohort() -> None:
    title, heads, first, second, last = calibrate.text(times()).splitlines()
    assert title == "Small"
    assert heads.endswith("fit in 60.0 min")
    assert first.split() == ["rte", "layernorm", "3", "8", "400", "0.123", "90.0", "s", "39"]
    assert second.startswith("a long name a long name a long name a long ")
    assert second.split()[-3:] == ["2.5", "h", "0"]
    assert {len(heads), len(first), len(second)} == {len(heads)}
    assert last == "24 runs left in 3 cohorts: at most 0.08 hours by one process, and 3 s to start each process"


def test_without_a_walltime_nothing_is_said_of_what_fits() -> None:
    shown = calibrate.text(times(walltime_seconds=None, device="cuda"))
    assert "fit in" not in shown
    assert "0.08 GPU-hours" in shown
