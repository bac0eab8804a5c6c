"""Kills, signals and full disks: what takes over a minute. PEFTCLI_CHAOS scales the counts, 1 being all of them."""
