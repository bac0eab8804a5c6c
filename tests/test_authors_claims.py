"""The freezing paper's claims on its author's runs: what recipes/freezing/README.md lists is what its commands make."""

import re
import shlex
from pathlib import Path

import pytest

from peftcli.experiment import recipe as recipes
from peftcli.report import figures, summary
from peftcli.report.claims.evidence import best
from peftcli.report.claims.gathering import gather
from peftcli.report.figures import bars
from peftcli.report.summary import Report
from tests import commandline
from tests.written_records import unsynced

README = (recipes.root() / "freezing" / "README.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in README.splitlines() if line.startswith("|")][
    2:
]


def summarised(output: Path, name: str) -> Report:
    return summary.summarise(recipes.load(recipes.find(f"freezing/{name}")), output, False)


def test_the_readme_lists_the_verdicts_that_its_commands_make(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    peftcli = commandline.runner(monkeypatch, capsys)
    monkeypatch.chdir(tmp_path)
    imports = re.findall(r"^peftcli (import .*)$", README, re.MULTILINE)
    with unsynced():
        for line in imports:
            ended = peftcli(*shlex.split(line))
            assert ended.code == 0, ended.err
    assert len(imports) == 4
    names = list(dict.fromkeys(row[0] for row in ROWS))
    judged = [(name, claim) for name in names for claim in summarised(tmp_path / "author", name).claims]
    verdicts = []
    for name, c in judged:
        in_print = c.printed_tested.answer if c.printed_tested else "cannot be judged"
        tested = c.tested.answer if c.tested else ""
        verdicts.append([name, c.claim, c.printed, in_print, c.verdict, tested, c.by_test or "same rates"])
    assert [row[:7] for row in ROWS] == verdicts
    for (_, claim), row in zip(judged, ROWS, strict=True):
        steps = [step.text for finding in claim.findings for step in finding.steps]
        for quoted in re.findall(r"`([^`]*)`", row[7]):
            assert any(quoted in step for step in steps), quoted

    evidence = gather([summarised(tmp_path / "author", "table1").table], printed=False)
    cells = [evidence.rows([name], key) for key in evidence.columns(None) for name in ("bitfit", "layernorm")]
    by_test = [max(rates, key=lambda number: number.mean or 0.0) for rates in cells]
    differ = sum(best(rates, "mean") is not shown for rates, shown in zip(cells, by_test, strict=True))
    assert f"another one in {differ} of the {len(cells)} cells" in README

    figure_7_leaves_the_failed_run_on_cola_out_and_no_other(tmp_path / "author")


def figure_7_leaves_the_failed_run_on_cola_out_and_no_other(output: Path) -> None:
    study = figures.study(recipes.load(recipes.find("freezing/table1")), output)
    (spec,) = (spec for spec in figures.parse_all(study.recipe.figures) if spec.name == "figure7")
    assert isinstance(spec, bars.Bars)
    drawn = {point.label: point for point in bars.collect(spec, study)}
    assert {label: point.n for label, point in drawn.items() if point.unlearned} == {"InitBias+BitFit on CoLA": 9}
    # Ten runs come to 48.841, the failed one to 9.645: (488.41 - 9.645) / 9.
    assert drawn["InitBias+BitFit on CoLA"].mean == pytest.approx(53.196, abs=1e-3)
    # At the rates of the best printed cells every other bar is what Table I prints.
    others = [point for label, point in drawn.items() if label != "InitBias+BitFit on CoLA"]
    assert [point.mean for point in others] == pytest.approx([point.printed for point in others], abs=0.051)


def test_what_the_verdicts_change() -> None:
    """Held-out examples take one claim away from the author's runs that printed cells hold, and Figure 6 is judged."""
    changed = {(row[0], row[2], row[4], row[6]) for row in ROWS if row[2] != row[4]}
    assert changed == {
        ("table1", "holds", "does not hold", "holds"),
        ("figure6", "cannot be judged", "holds", "same rates"),
    }
