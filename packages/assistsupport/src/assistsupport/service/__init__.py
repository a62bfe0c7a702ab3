"""The use cases: keep the knowledge base, draft replies."""
