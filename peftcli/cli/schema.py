"""`peftcli schema`: what a recipe may say, as a JSON Schema that editors complete and check YAML with. No torch."""

import json


def schema() -> None:
    """Print the JSON Schema of a recipe, for editors of YAML."""
    from peftcli.report.schema import recipe_schema

    print(json.dumps(recipe_schema(), indent=1))
