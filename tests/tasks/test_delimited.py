"""TSV files with quotes: what tells that they mark fields, what that they are text, and what is refused for want of it."""

import csv
from pathlib import Path

import pandas as pd
import pytest

from peftcli.errors import UserError
from peftcli.tasks import delimited

FILE = Path("x.tsv")
ROWS = [['He said "no"', "good"], ["a\tb", "bad"], ["two\nlines", "good"], ["plain", "bad"], ["", "good"]]
AS_TEXT, AS_MARKS = "x.tsv: its quotes were taken as part of the text", "x.tsv: its quotes were taken as marks"


def written(rows: list[list[str]], **options: object) -> str:
    return str(pd.DataFrame(rows, columns=["text", "y"]).to_csv(sep="\t", index=False, **options))  # type: ignore[call-overload]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("count", [1, 3, 5])
def test_what_pandas_quotes_is_read_as_it_was(count: int, quoting: int) -> None:
    table, note = delimited.tab_separated(FILE, written(ROWS[:count], quoting=quoting))
    assert table == [["text", "y"], *ROWS[:count]]
    assert str(note).startswith(AS_MARKS)


@pytest.mark.parametrize(
    "texts",
    [
        ['He said "no'],  # never closed
        ['"no" is a word', "x"],
        ['5" disk', "x"],
        ['"Yes"', 'a "b"'],  # one field is a quotation, the other has one
        ["'x'", "no marks"],
    ],
)
def test_quotes_within_text_are_text(texts: list[str]) -> None:
    text = "".join(f"{one}\t{two}\n" for one, two in [["text", "y"], *([one, "good"] for one in texts)])
    table, note = delimited.tab_separated(FILE, text)
    assert table[1:] == [[one, "good"] for one in texts]
    assert note is None or note.startswith(AS_TEXT)


def test_a_text_that_is_a_quotation_stays_one_and_that_is_said() -> None:
    table, note = delimited.tab_separated(FILE, 'text\ty\n"Hello, world"\tgood\nx\tbad\n')
    assert table[1] == ['"Hello, world"', "good"]
    assert str(note).startswith(AS_TEXT)


@pytest.mark.parametrize("inner", ['""', 'x ""y""', '""x"" y'])
def test_a_doubled_quote_tells(inner: str) -> None:
    table, note = delimited.tab_separated(FILE, f'text\ty\n"{inner}"\tgood\n"quoted, without need"\tbad\n')
    assert table[1:] == [[inner.replace('""', '"'), "good"], ["quoted, without need", "bad"]]
    assert str(note).startswith(AS_MARKS)


def test_quotes_that_may_hold_lines_together_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"x.tsv: its quotes may be text, which makes 2 rows, or hold .* makes 1: write it"
    ):
        delimited.tab_separated(FILE, 'text\ty\n"abc\tgood\ndef"\tbad\n')


@pytest.mark.parametrize("text", ["text\na\n\nb\n", "text\n\n", 'text\n"a"\n\n'])
def test_an_empty_line_in_one_column_is_refused(text: str) -> None:
    for read in (delimited.comma_separated, delimited.tab_separated):
        with pytest.raises(UserError, match=r"x.tsv: line \d is empty: in a file of one column"):
            read(FILE, text)


def test_empty_texts_of_one_column_as_programs_write_them() -> None:
    text = str(pd.DataFrame({"text": ["a", "", "b"]}).to_csv(index=False))
    assert delimited.comma_separated(FILE, text)[1:] == [["a"], [""], ["b"]]
    assert delimited.tab_separated(FILE, text)[0][1:] == [["a"], [""], ["b"]]
    assert delimited.comma_separated(FILE, "a,b\n\n1,2\n\n") == [["a", "b"], ["1", "2"]]


def test_a_line_of_another_length_is_named() -> None:
    with pytest.raises(UserError, match=r"x.tsv: line 3 has 3 fields, and the first line 2"):
        delimited.tab_separated(FILE, 'a\tb\n1\t2\n1\t2"\t3\n')
    with pytest.raises(UserError, match=r"x.tsv: line 2: '.*expected after"):
        delimited.comma_separated(FILE, 'a,b\n"x"y,1\n')


def test_a_long_field_is_read() -> None:
    assert delimited.comma_separated(FILE, f"a\n{'x' * 200_000}\n")[1] == ["x" * 200_000]
