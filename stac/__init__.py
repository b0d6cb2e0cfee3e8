"""The command line and the public Python names; nothing imports it."""
