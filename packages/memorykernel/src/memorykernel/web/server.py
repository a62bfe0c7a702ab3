"""Running the application on uvicorn until a signal ends it.

Requests in flight finish, then the process ends with exit code 0. Sockets have TCP_NODELAY (the event
loop sets it on every TCP connection), idle connections are kept for 75 seconds.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from types import FrameType
from typing import Final

import msgspec
import uvicorn
from starlette.types import ASGIApp

from memorykernel.errors import MemoryKernelError

KEEP_ALIVE_S: Final = 75
GRACE_S: Final = 30
"""How long requests in flight may take to finish after a signal."""


class _Server(uvicorn.Server):
    """Says on stdout when it accepts connections, and ends calmly on a signal."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = (sockets or [])[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        ready = {"event": "ready", "url": f"http://{shown}:{port}", "pid": os.getpid()}
        sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
        sys.stdout.flush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # The base class raises the signal once more after shutdown, and the exit code would not be 0.
        self.should_exit = True


def open_socket(bind: str) -> socket.socket:
    """Listen on HOST:PORT; port 0 takes a free one.

    Raises:
        MemoryKernelError: The address is malformed or taken.
    """
    host, colon, port = bind.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 1 << 16):
        raise MemoryKernelError(f"'{bind}' is no address; expected HOST:PORT such as 127.0.0.1:4010")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), int(port)))
    except OSError as exc:
        listener.close()
        raise MemoryKernelError(f"cannot listen on {bind}: {exc.strerror}; choose another --bind") from exc
    return listener


def describe_exposure(host: str) -> str | None:
    """What to be warned of when listening on a numeric address; None on loopback. Pure."""
    if ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        return None
    return (
        f"{host} is reachable from other machines, and this server asks nobody who they are;"
        " put a proxy with authentication in front, or bind 127.0.0.1"
    )


def run_server(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    _Server(config).run(sockets=[listener])
