"""Collectors: one module per gate that somebody has to look for; they return evidence, never a verdict."""
