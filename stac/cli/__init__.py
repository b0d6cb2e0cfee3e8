"""The command line: `stac`."""
