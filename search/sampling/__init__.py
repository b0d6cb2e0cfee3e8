"""What comes next: strategies, samplers, halving; free of Ray."""
