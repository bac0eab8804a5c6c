"""Whole cross products of test cases, of which `make test` runs a covering part."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest


def crossed(first: Sequence[Any], *others: Sequence[Any]) -> list[Any]:
    """All combinations as parameters, all but a covering part marked `whole`.

    The part has every member of the first sequence once, with members of the others in turn.
    """
    cases = []
    for number, member in enumerate(first):
        covering, stride = [member], 1
        for other in others:
            covering.append(other[number // stride % len(other)])
            stride *= len(other)
        for case in product([member], *others):
            cases.append(pytest.param(*case, marks=() if list(case) == covering else pytest.mark.whole))
    return cases
