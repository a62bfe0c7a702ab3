"""SQLite, the clock, ids and release folders: one port each."""
