"""The use cases: remembering, asking, and keeping the schema. Synchronous; the edge decides on threads."""
