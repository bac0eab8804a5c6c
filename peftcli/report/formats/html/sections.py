"""What stands behind a report, in HTML: what is missing, what it cost, the recipe, and the environment of its runs."""

from collections.abc import Iterable
from typing import Any

from peftcli import documents, files
from peftcli.experiment.recipe import Recipe
from peftcli.report.formats.html.elements import Markup, bullets, fold, join, pairs, preformatted, tag
from peftcli.report.summary import Report

LISTED = 100  # runs in a list; more are counted
KINDS = ("missing", "failed", "damaged", "diverged", "collapsed")


def missing(report: Report) -> Markup:
    """Say how many runs ended how, and name those without a number."""
    total = sum(report.counts.values())
    counts = pairs([(state, f"{count} of {total}") for state, count in report.counts.items()])
    parts: list[str] = [counts]
    for kind in KINDS:
        runs = list(dict.fromkeys(run for cell in report.table.cells() for run in getattr(cell, kind)))
        if runs:
            parts.append(fold(f"{len(runs)} {kind}", bullets(_cut(runs))))
    if report.troubles:
        parts.append(fold(f"why, for {len(report.troubles)} of them", bullets(_cut(report.troubles))))
    if report.counts.get("completed") == total:
        parts.append(tag("p", "Every planned run completed."))
    return join(parts)


def cost(report: Report) -> Markup:
    """Say what the recorded runs took."""
    spent = report.cost
    on_gpu = any(device != "cpu" for device in spent.devices)
    rows = [
        ("GPU hours" if on_gpu else "hours of computing", f"{spent.hours:.3g}"),
        ("training tokens", f"{spent.tokens:,}"),
        ("devices", ", ".join(spent.devices) or "no record says"),
    ]
    if spent.peak_memory_bytes:
        rows.append(("most GPU memory in a process", f"{spent.peak_memory_bytes / 2**30:.1f} GiB"))
    return pairs(rows)


def recipe(report: Report) -> Markup:
    """Show the recipe as written, those it extends below it, and what was set on the command line."""
    own = report.recipe
    parts: list[str] = [
        pairs([("model", own.model), ("protocol", own.protocol or "described"), ("file", own.path.name)])
    ]
    if own.overrides:
        parts.append(pairs([(f"--set {name}", str(value)) for name, value in own.overrides.items()]))
    for name, text in _texts(own):
        parts.append(fold(name, preformatted(text)))
    return join(parts)


def environment(report: Report) -> Markup:
    """Show each distinct environment that records were made in."""
    if not report.environments:
        return tag("p", "No record says.")
    return join(pairs(_flat(environment)) for environment in report.environments)


def _cut(runs: Iterable[str]) -> list[str]:
    known = list(runs)
    return known[:LISTED] + ([f"and {len(known) - LISTED} more"] if len(known) > LISTED else [])


def _texts(own: Recipe) -> Iterable[tuple[str, str]]:
    """Give each file of a recipe by name, the recipe first, then what it extends."""
    path, seen = own.path, set()
    while path.is_file() and path.resolve() not in seen:
        seen.add(path.resolve())
        yield path.name, files.read_text(path, "recipe")
        base = documents.load(path, "recipe").get("extends")
        if base is None:
            return
        path = path.parent / str(base)


def _flat(environment: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for name, value in environment.items():
        if isinstance(value, dict):
            found.append((name, ", ".join(f"{key} {own}" for key, own in value.items() if own is not None)))
        elif value is not None:
            found.append((name, str(value)))
    return found
