"""`peftcli schema` prints what the schema of recipes is."""

import json

from peftcli.report.schema import recipe_schema
from tests.commandline import Command


def test_it_is_the_recipe_s_schema(peftcli: Command) -> None:
    ended = peftcli("schema")
    assert ended.code == 0
    schema = json.loads(ended.out)
    assert schema == recipe_schema()
    assert {"model", "tasks", "strategies", "learning_rates", "seeds", "training"} <= set(schema["properties"])
