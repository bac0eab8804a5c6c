"""The words of claims: what cannot be read is told in one line, and a kind of check is added by one registration."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from peftcli.errors import UserError
from peftcli.experiment.recipe import Recipe
from peftcli.report import summary
from peftcli.report.claims import spec
from peftcli.report.claims.evidence import Evidence
from peftcli.report.claims.steps import AS_PRINTED, conclude
from peftcli.report.claims.verdicts import Finding, Step
from tests.written_records import fill, small

CLAIM = {"claim": "-", "where": "-"}
BETTER = {"kind": "better", "strategies": "layernorm", "than": "full"}


def claims_of(*checks: Any, **more: Any) -> Recipe:
    return small(claims=[{**CLAIM, "checks": list(checks), **more}])


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (claims_of({"kind": "bettr"}), "unknown kind of check 'bettr': did you mean 'better'"),
        (claims_of("better"), "unknown kind of check ''"),
        (claims_of(BETTER | {"then": "full"}), "unknown key 'then': did you mean 'than'"),
        (claims_of(BETTER | {"measure": "median"}), "unknown value 'median'"),
        (claims_of(BETTER, quote="x"), "unknown key 'quote'"),
        (claims_of(), "checks"),
        (claims_of(BETTER | {"strategies": "layernrm"}), "unknown strategy of a claim 'layernrm': did you mean"),
        (claims_of(BETTER | {"on": "rtee"}), "unknown column of a claim 'rtee': did you mean 'rte'"),
        (claims_of(BETTER, tables=["none.yaml"]), "cannot read recipe"),
    ],
)
def test_a_claim_that_cannot_be_read_is_told_in_one_line(tmp_path: Path, made: Recipe, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        summary.summarise(made, tmp_path, False)
    assert "\n" not in str(caught.value)


def test_every_option_of_every_kind_is_described() -> None:
    assert len(spec.KINDS) == 19
    for word, kind in spec.KINDS.items():
        for name, field in kind.options.model_fields.items():
            assert field.description, (word, name)
            assert field.description.endswith("."), (word, name)


@pytest.fixture
def exactly() -> Iterator[None]:
    """A made-up kind of check, there for one test."""

    class Exactly(spec.Check):
        kind: Literal["exactly"] = Field(description="A mean is a number as printed.")
        strategy: str = Field(description="The strategy.")
        mean: float = Field(description="The number.")

    @spec.judges(Exactly)
    def exactly(check: Exactly, evidence: Evidence) -> Finding:
        (number,) = evidence.rows([check.strategy], evidence.columns(check.on)[0])
        return conclude([Step(number.text("mean"), number.get("mean") == check.mean)], "exactly", AS_PRINTED)

    yield
    del spec.KINDS["exactly"]


@pytest.mark.usefixtures("exactly")
def test_a_kind_is_added_by_one_registration(tmp_path: Path) -> None:
    check = {"kind": "exactly", "strategy": "full", "on": "rte", "mean": 62.5}
    with pytest.raises(UserError, match=r"claim 1: checks\.0\.exactly\.mean: '62' "):
        spec.read(claims_of(check | {"mean": "62"}))
    made = small(learning_rates=[1e-3], claims=[{**CLAIM, "checks": [check | {"mean": mean}]} for mean in (62.5, 62)])
    fill(made, tmp_path, lambda run: 0.625)
    first, second = summary.summarise(made, tmp_path, False).claims
    assert (first.verdict, first.findings[0].steps[0].text) == ("holds", "62.5")
    assert second.verdict == "does not hold"


def test_a_kind_that_is_gone_is_unknown_again() -> None:
    with pytest.raises(UserError, match="unknown kind of check 'exactly'"):
        spec.read(claims_of({"kind": "exactly", "strategy": "full", "mean": 1.0}))
