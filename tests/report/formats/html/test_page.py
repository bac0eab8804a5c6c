"""The HTML report: sound, whole by itself, readable everywhere, and with nothing that a record turned into markup."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from peftcli.experiment import recipe as recipes
from peftcli.experiment.plan import Planned
from peftcli.report import figures, summary
from peftcli.report.figures import Drawing
from peftcli.report.formats import html
from peftcli.report.formats.html import elements, pictures
from tests import synthetic, written_records
from tests.outline import Outline

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> & $x$ \x1b[31m"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files"),
)


def page_of(recipe: recipes.Recipe, output: Path) -> str:
    return html.render(summary.summarise(recipe, output, True), figures.draw_all(figures.study(recipe, output)))


def printed_recipe() -> recipes.Recipe:
    """Freezing's Table I with few seeds, where a paper's numbers, figures and claims come together."""
    return recipes.load(recipes.find("freezing/table1"), {"seeds": 2})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a whole recipe in which some runs are missing, failed, diverged or collapsed."""
    folder = tmp_path_factory.mktemp("page")
    recipe = printed_recipe()
    synthetic.write_all(recipe, folder, _odd, points=20)
    return page_of(recipe, folder)


def _odd(planned: Planned) -> str:
    at = (planned.strategy, planned.task, planned.run.seed)
    return {
        (1, 1, 0): "diverged",
        (2, 0, 1): "failed",
        (3, 2, 0): "missing",
        (3, 2, 1): "missing",
        (4, 0, 0): "collapsed",
    }.get(at, "completed")


def test_a_page_is_sound_and_needs_nothing_else(page: str) -> None:
    outline = Outline(page)
    assert page.startswith("<!doctype html>")
    assert len(page.encode()) < 3_000_000
    assert outline.all("html") == [{"lang": "en"}]
    assert len(outline.all("h1")) == 1
    assert not outline.all("script")
    assert not outline.all("link")
    for _, attributes in outline.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href", "data", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/png;base64,"))
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page


def test_ids_are_unique_and_every_reference_is_there(page: str) -> None:
    outline = Outline(page)
    ids = Counter(attributes["id"] for _, attributes in outline.elements if "id" in attributes)
    assert max(ids.values()) == 1
    used = {value for _, a in outline.elements for name in ("href", "xlink:href") if (value := a.get(name))}
    used |= {f"#{name}" for _, a in outline.elements if (name := a.get("aria-labelledby"))}
    used |= set(re.findall(r"url\((#[^)]+)\)", page))
    assert {name[1:] for name in used if name.startswith("#")} <= set(ids)


def test_tables_and_figures_can_be_read_by_ear(page: str) -> None:
    outline = Outline(page)
    assert outline.all("th")
    assert all(attributes.get("scope") for attributes in outline.all("th"))
    assert len(outline.all("caption")) == len(outline.all("table")) == 3
    pictures_ = outline.all("svg")
    assert len(pictures_) == 7
    assert all(attributes.get("role") == "img" and attributes.get("aria-labelledby") for attributes in pictures_)
    assert "Full on CoLA:" in outline.words  # what a figure shows, in words
    headings = [name for name, _ in outline.elements if name in ("h1", "h2", "h3")]
    assert headings == ["h1", *["h2"] * 8]
    regions = [a for _, a in outline.elements if a.get("role") == "region"]
    assert all(a.get("aria-label") and a.get("tabindex") == "0" for a in regions)


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
            assert words == f"{cell.mean:.1f}±{cell.std:.1f}printed {printed}difference 0.0"


def test_what_is_incomplete_shows(page: str) -> None:
    words = Outline(page).words
    assert "99 of 104 planned runs completed" in words or re.search(r"\d+ of \d+ planned runs completed", words)
    for state in ("completed", "diverged", "failed", "damaged", "missing"):
        assert re.search(rf"{state} \d+ of \d+", words)
    assert "rte bitfit lr=0.0001 seed=0: diverged: loss or weights not finite at step 500" in words
    assert "RuntimeError: <b>no</b> memory & more" in words  # as text
    assert "<b>no</b>" not in page
    assert "sst2 random" in words
    assert "runs that collapsed to one answer" in words
    assert "Fewer values than runs" in words


def test_an_empty_folder_gives_a_page_that_says_so(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("freezing/table2"))
    words = Outline(page_of(recipe, tmp_path / "none")).words
    assert re.search(r": 0 of (\d+) planned runs completed", words)
    assert "No record says." in words
    assert "not enough runs" in words


def test_claims_have_verdicts_and_numbers(page: str) -> None:
    words = Outline(page).words
    report = recipes.load(recipes.find("freezing/table1"))
    for claim in report.claims:
        assert claim["claim"] in words
    assert page.count('class="badge ') == len(report.claims)
    assert "On the paper's printed numbers: does not hold." in words


