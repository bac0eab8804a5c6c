"""A sweep's cohort size is asked for, pinned or the default, in this order; and never more than memory holds."""

from pathlib import Path

import pytest

from peftcli.errors import UserError
from peftcli.experiment import cohort_size
from tests import tiny

RUNS = [tiny.run("lora", seed=seed) for seed in (0, 1)]


def test_a_sweep_s_name_does_not_depend_on_the_order_of_its_runs() -> None:
    assert cohort_size.sweep_id(RUNS) == cohort_size.sweep_id(RUNS[::-1])
    assert cohort_size.sweep_id(RUNS) != cohort_size.sweep_id(RUNS[:1])


def test_what_is_asked_for_outranks_the_pin_and_the_pin_the_default(tmp_path: Path) -> None:
    assert cohort_size.choose(tmp_path, RUNS, None, on_gpu=False) == cohort_size.ON_PROCESSOR
    assert cohort_size.choose(tmp_path, RUNS, None, on_gpu=True) == cohort_size.ON_GPU
    assert list(tmp_path.iterdir()) == []  # nothing is pinned unless `keep` says so
    assert cohort_size.choose(tmp_path, RUNS, None, on_gpu=True, keep=True) == cohort_size.ON_GPU
    assert cohort_size.choose(tmp_path, RUNS[::-1], None, on_gpu=False) == cohort_size.ON_GPU
    assert cohort_size.choose(tmp_path, RUNS[:1], None, on_gpu=False) == cohort_size.ON_PROCESSOR
    assert cohort_size.choose(tmp_path, RUNS, 3, on_gpu=False, keep=True) == 3
    assert cohort_size.pinned(tmp_path, cohort_size.sweep_id(RUNS)) == cohort_size.ON_GPU


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cohort": 0}', '{"cohort": "8"}', '{"cohort": null}'])
def test_a_damaged_pin_is_refused(tmp_path: Path, text: str) -> None:
    cohort_size.pin(tmp_path, "sweep", 8)
    (pin,) = tmp_path.rglob("sweep.json")
    pin.write_text(text)
    with pytest.raises(UserError, match=r"sweep\.json is damaged: remove it, or give --cohort"):
        cohort_size.pinned(tmp_path, "sweep")


def test_two_gigabytes_hold_sixteen_bytes_for_each_column() -> None:
    assert cohort_size.limit(32, columns=1_000) == 32
    assert cohort_size.limit(32, columns=10_000_000) == 12  # 160 MB a run
    assert cohort_size.limit(32, columns=10**9) == 1
    assert cohort_size.limit(32, columns=0) == 32
