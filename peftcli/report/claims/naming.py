"""What a claim names, looked for before there is any number: its columns, strategies and options."""

from peftcli.errors import UserError, unknown
from peftcli.report import printed
from peftcli.report.claims.evidence import Evidence
from peftcli.report.claims.spec import Check, Claim


def check(claim: Claim, evidence: Evidence) -> None:
    """Refuse a claim about a column, a strategy, an option or a file of points that is not there. Raises UserError.

    A judge would find the same once there are numbers, but not every one looks at each name.
    """
    for each in claim.checks:
        evidence.columns(each.on)
        for file, columns in each.files_of_points().items() if evidence.beside else ():
            printed.read(evidence.beside / file, columns)
        for name in each.strategy_names():
            _check_options(each, evidence, name)


def _check_options(check: Check, evidence: Evidence, name: str) -> None:
    """Refuse options that the check says rows differ or agree in, and that none of the strategy's rows has."""
    rows = evidence.of_strategy(name)
    legal = {option: None for number in rows for option in (*number.options, *number.setting)}
    for option in check.option_names():
        if option not in legal:
            raise UserError(f"{name}: {unknown('option of a claim', option, legal)}")
