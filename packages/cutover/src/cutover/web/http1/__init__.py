"""HTTP/1.1 over httptools, both ends: what gateway and injector need and servers hide.

Parsing is llhttp's; here are connections, limits and deadlines. Both need the exact failure of the other
end and, for the injector, exact bytes; and a request through a general server and client costs more than
the gateway may add (`benchmarks/gateway.py`).
"""
