"""Benchmarks: each a module with `run(data_dir, quick)`, each value beside a limit of the same run.

`python -m benchmarks` (or `make bench`) measures what this machine can do at best right now
(`benchmarks.limit`), runs every benchmark after the other and prints the ratios (`benchmarks.report`).
"""
