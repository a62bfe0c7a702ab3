"""Readers of documents that are not their own text; they run in a child process of their own."""
