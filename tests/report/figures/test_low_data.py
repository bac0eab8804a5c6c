"""The metric by number of examples: sizes, and those that no record tells."""

from pathlib import Path

from peftcli.report import figures
from peftcli.report.figures import (
    low_data,
)
from peftcli.tasks import registry as tasks
from tests.drawn import SIZES, entry, study_of


def test_low_data_sizes_are_those_before_the_split(tmp_path: Path) -> None:
    study = study_of(tmp_path, tasks=[{"rte": {"label": "all"}}, *SIZES])
    spec = entry("low_data", learning_rate=1e-4)
    found = low_data.collect(spec, study)
    (panel,), across = low_data.panels(spec, study, found)
    assert [x for x, _ in across.ticks] == [100, 1000, tasks.TASKS["rte"].sizes["train"]]
    assert [line.label for line in panel.lines][:2] == ["Full (learning rate 1e-5)", "LayerNorm (learning rate 1e-4)"]
    assert all([place.x for place in line.marks] == [100, 1000, 2490] for line in panel.lines)


def test_words_of_sizes_that_are_near_each_other_stand_in_two_lines(tmp_path: Path) -> None:
    # 2,000 and all 2,490 of RTE are 0.22 apart in logarithms, of 3.2 from 100 to 2,490: 0.07 of the axis.
    study = study_of(tmp_path, tasks=["rte", *({"rte": {"training": {"train_size": n}}} for n in (100, 500, 2000))])
    spec = entry("low_data", learning_rate=1e-4)
    _, across = low_data.panels(spec, study, low_data.collect(spec, study))
    assert [word for _, word in across.ticks] == ["100", "500", "2,000", "\n2,490"]


def test_a_size_that_no_record_tells_is_said(tmp_path: Path) -> None:
    own = {"mine": {"data": "mine", "text": ["a"], "label": "right", "metric": "accuracy"}}
    for split in ("train", "validation"):
        file = tmp_path / "mine" / f"{split}.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_text("a,right\none,yes\ntwo,no\nthree,yes\n")
    study = study_of(
        tmp_path, lambda planned: "missing", tasks=[own, {"mine": {**own["mine"], "training": {"train_size": 9}}}]
    )
    drawing = figures.draw(entry("low_data", learning_rate=1e-4), study)
    assert "Left out, no record tells the number of examples: Full on mine" in drawing.description
