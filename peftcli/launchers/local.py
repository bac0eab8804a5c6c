"""A sweep in this process alone, shown while it trains."""

from functools import partial

from peftcli.launchers import shares
from peftcli.runner import progress, sweep
from peftcli.runner.display import LIVE_SECONDS, Board
from peftcli.runner.status import Status, screen
from peftcli.runner.work import SweepSettings, WorkUnit


def run(share: WorkUnit, place: SweepSettings) -> None:
    """Train a share. Raises UserError, Stopped."""
    with Board() as board:

        def tell(status: Status) -> None:
            board.show(lambda: screen({"1": status}))

        sweep.train(share, place, progress.start(share, partial(shares.cost, place.model), tell, LIVE_SECONDS))
