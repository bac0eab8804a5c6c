"""Verdicts on our own runs: holds, does not hold, not enough runs, cannot be judged."""

from pathlib import Path

from tests.report.claims.cases import BETTER, judge
from tests.written_records import fill, small


def test_verdicts_on_our_runs(tmp_path: Path) -> None:
    made = small(seeds=6, learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5 + (run.strategy == "layernorm") / 10 + run.seed / 1000)
    found = judge(tmp_path, made, BETTER)
    assert (found.verdict, found.printed, found.printed_findings) == ("holds", "cannot be judged", ())
    assert found.findings[0].steps[0].text == "rte: layernorm 60.2, full 50.2 (+10.0)"
    assert found.findings[0].test == "compared as printed"
    assert judge(tmp_path, made, BETTER | {"by": 10.0}).verdict == "holds"
    assert judge(tmp_path, made, BETTER | {"by": 10.1}).verdict == "does not hold"
    assert (
        judge(tmp_path, made, {"kind": "better", "strategies": "full", "than": "layernorm"}).verdict == "does not hold"
    )
