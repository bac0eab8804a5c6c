"""`python -m peftcli` and the `peftcli` command: signal handlers first, then everything else."""

from peftcli import stopping


def main() -> None:
    """Run the command line; exits with 0, 1 (runs failed), 2 (bad input) or 75 (stopped by a signal)."""
    stopping.install()
    try:
        from peftcli.cli.app import run

        run()
    except SystemExit as ended:
        if ended.code == stopping.STOPPED:
            stopping.leave()
        raise
    finally:
        stopping.settle()


if __name__ == "__main__":
    main()