def test_nothing_from_a_recipe_or_record_becomes_markup(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "title": HOSTILE,
        "model": "minilm",
        "tasks": [{"rte": {"label": HOSTILE}}],
        "strategies": [{"full": {"label": HOSTILE}}],
        "learning_rates": [1e-4],
        "seeds": 3,
        "notes": [HOSTILE],
        "figures": [{"kind": "bars", "name": "one", "title": HOSTILE, "caption": HOSTILE}],
        "claims": [{"claim": HOSTILE, "where": HOSTILE, "checks": [{"kind": "best", "among": "full"}]}],
    }
    path = tmp_path / "hostile.yaml"
    path.write_text(f"# {HOSTILE}".replace("\x1b", ""))
    recipe = recipes.build(given, path, {})
    study = figures.study(recipe, tmp_path / "results")
    for outcome in study.outcomes:
        state = "failed" if outcome.run.seed else "completed"
        environment = {"device": HOSTILE, "packages": {HOSTILE: HOSTILE}, HOSTILE: HOSTILE}
        written_records.write(
            tmp_path / "results", outcome.run, {"validation": {"accuracy": 0.5}}, status=state, environment=environment,
            error=HOSTILE if outcome.run.seed else None,
        )  # fmt: skip
    path.write_text("title: x\n# <script>alert(2)</script>\n")
    page = page_of(recipe, tmp_path / "results")
    outline = Outline(page)
    assert not outline.all("script")
    assert not outline.all("img")
    assert not any(name.startswith("on") for _, attributes in outline.elements for name in attributes)
    assert "\x1b" not in page
    assert outline.words.count("<script>alert(1)</script>") > 8
    assert "<script>alert(2)</script>" in outline.words


def test_elements_escape_text_and_attributes_but_not_markup() -> None:
    inner = elements.tag("b", "a & b")
    assert elements.tag("p", inner, "<i>", class_='"x"', open=None) == (
        '<p class="&quot;x&quot;"><b>a &amp; b</b>&lt;i&gt;</p>'
    )
    assert elements.preformatted("a <b>\n  c").count("\n") == 1


def test_the_frame_escapes_what_nobody_escaped() -> None:
    """Whoever forgets to escape a word for the page has it shown, not run."""
    page = html._template().render(title="<i>a</i>", lead="b", css=elements.Markup("a > b {}"), sections=[])
    assert "<title>&lt;i&gt;a&lt;/i&gt;</title><style>a > b {}</style>" in page


def test_a_figure_without_room_is_named_instead() -> None:
    small = b'<svg width="10pt" height="10pt" viewBox="0 0 10 10" version="1.1"><path d="M 0 0"/></svg>'
    large = small.replace(b"M 0 0", b"M 0 0 " * 500_000)
    drawings = [Drawing(name, name, "", "", svg, b"") for name, svg in (("a", small), ("b", large), ("c", small))]
    page = pictures.render(drawings)
    assert len(page) < 3_000_000
    assert "b is left out here" in page
    assert page.count("<svg") == 2


def test_the_same_records_give_the_same_page(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("effectiveness/figure3"))
    synthetic.write_all(recipe, tmp_path)
    assert page_of(recipe, tmp_path) == page_of(recipe, tmp_path)


# ---- in a browser


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_no_sideways_scrolling_and_no_console_error(tmp_path: Path, page: str) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    (tmp_path / "frame.html").write_text(
        """<!doctype html><body><script>
        const found = [];
        for (const width of [390, 1280]) {
          const frame = document.createElement("iframe");
          frame.style = `width:${width}px;height:900px;border:0`;
          frame.onload = () => {
            const inside = frame.contentDocument;
            for (const part of inside.querySelectorAll("details")) part.open = true;
            const widest = Math.max(...[...inside.body.querySelectorAll("p, h1, h2, li, dl, figure, .scroll, pre")].map(
              part => part.getBoundingClientRect().right));
            const root = inside.documentElement;
            found.push([width, root.scrollWidth - root.clientWidth, Math.ceil(widest) - root.clientWidth].join("/"));
            document.body.dataset.found = found.join(" ");
          };
          frame.src = "report.html";
          document.body.append(frame);
        }
        </script></body>"""
    )
    given = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000"]
    given += ["--enable-logging=stderr", "--v=0", "--dump-dom", (tmp_path / "frame.html").as_uri()]
    ran = subprocess.run(list(map(str, given)), capture_output=True, text=True, timeout=120, check=True)
    measured = re.search(r'data-found="([^"]+)"', ran.stdout)
    assert measured is not None, ran.stdout[:500]
    sizes = sorted(tuple(map(int, one.split("/"))) for one in measured.group(1).split())
    assert [width for width, _, _ in sizes] == [390, 1280]
    for _, beyond, widest in sizes:
        assert beyond == 0
        assert widest <= 0
    assert [line for line in ran.stderr.splitlines() if "CONSOLE" in line] == []
