"""The composition root: the only place that picks adapters, one module per part of a program's life."""
