"""The fault injector: an HTTP-aware proxy that passes everything unchanged until it is told otherwise.

`alteration` what a fault makes of a reply, `proxy` one request, `server` the process and its control.
"""
