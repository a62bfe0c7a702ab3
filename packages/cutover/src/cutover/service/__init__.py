"""The use cases of cutover; each is a small function or class over the ports."""
