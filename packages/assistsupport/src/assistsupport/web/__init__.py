"""The HTTP edge: a JSON API, a page, and what guards them."""
