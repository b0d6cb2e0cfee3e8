"""The data sets: procedural, embedded, and prepared from official files; all uint8, 3 channels."""
