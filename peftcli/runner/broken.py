"""What is left of a cohort that an error ended: where it was, and the state that smaller cohorts go on from."""

from peftcli.engine import parallel
from peftcli.engine.state import State
from peftcli.runner.checkpoints import Checkpoints
from peftcli.runner.costs import out_of_memory
from peftcli.runner.snapshots import Snapshot


class Broken(Exception):
    """Runs that could not be trained together. `kept` is how far they were, for smaller cohorts to go on from.

    `where` it was and `onward`, from what they go on, are in words.
    """

    def __init__(self, error: Exception, where: str, onward: str = "", kept: Snapshot | None = None) -> None:
        super().__init__(type(error).__name__)
        self.out_of_memory = out_of_memory(error)
        self.where, self.onward, self.kept = where, onward, kept


def broken(error: Exception, state: State | None, checkpoints: Checkpoints | None, kept: Snapshot | None) -> Broken:
    """What is left of a cohort that an error ended; `kept` is what it began from."""
    if state is None or checkpoints is None:
        return Broken(error, "before training", kept=kept)
    last = Broken(error, f"at step {state.step}", "from what was last saved ", kept)
    if state.torn:  # in the middle of an update: values and moments may be of two steps
        return last
    try:
        if parallel.size() > 1:
            checkpoints.save(state)  # every process of a group has the same state: nothing waits for the first one
        else:
            kept = checkpoints.snapshot(state)
    except (RuntimeError, MemoryError):  # not even that much memory, or a device that gives nothing back any more
        return last
    return Broken(error, f"at step {state.step}", "from there ", kept)
