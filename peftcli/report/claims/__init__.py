"""What a paper concluded, as checks that are judged on our records and on the printed cells.

A kind of check is its options (a model) and the function that judges it, together in one file and registered by
`spec.judges`. Another file of kinds needs its name here. How each is tested over seeds is in `tested`.
"""

from peftcli.report.claims import comparing, counting, majority, pooled, setbacks, testing

__all__ = ["comparing", "counting", "majority", "pooled", "setbacks", "testing"]
