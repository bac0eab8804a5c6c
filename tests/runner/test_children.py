"""A process finds the package from wherever it is started."""

from pathlib import Path

import pytest

from peftcli.runner import children

PACKAGE = str(Path(children.__file__).parents[2])


@pytest.mark.parametrize(
    ("inherited", "expected"),
    [
        (None, PACKAGE),
        ("/mine:/yours", f"{PACKAGE}:/mine:/yours"),
        (f"/mine:{PACKAGE}", f"/mine:{PACKAGE}"),
    ],
)
def test_the_package_is_on_the_path_once(inherited: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if inherited is not None:
        monkeypatch.setenv("PYTHONPATH", inherited)
    assert children.python_path() == expected
