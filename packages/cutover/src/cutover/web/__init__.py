"""Sockets: the gateway that carries the traffic, and the injector that puts faults into it."""
