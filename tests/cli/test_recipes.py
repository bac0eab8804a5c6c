"""Every command that loads a recipe checks the whole of it, before torch is imported or anything is trained."""

from pathlib import Path

import pytest

from tests import commandline
from tests.commandline import Command

RECIPE = """
title: mine
model: minilm
tasks: [rte]
strategies: [layernorm, full]
learning_rates: [1e-3]
seeds: [0]
"""
SLIPS = {
    "table: {decimalz: 2}": "table: unknown key 'decimalz': did you mean 'decimals'?",
    "figures: [{name: one, kind: bars, strategies: [ful]}]": "unknown strategy of this figure 'ful'",
    "claims: [{claim: it holds, checks: [{kind: best, among: ful}]}]": "unknown strategy of a claim 'ful'",
}
COMMANDS = ("sweep", "plan", "params", "doctor", "prefetch", "report")


@pytest.mark.parametrize("slip", SLIPS)
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_names_the_slip(peftcli: Command, tmp_path: Path, command: str, slip: str) -> None:
    (tmp_path / "mine.yaml").write_text(RECIPE + slip)
    ended = peftcli(command, tmp_path / "mine.yaml")
    assert ended.is_one_line
    assert ended.err.startswith("peftcli: recipe mine.yaml: ")
    assert SLIPS[slip] in ended.err


def test_a_table_s_slip_may_be_set_on_the_command_line(peftcli: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(RECIPE + "table: {decimals: 2}")
    assert peftcli("plan", tmp_path / "mine.yaml", "--set", "table.decimals=3").code == 0
    for pair in ("table.decimalz=3", "table.reference=ful", "figures=[{name: a, kind: pie}]", "claims=[{claim: a}]"):
        assert peftcli("plan", tmp_path / "mine.yaml", "--set", pair).is_one_line, pair


def test_a_part_of_a_recipe_may_be_planned_though_claims_are_about_the_rest(peftcli: Command, tmp_path: Path) -> None:
    claim = "claims: [{claim: it holds, checks: [{kind: better, strategies: layernorm, than: full, on: rte}]}]"
    (tmp_path / "mine.yaml").write_text(RECIPE + claim)
    for pair in ("strategies=[layernorm]", "tasks=[cola]", "learning_rates=[1e-4]"):
        assert peftcli("plan", tmp_path / "mine.yaml", "--set", pair).code == 0, pair


def test_the_check_starts_no_heavy_library_and_takes_little_time(tmp_path: Path) -> None:
    claim = "claims: [{claim: it holds, checks: [{kind: better, strategies: layernorm, than: full}]}]\n"
    (tmp_path / "mine.yaml").write_text(f"{RECIPE}{claim}figures: [{{name: one, kind: bars}}]\n")
    planned = commandline.fresh(("plan", tmp_path / "mine.yaml"))
    assert planned.heavy == ()
    assert planned.seconds < 1.5  # 0.5 of processor time on one core of 2 GHz
