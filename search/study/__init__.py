"""What is asked: a space of networks, a protocol, seeds, a strategy."""
