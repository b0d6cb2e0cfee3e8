"""A pick against the truth of a search: estimates, tests, verdicts."""
