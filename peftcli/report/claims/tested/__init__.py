"""What a claim comes to when it is tested over seeds, beside what its numbers say as printed.

A kind of check is tested by one function, registered by `registry.tests`. Another file of testers needs its name here.
"""

from peftcli.report.claims.tested import comparing, placing

__all__ = ["comparing", "placing"]
