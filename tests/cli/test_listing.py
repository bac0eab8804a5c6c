"""`peftcli list`: everything there is has a name and a summary, as text and as JSON."""

import json

from peftcli.cli import listing
from tests.commandline import Command


def test_lists_as_json_and_as_text(peftcli: Command) -> None:
    for what in listing.KINDS:
        ended = peftcli("list", what, "--json")
        assert ended.code == 0
        rows = json.loads(ended.out)
        assert all({"name", "summary"} <= set(row) for row in rows)
        lines = peftcli("list", what).out.splitlines()
        assert [line.split(maxsplit=1) for line in lines] == [[row["name"], row["summary"]] for row in rows]


def test_what_a_line_says() -> None:
    tasks = {row["name"]: row["summary"] for row in listing.rows("tasks")}
    assert tasks["rte"] == "pair; accuracy; 2490 train / 277 validation"
    strategies = {row["name"]: row for row in listing.rows("strategies")}
    assert strategies["layernorm"]["options"] == ["layers", "embedding"]
    recipes = {row["name"]: row["summary"] for row in listing.rows("recipes")}
    assert "freezing/table1" in recipes
    assert "freezing/protocol" not in recipes
