"""What `peftcli doctor` shows: this machine, what an offline node would miss of a recipe, and what the sweep needs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peftcli.experiment.recipe import find, load, parse_set


def show(
    name: str | None, output: Path, data_dir: Path | None, overrides: list[str], cohort: int | None, as_json: bool
) -> tuple[str, int]:
    """Describe the machine, and the recipe's needs on it; the exit code is 1 where the sweep would be stopped."""
    recipe = None if name is None else load(find(name), parse_set(overrides))
    from peftcli.preflight import doctor
    from peftcli.preflight import offline as inventory

    found: dict[str, Any] = {"machine": doctor.machine(output)}
    if recipe is not None:
        found["ready"] = [asdict(item) for item in inventory.take(recipe, data_dir)]
        own = {name for name, entry in recipe.tasks if entry.options}
        # Runs hold fingerprints of the user's own files, so without them there is nothing to count.
        if all(item["ready"] for item in found["ready"] if item["name"] in own):
            found["needs"] = doctor.needs(recipe, output, cohort)
        found["notes"] = doctor.notes(recipe)
    found["problems"] = doctor.problems(found)
    code = 1 if found["problems"] else 0
    return json.dumps(found, indent=1) if as_json else _text(found), code


def _text(found: dict[str, Any]) -> str:
    here = found["machine"]
    answers = "answers" if here["hub_reachable"] else "does not answer (or HF_HUB_OFFLINE is set)"
    memory = "" if here["free_memory_bytes"] is None else f", {_size(here['free_memory_bytes'])} free memory"
    lines = [
        f"device     {here['device']}, precision {here['precision']}, {here['threads']} threads{memory}",
        f"versions   Python {here['python']}, torch {here['torch']}",
        f"hub        {here['hub']} {answers}",
        f"hub cache  {here['hub_cache']}, {_size(here['cache_free_bytes'])} free",
        f"records    {here['output']}, {_size(here['output_free_bytes'])} free",
    ]
    lines += [_item(item, here) for item in found.get("ready", [])]
    if "needs" in found:
        wants = found["needs"]
        lines.append(f"needs      {wants['runs_left']} of {wants['runs']} runs are left")
        lines.append(f"           about {_size(wants['record_bytes'])} of disk for records")
        if wants["values_bytes"] is not None:
            weights, values = _size(wants["weights_bytes"]), _size(wants["values_bytes"])
            lines.append(f"           {weights} of memory for weights, at most {values} for trained values;")
            lines.append("           activations come on top")
    lines += [f"note       {note}" for note in found.get("notes", [])]
    others = [problem for problem in found["problems"] if not problem.startswith(("model ", "tokenizer ", "data "))]
    return "\n".join([*lines, *(f"problem    {problem}" for problem in others)])


def _item(item: dict[str, Any], here: dict[str, Any]) -> str:
    from peftcli.preflight.offline import is_missing

    what = f"{item['kind']} {item['name']}: {item['where']}"
    if item["ready"]:
        return f"ok         {what}"
    return f"MISSING    {what}" if is_missing(item, here) else f"to fetch   {what}"


def _size(count: int) -> str:
    """Word a number of bytes with three digits."""
    amount, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:.3g} {units[0]}"
