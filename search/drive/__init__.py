"""Who runs it: the driver's side and the workers' side of one run."""
