"""From a map to a pick: rules, baselines, and what they cost."""
