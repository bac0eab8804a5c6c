"""Make `results/README.md`, its figure and the front page's table from the records in `results/minilm`: `make study`.

The words are in `docs/study.md`; a line in braces there is filled in from the records: `{report RECIPE}` by `peftcli report`.
"""

import functools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from peftcli.experiment import plan, recipe
from peftcli.report import figures
from peftcli.report.report import report
from peftcli.report.statistics import contrast
from peftcli.report.statistics.contrast import Sample
from peftcli.report.table import selection
from peftcli.report.table.selection import Outcome

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "results/minilm"
PAGE, FRONT, WORDS = ROOT / "results/README.md", ROOT / "README.md", ROOT / "docs/study.md"
MAIN = "minilm/modules"
BEGIN, END = "<!-- study: made by docs/study.py -->\n", "<!-- study ends -->\n"


def outcomes(name: str) -> list[Outcome]:
    """What became of every run that a recipe plans."""
    return selection.outcomes(plan.expand(recipe.load(recipe.find(name))), RECORDS)


@functools.cache  # the page and the front page show the same one
def of_report(name: str) -> str:
    """A recipe's report in Markdown, as `peftcli report` writes it."""
    return report(recipe.load(recipe.find(name)), RECORDS, "markdown").rstrip("\n")


def state(names: Iterable[str]) -> str:
    """Say of each recipe how many of its runs are recorded here, and which of its cells have fewer than are planned."""
    lines = []
    for name in names:
        every = outcomes(name)
        ended = [each for each in every if each.state != "missing"]
        left = dict.fromkeys(_cell(each) for each in every if each.state == "missing")
        which = f": not complete are {', '.join(left)}" if ended and left else ""
        lines.append(f"- `{name}`: {len(ended)} of {len(every)} runs are here{which}.")
    return "\n".join(lines)


def _cell(outcome: Outcome) -> str:
    run = outcome.run
    options = ",".join(f"{key}={value}" for key, value in run.options.items() if value not in (None, False))
    return f"{run.task} {run.strategy}{f':{options}' if run.strategy.startswith('layernorm') and options else ''}"


def trainer() -> str:
    """Set the Trainer's scores beside ours for the same runs: a table, the difference with Welch's 95 % interval."""
    file = RECORDS / "trainer.json"
    theirs = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    if not theirs:
        return "Not run yet."
    ours = {each.run.id: each.value("test", "spearman") for each in outcomes(MAIN)}
    lines = [
        "| strategy | rate | seeds | peftcli | Trainer | difference | 95 % interval |",
        "| :-- | --: | :-- | --: | --: | --: | :-- |",
    ]
    for cell in dict.fromkeys((entry["strategy"], entry["learning_rate"]) for entry in theirs):
        entries = [entry for entry in theirs if (entry["strategy"], entry["learning_rate"]) == cell]
        both = [_sample(entries, lambda entry: ours[entry["id"]]), _sample(entries, lambda entry: entry["spearman"])]
        between = contrast.contrast(both[0], both[1], paired=False)
        ends = between.interval()
        interval = f"[{100 * ends[0]:+.1f}, {100 * ends[1]:+.1f}]" if ends else between.why_not
        seeds = ", ".join(str(entry["seed"]) for entry in entries)
        scores = " | ".join(f"{100 * each.mean:.1f} ± {100 * (each.deviation or 0):.1f}" for each in both)
        lines.append(f"| {cell[0]} | {cell[1]:g} | {seeds} | {scores} | {100 * between.estimate:+.1f} | {interval} |")
    return "\n".join(lines)


def _sample(entries: Sequence[dict[str, Any]], value: Callable[[dict[str, Any]], float | None]) -> Sample:
    sample = Sample.of({entry["seed"]: value(entry) for entry in entries})
    assert sample is not None, "the Trainer's runs without ours"
    return sample


def filled(words: str) -> str:
    """The page: its words, with every line in braces made from the records."""
    recipes = [f"minilm/{file.stem}" for file in sorted((ROOT / "recipes/minilm").glob("*.yaml"))]
    words = words.replace("{state}", state(recipes)).replace("{trainer}", trainer())
    return re.sub(r"^\{report ([\w/]+)\}$", lambda match: of_report(match[1]), words, flags=re.MULTILINE)


def front(page: str) -> str:
    """The front page, with the main report's first table between its two marks."""
    lines = of_report(MAIN).splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("|"))
    table = lines[first : lines.index("", first)]
    before, begin, rest = page.partition(BEGIN)
    assert begin, "the front page has lost the mark before its table"
    assert END in rest, "the front page has lost the mark behind its table"
    return before + BEGIN + "\n".join(["", *table, "", END]) + rest.partition(END)[2]


def contents() -> dict[Path, bytes]:
    """What each file should hold."""
    main = recipe.load(recipe.find(MAIN))
    study = figures.Study(main, outcomes(MAIN), RECORDS)
    drawn = {RECORDS / f"modules-{each.name}.svg": each.svg for each in figures.draw_all(study)}
    pages = {PAGE: filled(WORDS.read_text(encoding="utf-8")), FRONT: front(FRONT.read_text(encoding="utf-8"))}
    return {**{file: text.encode() for file, text in pages.items()}, **drawn}


if __name__ == "__main__":
    for file, content in contents().items():
        file.write_bytes(content)
        print(file.relative_to(ROOT))
