"""Where a sweep's cohorts are trained: by several processes of this machine, or by the jobs of a cluster."""
