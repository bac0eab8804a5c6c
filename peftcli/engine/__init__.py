"""Training a cohort: `[runs, tokens, hidden]` through one shared backbone.

Shapes are written with the same words everywhere: `runs` of the cohort; `tokens` of a run's batch laid end to end; `batch`, its
sequences; `read`, the positions that the head reads; `hidden`, the backbone's width; `elements`, those of a tensor that train;
`n`, the columns of `flat`, every number that a run trains. `[runs, …]` is a run's own, without the dimension it is shared.
"""
