"""What a claim comes to when it is tested over seeds, beside what its numbers say as printed.

What a kind of check compares is listed by one function, registered by `registry.lists`. Another file of them needs its
name here.
"""

from peftcli.report.claims.tested import comparing, placing

__all__ = ["comparing", "placing"]
