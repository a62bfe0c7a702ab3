"""The HTTP edge: routes, wire envelopes and the server. The only place that knows HTTP statuses."""
