"""What records say that their runs were made from, and the refusal of what is something else under the same name."""

from pathlib import Path
from typing import Any

import pytest

from peftcli import records
from peftcli.errors import UserError
from peftcli.records import origin
from tests import written_records
from tests.material import run

NAMES = {"model": "b/checkpoint-500", "tokenizer": "b/checkpoint-500", "data": "task rte in there"}
READ = {"fingerprint": "d1", "sizes": {"train": 10}, "model_fingerprint": "m1", "tokenizer_fingerprint": "t1"}
NOW = {"model": "m1", "tokenizer": "t1", "data": "d1"}


def record(folder: Path, data: dict[str, Any] | None) -> records.Record:
    return records.read(written_records.write(folder, run("rte"), {"validation": {"accuracy": 0.5}}, data=data))


def test_the_same_origin_is_accepted(tmp_path: Path) -> None:
    assert origin.of(record(tmp_path, READ).body) == NOW
    origin.check(record(tmp_path, READ), NOW, NAMES)


@pytest.mark.parametrize("kind", ["model", "tokenizer", "data"])
def test_another_one_is_refused_with_both_fingerprints(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        origin.check(record(tmp_path, READ), {**NOW, kind: "x9"}, NAMES)
    message = str(error.value)
    assert f"was made with another {kind} of the same name: its fingerprint is {kind[0]}1," in message
    assert f"that of {NAMES[kind]} is x9: use another --output" in message


@pytest.mark.parametrize("key", ["model_fingerprint", "tokenizer_fingerprint", "fingerprint", None])
def test_what_a_record_does_not_say_is_no_difference(key: str | None, tmp_path: Path) -> None:
    data = {name: value for name, value in READ.items() if name != key} if key else None
    other = {kind: "x9" if key in (None, name) else NOW[kind] for kind, name in origin.KINDS.items()}
    origin.check(record(tmp_path, data), other, NAMES)
    assert origin.differing(other, origin.of(record(tmp_path, data).body)) == []
