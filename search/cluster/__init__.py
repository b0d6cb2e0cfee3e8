"""Which machines: clusters, their runs, what a machine can do."""
