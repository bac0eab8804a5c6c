"""YAML is read as it is written, or refused in one line: scalars, mappings, aliases, and any text at all."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftcli import documents
from peftcli.errors import UserError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("5E-4", 5e-4),
        ("1e3", 1000.0),
        ("-2e+2", -200.0),
        ("0.001", 0.001),
        ("3", 3),
        ("true", True),
        ("null", None),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ("on", "on"),
        ("no", "no"),
        ("{on: x}", {"on": "x"}),
        ("False", False),
        ("~", None),
        ("010", 10),
        ("1_000", "1_000"),
        (".5", 0.5),
        ("2.", 2.0),
        (".nan", ".nan"),
        ("-.inf", "-.inf"),
        (".", "."),
        ("-", [None]),
        ("e5", "e5"),
        ("1e", "1e"),
        ("5-8", "5-8"),
        ("'1e-5'", "1e-5"),
    ],
)
def test_scalars_read_as_written(text: str, value: object) -> None:
    found = documents.parse(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "key 'a' stands twice, again on line 3"),
        ("x: {y: 1, y: 2}", "key 'y' stands twice"),
        ("1: x", "key 1 must be text"),
        ("? [a, b]\n: 1", "not a document"),
        ("x: !!python/object/apply:os.system ['true']", "not YAML"),
        ("x: !!binary aGVsbG8=", "is a bytes"),
        ("x: !!set {a, b}", "is a set"),
        ("x: [1, 2", "not YAML on line"),
        ("x: !!float nan", "not a finite number"),
        ("x: !!float .inf", "not a finite number"),
        ("x: !!int many", "not a document"),
        ("x: 1e999", "not a finite number"),
        ('x: "\\ud800"', "character"),
        ("x: " + "9" * 5000, "not a document"),
        ("x: &a [*a]", "nested deeper"),
        ("[" * 60 + "]" * 60, "nested deeper"),
        ("[" * 20_000, "not"),
    ],
)
def test_bad_documents_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=r"(?s).*") as caught:
        documents.parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join(['*' + old] * 10)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    with pytest.raises(UserError, match="more than 100000 values once its aliases are expanded"):
        documents.parse("\n".join(lines))


def test_aliases_and_merges_that_do_not_grow_are_read() -> None:
    text = "base: &b {x: 1, y: 2}\nother: {<<: *b, y: 3}\n"
    assert documents.parse(text)["other"] == {"x": 1, "y": 3}


def test_a_file_must_hold_one_mapping(tmp_path: Path) -> None:
    for content, message in [("", "is empty"), ("[1]", "not a list"), ("word", "not a str"), ("# only\n", "is empty")]:
        file = tmp_path / "x.yaml"
        file.write_text(content)
        with pytest.raises(UserError, match=message):
            documents.load(file, "recipe")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="is not UTF-8 text"):
        documents.load(file, "recipe")
    file.write_text("a: 1\n" + "#" * 1_000_001)
    with pytest.raises(UserError, match="larger than 1000000"):
        documents.load(file, "recipe")
    with pytest.raises(UserError, match="cannot read recipe"):
        documents.load(tmp_path / "absent.yaml", "recipe")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(UserError):
        documents.parse(text)
