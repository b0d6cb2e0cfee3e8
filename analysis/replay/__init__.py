"""What other searches would have found in the same table."""
