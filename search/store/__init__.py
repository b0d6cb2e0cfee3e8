"""What is known: Parquet parts, who may write them, what they add up to."""
