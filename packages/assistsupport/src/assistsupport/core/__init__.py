"""Pure rules and records: no clock, no randomness, no I/O, no environment."""
