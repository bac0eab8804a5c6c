"""What each command does; `peftcli.cli` reads the arguments and calls these."""
