"""The HTML report: sound, whole by itself, readable everywhere, and with nothing that a record turned into markup."""

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from peftcli.experiment import recipe as recipes
from peftcli.report import figures
from tests import synthetic, written_records
from tests.outline import Outline
from tests.report.formats.html import pages
from tests.report.formats.html.pages import page_of

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> & $x$ \x1b[31m"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files"),
)


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
    assert len(outline.all("caption")) == len(outline.all("table")) == 4
    pictures_ = outline.all("svg")
    assert len(pictures_) == 7
    assert all(attributes.get("role") == "img" and attributes.get("aria-labelledby") for attributes in pictures_)
    assert "Full on CoLA:" in outline.words  # what a figure shows, in words
    headings = [name for name, _ in outline.elements if name in ("h1", "h2", "h3")]
    assert headings == ["h1", *["h2"] * 6, "h3", *["h2"] * 2]  # what a run took stands below the cost
    regions = [a for _, a in outline.elements if a.get("role") == "region"]
    assert all(a.get("aria-label") and a.get("tabindex") == "0" for a in regions)


@pytest.mark.whole
def test_a_page_with_every_panel_is_sound_too(tmp_path: Path) -> None:
    recipe = pages.printed_recipe(every_panel=True)
    synthetic.write_all(recipe, tmp_path, pages.odd, points=20)
    page = page_of(recipe, tmp_path)
    test_a_page_is_sound_and_needs_nothing_else(page)
    test_ids_are_unique_and_every_reference_is_there(page)
    test_tables_and_figures_can_be_read_by_ear(page)


def test_an_empty_folder_gives_a_page_that_says_so(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("freezing/table2"))
    words = Outline(page_of(recipe, tmp_path / "none")).words
    assert re.search(r": 0 of (\d+) planned runs completed", words)
    assert "No record says." in words
    assert "not enough runs" in words


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
    path.write_text(f"{json.dumps(given)}\n# <script>alert(2)</script>\n")  # JSON is YAML
    page = page_of(recipe, tmp_path / "results")
    outline = Outline(page)
    assert not outline.all("script")
    assert not outline.all("img")
    assert not any(name.startswith("on") for _, attributes in outline.elements for name in attributes)
    assert "\x1b" not in page
    assert outline.words.count("<script>alert(1)</script>") > 8
    assert "<script>alert(2)</script>" in outline.words


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
