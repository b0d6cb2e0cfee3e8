"""A map of any network: responses, similarities, controls; knows nothing of searches."""
