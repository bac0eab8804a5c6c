"""Verdicts: of several findings the one that weighs most decides."""

from peftcli.report.claims.verdicts import Finding, Verdict, overall


def finding(verdict: Verdict) -> Finding:
    return Finding(verdict, "rule", (), "test")


def test_one_finding_against_it_decides_then_open_ones() -> None:
    held, lost, few, not_judged = map(finding, ("holds", "does not hold", "not enough runs", "cannot be judged"))
    assert overall([held, held]) == "holds"
    assert overall([held, few]) == "not enough runs"
    assert overall([few, not_judged, held]) == "cannot be judged"
    assert overall([few, not_judged, lost]) == "does not hold"
    assert overall([]) == "cannot be judged"
