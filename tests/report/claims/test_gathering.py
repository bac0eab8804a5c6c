"""Numbers taken from tables: our own and the printed ones judge alike, copied and diverged ones are set apart."""

from functools import cache
from pathlib import Path

from peftcli.experiment import plan
from peftcli.report.claims import gathering, judging
from peftcli.report.table import build, selection
from peftcli.report.table.table import Table
from tests.report.claims.cases import BETTER, claim_of, empty, judge, judged
from tests.written_records import fill, from_published, load, runs, small, write


def test_records_made_from_the_printed_cells_are_judged_as_those(tmp_path: Path) -> None:
    for name in ("transferability/table3", "transferability/table1", "transferability/table4", "freezing/table1"):
        from_published(load(name), tmp_path / name)

    @cache
    def table(name: str) -> Table:
        made = load(name)
        return build.tabulate(made, selection.outcomes(plan.expand(made), tmp_path / name))

    for name in ("transferability/table4", "freezing/table1"):
        for claim in judged(name, table):
            assert claim.verdict == claim.printed, claim.claim


def test_copied_cells_are_left_out() -> None:
    made = load("transferability/table1")
    check = {"kind": "better", "strategies": "bitfit", "than": "frozen"}
    claim = claim_of(check)
    found = judging.judge(made, claim, gathering.gather_all([empty("transferability/table1")]))
    undecided = [step.text for step in found.printed_findings[0].steps if step.holds is None]
    assert [text.partition(":")[0] for text in undecided] == ["MNLI_m", "MNLI_mm", "QNLI"]
    assert "copied" in found.note
    assert "BitFit on QNLI" in found.note
    averaged = claim_of(check | {"on": "average"})
    assert (
        judging.judge(made, averaged, gathering.gather_all([empty("transferability/table1")])).printed
        == "cannot be judged"
    )


def test_a_strategy_that_always_diverged_cannot_be_judged(tmp_path: Path) -> None:
    made = small(tasks=["rte"], learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5)
    for run in runs(made, strategy="layernorm"):
        write(tmp_path, run, {}, "diverged")
    assert judge(tmp_path, made, BETTER).verdict == "cannot be judged"


def test_what_no_paper_printed_and_what_nothing_chooses_is_not_gathered(tmp_path: Path) -> None:
    validation = {"validation_share": 0.1, "restore_best": True}
    for training, held_out in (({}, False), (validation, True)):
        recipe = small(tasks=["rte"], training=training)
        for run in runs(recipe):
            write(tmp_path, run, {split: {"accuracy": 0.5} for split in ("validation", "test")})
        gathered = gathering.gather_all([build.tabulate(recipe, selection.outcomes(plan.expand(recipe), tmp_path))])
        assert (gathered.printed, gathered.by_test is not None) == (None, held_out)
    paper = gathering.gather_all([empty("transferability/table1")])
    assert paper.printed is not None
    assert {number.values for number in paper.printed.numbers} == {None}
    assert paper.by_test is None
