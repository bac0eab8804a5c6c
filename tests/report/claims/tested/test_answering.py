"""A claim's tested answer is that of all its checks; Holm's adjustment over claims is statsmodels'."""

from dataclasses import replace
from pathlib import Path

import pytest
from statsmodels.stats.multitest import multipletests

from peftcli.report import summary
from peftcli.report.claims import spec
from peftcli.report.claims.evidence import Evidence
from peftcli.report.claims.tested import answering
from tests.report.claims.cases import BETTER, claim_of
from tests.report.claims.samples import A, B, C, of
from tests.written_records import fill, small

EVIDENCE = Evidence((of("a", A), of("b", B), of("c", C)))
AB, AC = ({"kind": "better", "strategies": "a", "than": than} for than in "bc")
OVERLAP = {"kind": "overlap", "strategies": "a", "than": "b"}


def claim(*checks: dict[str, object]) -> spec.Claim:
    return spec.parse({"claim": "-", "checks": list(checks)}, "-")


def test_all_checks_must_be_shown() -> None:
    ab, ac, both = (answering.answer(claim(*checks), EVIDENCE) for checks in ((AB,), (AC,), (AB, AC)))
    assert ab.p_value is not None
    assert ac.p_value is not None
    assert both.p_value == max(ab.p_value, ac.p_value)
    assert both.answer == "supported"


def test_with_a_check_without_a_test_nothing_is_known_of_the_whole_but_that_it_fails() -> None:
    found = answering.answer(claim(AB, OVERLAP), EVIDENCE)
    assert (found.answer, found.why_not, found.p_value, found.seeds) == (
        "cannot be judged",
        "no valid test",
        None,
        None,
    )
    against = {"kind": "better", "strategies": "c", "than": "a"}
    assert answering.answer(claim(against, OVERLAP), EVIDENCE).answer == "contradicted"


def test_of_other_runs_than_the_papers_nothing_is_said() -> None:
    found = answering.unjudged(answering.answer(claim_of(AB), EVIDENCE), "another model")
    assert (found.answer, found.why_not, found.p_value) == ("cannot be judged", "another model", None)
    assert found.checks[0].answer == "supported", "the comparisons stand"


def test_holm_over_the_claims_that_were_tested(tmp_path: Path) -> None:
    checks = [
        BETTER,
        BETTER | {"by": 1.5},
        {"kind": "overlap", "strategies": "layernorm", "than": "full"},
        BETTER | {"by": 3},
    ]
    claims = [{"claim": "-", "checks": [check]} for check in checks]
    made = small(learning_rates=[1e-3], seeds=5, tasks=["rte"], claims=claims)
    fill(made, tmp_path, lambda run: 0.5 + (run.strategy == "layernorm") / 50 + (run.seed * run.seed % 3) / 100)
    write = [0.52, 0.55, 0.54, 0.51, 0.53]
    fill(made, tmp_path / "other", lambda run: 0.5 + run.seed / 500 if run.strategy == "full" else write[run.seed])
    judged = summary.summarise(made, tmp_path / "other", False).claims
    tested = [claim.tested for claim in judged if claim.tested is not None]
    ps = [each.p_value for each in tested if each.p_value is not None]
    assert len(ps) == 3
    assert [each.holm for each in tested if each.holm is not None] == pytest.approx(multipletests(ps, method="holm")[1])
    assert tested[2].holm is None
    assert [each.printed_tested for each in judged] == [None] * 4
    again = answering.adjusted([replace(claim, tested=None) for claim in judged])
    assert [claim.tested for claim in again] == [None] * 4
