"""Training a cohort: `[runs, tokens, hidden]` through one shared backbone."""
