"""`peftcli doctor`: this machine, what an offline node would miss of a recipe, and what the sweep needs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peftcli.cli import memory as gpu
from peftcli.cli.options import AsJson, CohortSize, DataDir, Device, GpuMemory, OptionalRecipe, Output, SetOption


def doctor(
    recipe: OptionalRecipe = None,
    output: Output = Path("results"),
    data_dir: DataDir = None,
    overrides: SetOption = [],  # noqa: B006
    cohort: CohortSize = None,
    device: Device = None,
    gpu_memory: GpuMemory = None,
    as_json: AsJson = False,
) -> int:
    """Say what this machine is, and what a sweep would miss on it.

    Of a recipe: what is not there without a network, and the disk and memory that its sweep needs.
    """
    from peftcli.cli.recipes import load

    # A recipe that is wrong is refused before torch is imported.
    loaded = None if recipe is None else load(recipe, overrides)
    from peftcli.preflight import doctor as examination
    from peftcli.preflight import offline

    report: dict[str, Any] = {"machine": examination.machine(output, device)}
    if loaded is not None:
        report["ready"] = [asdict(item) for item in offline.check(loaded, data_dir)]
        report["refused"] = [asdict(refusal) for refusal in examination.refused(loaded, data_dir, report)]
        described = {name for name, entry in loaded.tasks if entry.options}
        # Runs hold fingerprints of the user's own files, so without them there is nothing to count.
        if all(item["ready"] for item in report["ready"] if item["name"] in described):
            report["needs"] = examination.needs(loaded, output, cohort, device)
        # Counted only where it will be asked for: it takes some seconds a kind of run.
        if gpu_memory is not None or report["machine"]["device"] != "cpu":
            report["gpu_memory"] = gpu.describe(loaded, output, data_dir, gpu_memory)
        report["notes"] = examination.notes(loaded)
    report["problems"] = examination.problems(report)
    print(json.dumps(report, indent=1) if as_json else _text(report))
    return 1 if report["problems"] else 0


def _text(report: dict[str, Any]) -> str:
    from peftcli.preflight.doctor import unsaid

    machine = report["machine"]
    answers = "answers" if machine["hub_reachable"] else "does not answer (or HF_HUB_OFFLINE is set)"
    memory = "" if machine["free_memory_bytes"] is None else f", {_size(machine['free_memory_bytes'])} free memory"
    lines = [
        f"device     {machine['device']}, precision {machine['precision']}, {machine['threads']} threads{memory}",
        f"versions   Python {machine['python']}, torch {machine['torch']}",
        f"hub        {machine['hub']} {answers}",
        f"hub cache  {machine['hub_cache']}, {_size(machine['cache_free_bytes'])} free",
        f"records    {machine['output']}, {_size(machine['output_free_bytes'])} free",
    ]
    lines += [_item(item, machine) for item in report.get("ready", [])]
    messages = unsaid(report)
    lines += [f"REFUSED    {message}" for message in messages]
    if "needs" in report:
        needs = report["needs"]
        lines.append(f"needs      {needs['runs_left']} of {needs['runs']} runs are left")
        lines.append(f"           about {_size(needs['record_bytes'])} of disk for records")
        # Weights and trained values are only known where the model's sizes are.
        if needs["values_bytes"] is not None:
            weights, values = _size(needs["weights_bytes"]), _size(needs["values_bytes"])
            lines.append(f"           {weights} of memory for weights, at most {values} for trained values;")
            lines.append("           activations come on top")
    lines += gpu.text(report["gpu_memory"]) if "gpu_memory" in report else []
    lines += [f"note       {note}" for note in report.get("notes", [])]
    # What is missing of model, tokenizer and data stands among the items above already.
    missing = ("model ", "tokenizer ", "data ")
    lines += [
        f"problem    {problem}"
        for problem in report["problems"]
        if not problem.startswith(missing) and problem not in messages
    ]
    return "\n".join(lines)


def _item(item: dict[str, Any], machine: dict[str, Any]) -> str:
    from peftcli.preflight.offline import is_missing

    what = f"{item['kind']} {item['name']}: {item['where']}"
    if item["ready"]:
        return f"ok         {what}"
    return f"MISSING    {what}" if is_missing(item, machine) else f"to fetch   {what}"


def _size(count: int) -> str:
    """Word a number of bytes with three digits."""
    # Decimal units, as disks are sold and `df -H` counts.
    amount, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:.3g} {units[0]}"
