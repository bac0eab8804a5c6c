"""The page's table: the printed number and the difference stand below ours, and every cell says what it was made from."""

import re
from pathlib import Path

from peftcli.experiment import recipe as recipes
from peftcli.report import summary
from peftcli.report.formats import html
from peftcli.report.formats.html import tables
from tests import written_records
from tests.written_records import fill, runs, small, write


def test_printed_numbers_stand_beside_ours(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("transferability/table4"))
    written_records.from_published(recipe, tmp_path)
    report = summary.summarise(recipe, tmp_path, False)
    page = html.render(report, [])
    rows = re.findall(r"<tr>(.*?)</tr>", page.split("<tbody>")[1].split("</tbody>")[0])
    assert len(rows) == len(report.table.rows)
    for row, wanted in zip(rows, report.table.rows, strict=True):
        cells = re.findall(r"<td>(.*?)</td>", row)[1:]
        for text, cell in zip(cells, wanted.cells, strict=True):
            assert cell is not None
            assert cell.published is not None
            words = re.sub(r"<[^>]+>", "", text)
            printed = f"{cell.published.mean:.1f}±{cell.published.std:.1f}"
            words = words.replace("§", "")
            assert words == f"{cell.mean:.1f}±{cell.std:.1f}printed {printed}difference 0.0"


def test_every_cell_says_what_it_was_made_from(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-3])
    fill(recipe, tmp_path, lambda run: 0.5 + run.seed / 10)
    write(tmp_path, runs(recipe)[2], {}, "diverged")
    page = tables.render(summary.summarise(recipe, tmp_path, False).table)
    details = page.split(">Every cell</caption>")[1]
    row = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", details.split("<tbody>")[1])
    # Two of three seeds, 50 and 60 %: the mean is 55, the deviation the root of 50.
    assert row == ["full", "rte", "accuracy", "55.00", "7.07 (ddof 1)", "2 of 3", "1e-3", "0", "1 of 3"]
    assert "The recipe names no printed numbers." in page
