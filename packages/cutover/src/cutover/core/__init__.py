"""The pure rules of a cutover: no clock, no randomness, no files, no network."""
