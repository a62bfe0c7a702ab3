"""The pure part: records, rulesets, context packages, hash chain. No clock, no randomness, no I/O."""
