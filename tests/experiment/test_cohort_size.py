"""What a sweep's cohorts are cut by is asked for, pinned or the default, in this order; and never more than memory holds."""

from pathlib import Path
from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.experiment import cohort_size
from peftcli.experiment.cohort_size import LADDER, Footprint, Pin
from tests import tiny

RUNS = [tiny.run("lora", seed=seed) for seed in (0, 1)]
GIGABYTE = 10**9


def test_a_sweep_s_name_does_not_depend_on_the_order_of_its_runs() -> None:
    assert cohort_size.sweep_id(RUNS) == cohort_size.sweep_id(RUNS[::-1])
    assert cohort_size.sweep_id(RUNS) != cohort_size.sweep_id(RUNS[:1])


def test_what_is_asked_for_outranks_the_pin_and_the_pin_the_default(tmp_path: Path) -> None:
    assert cohort_size.choose(tmp_path, RUNS, None, on_gpu=False) == Pin(cohort_size.ON_PROCESSOR)
    assert cohort_size.choose(tmp_path, RUNS, None, on_gpu=True) == Pin(LADDER[-1])
    assert list(tmp_path.iterdir()) == []  # nothing is pinned by asking
    decided = Pin(48, 16 * GIGABYTE, {cohort_size.kind(RUNS[0]): 12})
    cohort_size.pin(tmp_path, cohort_size.sweep_id(RUNS), decided)
    assert cohort_size.choose(tmp_path, RUNS[::-1], None, on_gpu=False) == decided
    assert cohort_size.choose(tmp_path, RUNS[:1], None, on_gpu=False) == Pin(cohort_size.ON_PROCESSOR)
    assert cohort_size.choose(tmp_path, RUNS, 3, on_gpu=False) == Pin(3)
    assert cohort_size.pinned(tmp_path, cohort_size.sweep_id(RUNS)) == decided


def test_what_decides_the_memory_of_a_run_decides_its_kind() -> None:
    """Runs that are computed in parts are other runs; those with activations computed again are the same ones in less memory."""
    settings: list[dict[str, Any]] = [{}, {"checkpoint_activations": True}, {"accumulate": 2}]
    assert len({cohort_size.kind(tiny.run("lora", **each)) for each in settings}) == 3
    assert len({tiny.run("lora", **each).id for each in settings}) == 2
    assert cohort_size.memory_key(RUNS[0]) == RUNS[0].cohort_key()  # what was counted and pinned before is found


def test_a_pin_of_an_earlier_version_says_the_number_alone(tmp_path: Path) -> None:
    cohort_size.pin(tmp_path, "sweep", Pin(8))
    (file,) = tmp_path.rglob("sweep.json")
    assert file.read_text() == '{"cohort": 8}\n'
    assert cohort_size.pinned(tmp_path, "sweep") == Pin(8)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"cohort": 0}', '{"cohort": "8"}', '{"cohort": null}', '{"cohort": 8, "sizes": {"a": 0}}',
     '{"cohort": 8, "sizes": [1]}', '{"cohort": 8, "memory": -1}', '{"cohort": 8, "more": 1}'],
)  # fmt: skip
def test_a_damaged_pin_is_refused(tmp_path: Path, text: str) -> None:
    cohort_size.pin(tmp_path, "sweep", Pin(8))
    (pin,) = tmp_path.rglob("sweep.json")
    pin.write_text(text)
    with pytest.raises(UserError, match=r"sweep\.json is damaged: remove it, or give --cohort"):
        cohort_size.pinned(tmp_path, "sweep")


def test_of_a_kind_no_more_train_together_than_fit_and_than_are_pinned() -> None:
    other = tiny.run("bitfit")
    pin = Pin(24, 16 * GIGABYTE, {cohort_size.kind(RUNS[0]): 12, cohort_size.kind(other): 48})
    assert (pin.together(RUNS[0]), pin.together(RUNS[1]), pin.together(other)) == (12, 12, 24)
    assert pin.together(tiny.run("full")) == 24  # of a kind that nothing was counted of


def test_a_footprint_fits_with_a_tenth_to_spare_and_sizes_are_those_of_the_ladder() -> None:
    footprint = Footprint(shared=2 * GIGABYTE, each=GIGABYTE)
    assert [footprint.fitting(n * GIGABYTE) for n in (16, 24, 40, 80)] == [12, 16, 32, 64]
    assert footprint.fitting(20 * GIGABYTE) == 16  # 2 + 16 of the 18 that are not spared
    assert footprint.fitting(20 * GIGABYTE - 10) == 12
    assert footprint.fitting(GIGABYTE) == 1  # one may be too much; a sweep then says so


def test_two_gigabytes_hold_sixteen_bytes_for_each_column() -> None:
    assert cohort_size.limit(32, columns=1_000) == 32
    assert cohort_size.limit(32, columns=10_000_000) == 12  # 160 MB a run
    assert cohort_size.limit(32, columns=10**9) == 1
    assert cohort_size.limit(32, columns=0) == 32
