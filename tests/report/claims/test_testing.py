"""Checks that test: Welch and Spearman against scipy, and runs that are too few."""

from pathlib import Path

from scipy import stats

from peftcli.report.claims import gathering, judging, testing
from peftcli.report.claims.evidence import Evidence
from tests.report.claims.cases import claim_of, empty, judge
from tests.report.claims.test_evidence import number
from tests.written_records import fill, load, small


def test_welch_equals_scipy(tmp_path: Path) -> None:
    made = small(tasks=["rte"], learning_rates=[1e-3], seeds=5)
    ours, theirs = [0.61, 0.62, 0.60, 0.63, 0.60], [0.58, 0.62, 0.57, 0.60, 0.59]
    fill(made, tmp_path, lambda run: (ours if run.strategy == "layernorm" else theirs)[run.seed])
    p_value = stats.ttest_ind(ours, theirs, equal_var=False).pvalue
    for wanted, holds in (("higher", p_value < 0.05), ("lower", False), ("not different", p_value >= 0.05)):
        found = judge(tmp_path, made, {"kind": "welch", "strategies": "layernorm", "than": "full", "is": wanted})
        assert found.verdict == ("holds" if holds else "does not hold")
        assert found.findings[0].steps[0].text.endswith(f"p = {p_value:.2g}")


def test_a_trend_over_an_option_is_spearmans(tmp_path: Path) -> None:
    strategies = [{"magpruning": {"share": share}} for share in (0.001, 0.01, 0.05, 0.1, 0.2)]
    made = small(tasks=["rte"], learning_rates=[1e-3], strategies=strategies)
    fill(made, tmp_path, lambda run: 0.5 + run.options["share"])
    check = {"kind": "trend", "strategy": "magpruning", "option": "share", "direction": "rises"}
    found = judge(tmp_path, made, check)
    assert found.verdict == "holds"
    assert found.findings[0].steps[0].text.startswith("rte: mean and share: rho = 1.000, p = 0.017, n = 5")
    assert judge(tmp_path, made, check | {"direction": "falls"}).verdict == "does not hold"


def test_table_1_alone_and_table_2_alone_correlate_as_their_cells_say() -> None:
    for name, rho in (("effectiveness/table1", "0.486"), ("effectiveness/table2", "0.351")):
        claim = claim_of({"kind": "rank correlation"})
        found = judging.judge(load(name), claim, gathering.gather_all([empty(name)]))
        assert f"rho = {rho}" in found.printed_findings[0].steps[0].text


def test_runs_of_one_seed_are_one_value_of_welchs_test() -> None:
    """Seven runs of five seeds, as BitFit's on SST-2 are: the cell counts seven, the test the five seeds' means."""
    common = {"strategies": "a", "than": "b", "is": "different", "kind": "welch", "on": "rte"}
    values = {0: 61.0, 1: 62.0, 2: 60.0, 3: 63.0, 4: 60.0}
    repeated = number(61.5, 0.9, strategy="a", label="a", n=7, values=values)
    other = {seed: value - 2 for seed, value in zip((5, 6, 7, 8, 9), (62.0, 61.5, 60.5, 63.0, 59.0), strict=True)}
    theirs = number(59.2, 1.5, strategy="b", label="b", n=5, values=other)
    finding = testing.welch(testing.Welch.model_validate(common), Evidence((repeated, theirs)))
    p_value = stats.ttest_ind(list(values.values()), list(other.values()), equal_var=False).pvalue
    assert finding.steps[0].text == f"RTE: a 61.5±0.9, b 59.2±1.5, p = {p_value:.2g}"
