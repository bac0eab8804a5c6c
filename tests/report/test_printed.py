"""Files with a figure's points: read as they are, refused with the place of what is wrong."""

from pathlib import Path

import pytest

from peftcli.errors import UserError
from peftcli.report import printed


def test_points_are_numbers_column_by_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("step,loss\n19,1.12464\n2790,7.19998e-05\n")
    assert printed.read(tmp_path / "a.csv", ("step", "loss")) == [(19.0, 1.12464), (2790.0, 7.19998e-05)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("step,value\n1,2\n", "its columns are step, value; this kind of figure reads step, loss"),
        ("", "its columns are ; this kind of figure reads step, loss"),
        ("step,loss\n", "holds no point"),
        ("step,loss\n1,2\n3,x\n", "line 3: loss 'x' is not a number"),
        ("step,loss\n1,nan\n", "line 2: loss 'nan' is not a number"),
        ("step,loss\n1\n", "line 2: 1 values for 2 columns"),
    ],
)
def test_anything_else_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError) as error:
        printed.read(tmp_path / "a.csv", ("step", "loss"))
    assert (
        f"published figure a.csv{', ' if said.startswith('line') else ': ' if said.startswith('its') else ' '}{said}"
        == str(error.value)
    )
