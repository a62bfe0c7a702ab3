"""The gates: one module per row of the gate table, each a pure function of one evidence document."""
