"""A sweep in this process alone, shown while it trains."""

from functools import partial

from peftcli.launchers import shares
from peftcli.runner import progress, sweep
from peftcli.runner.display import LIVE_SECONDS, Board
from peftcli.runner.status import Status, screen
from peftcli.runner.work import SweepSettings, WorkUnit


def run(unit: WorkUnit, settings: SweepSettings) -> None:
    """Train a unit. Raises UserError, Stopped."""
    with Board() as board:

        def tell(status: Status) -> None:
            board.show(lambda: screen({"1": status}))

        sweep.train(unit, settings, progress.start(unit, partial(shares.cost, settings.model), tell, LIVE_SECONDS))
