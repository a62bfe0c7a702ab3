"""Git, HTTP, SQLite, files: one port each."""
