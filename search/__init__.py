"""Which networks are trained, on which machines, and how that is remembered."""
