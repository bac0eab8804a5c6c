"""What a record says, as types, and the check that a file's content is of these types, so that readers can rely on them."""

from types import NoneType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,  # pydantic reads the standard library's from Python 3.12 on
    cast,
)

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

Status = Literal["completed", "diverged", "failed"]
LAST_SECOND = 253_402_300_799  # of the year 9999, since 1970 began: calendars of Python end there
NUMBERS = frozenset((int, float, bool, NoneType))  # JSON has no NaN: a number that is not finite is null


class Unreadable(Exception):
    """A file in the results folder that is not a sound record; its message says why."""


class Step(TypedDict):
    """When something was measured: after `step` updates, which are `epoch` epochs."""

    step: int
    epoch: float


class TrainingLoss(Step, total=False):
    """The task's mean loss (nats, or a squared error) over the updates since the entry before, and this one's learning rate.

    `penalty` is the mean of the strategy's, where it has one. Older records have it in the loss, and no `penalty`.
    """

    loss: float | None
    penalty: float | None
    learning_rate: float


class Evaluation(Step):
    """One evaluation on a split (`validation`, `test_matched`, …): the mean loss over its examples (nats, or squared).

    `collapsed` says whether every example got the same answer. Beside these keys stands one for each metric of the
    task, a fraction; who reads them takes an evaluation as a mapping from names.
    """

    split: str
    loss: NotRequired[float | None]
    collapsed: NotRequired[bool]


class Parameters(TypedDict, total=False):
    """Elements of the model: `total` and `head`, and those of the run's draw that moved (`trainable`, head left out)."""

    total: int
    trainable: int
    head: int
    trainable_percent: float


class Cost(TypedDict, total=False):
    """What training took the whole cohort, whose size is `cohort`. `tokens` are real ones, `computed_tokens` all.

    `peak_memory_bytes` is what the cohort held on a GPU, or on a processor what its process held, libraries included;
    None where the system does not say. `delta_bytes` is this run's alone: the tensors of its delta, saved or not. `ended`
    is when training had ended, in seconds since 1970 began (UTC). Older records lack both, and the memory of a processor.
    """

    seconds: float
    steps: int
    tokens: int
    computed_tokens: int
    peak_memory_bytes: int | None
    delta_bytes: int | None
    cohort: int
    ended: Annotated[int, Field(ge=0, le=LAST_SECOND)]


class Environment(TypedDict, total=False):
    """Where a run was trained: versions by package, the device, its precision and threads, the source's commit.

    `precision` is the one in fact used; `compiled` whether torch.compile made its kernels. On a GPU alone: its compute
    `capability`, and the versions of its driver, CUDA and cuDNN.
    """

    packages: dict[str, str | None]
    python: str
    machine: str
    device: str
    precision: str
    compiled: bool
    capability: str | None
    driver: str | None
    cuda: str | None
    cudnn: str | None
    threads: int
    commit: str | None


class DataRead(TypedDict, total=False):
    """What was read: the fingerprints of data, model and tokenizer, examples by split, what differs from the task's row.

    `unknown` is by split which share of the word pieces the tokenizer does not know. Older records lack what came later.
    """

    fingerprint: str
    sizes: dict[str, int]
    differences: list[str]
    left_out: dict[str, dict[str, int]]
    model_fingerprint: str | None
    tokenizer_fingerprint: str
    unknown: dict[str, float]


class Source(TypedDict):
    """Where the numbers of an imported run come from: a file's name and its SHA-256, and who made the runs, in words.

    `repeat` tells runs of one seed apart. `curves` is the SHA-256 of the file with the run's curves, None without one.
    """

    file: str
    fingerprint: str
    source: str
    repeat: int
    curves: str | None


def _numbers(entry: dict[str, Any]) -> dict[str, Any]:
    """Refuse a mapping that holds anything but numbers."""
    if not set(map(type, entry.values())) <= NUMBERS:
        raise ValueError("not numbers")
    return entry


def _all_numbers(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Refuse entries that say anything but numbers, the name of a split aside."""
    # One set of types for a whole list of hundreds of entries is far quicker than a look at each value.
    kinds = {type(value) for entry in entries for value in entry.values()}
    if not kinds <= NUMBERS and any(
        type(value) not in NUMBERS for entry in entries for key, value in entry.items() if key != "split"
    ):
        raise ValueError("not numbers")
    return entries


class Ending(TypedDict):
    """How a run ended and all that it measured. A failed run has an `error` and no parameters, cost or data."""

    status: Status
    parameters: Annotated[Parameters, AfterValidator(_numbers)] | None
    training: Annotated[list[TrainingLoss], AfterValidator(_all_numbers)]
    evaluations: Annotated[list[Evaluation], AfterValidator(_all_numbers)]
    cost: Annotated[Cost, AfterValidator(_numbers)] | None
    environment: Environment | None
    data: DataRead | None
    error: str | None


# A record of another version may say more, which is kept so that the checks for numbers see it; what is of a wrong kind is
# refused, never converted. So for all types inside.
@with_config(ConfigDict(strict=True, extra="allow"))
class Body(Ending):
    """The whole of a record, its checksum left out: an ending, and the run that came to it."""

    schema: Literal[1]
    id: str
    run: dict[str, Any]  # what `Run.model_validate` takes
    origin: NotRequired[Source]  # an imported run's alone: a record without it is of a run that was trained


IMPORTED_KEYS = ("origin",)
KEYS = tuple(key for key in Body.__annotations__ if key not in IMPORTED_KEYS)
# Built once: a results folder holds thousands of records.
_BODY = TypeAdapter(Body)


def checked(body: dict[str, Any]) -> Body:
    """Return the body as it was read, its kinds checked. Raises Unreadable naming the first key that records do not have so.

    A checksum says that a file is as it was written, not that this program wrote it: other programs, or other versions
    of this one, may have.
    """
    try:
        _BODY.validate_python(body)
    except ValidationError as error:
        raise Unreadable(_complaint(error)) from None
    return cast(Body, body)  # not the validated copy, which would have its keys in another order


def _complaint(error: ValidationError) -> str:
    """Say what is wrong with the first of the keys at fault."""
    # pydantic reports in the order of the keys, the inherited ones first.
    finding = error.errors(include_url=False, include_input=False)[0]
    key, *inside = finding["loc"]
    if key in ("schema", "status"):
        return f"its {key} is not one that this version knows"
    if key == "evaluations" and inside[1:] == ["split"]:
        return "its evaluations do not say of what"
    deeper = bool(inside) or finding["type"] == "value_error"  # the latter is raised on a whole list or mapping
    if deeper and key in ("training", "evaluations"):
        return f"its {key} are not steps with numbers"
    if deeper and key in ("parameters", "cost"):
        return f"its {key} are not numbers"
    return f"its {key} is not of the kind that records have"
