"""Runs the application on uvicorn until a signal ends it.

Requests in flight finish, event streams are ended, then the process ends with exit code 0. The event
loop sets TCP_NODELAY on every connection; idle ones are kept for 75 seconds.
"""

import ipaddress
import os
import socket
import sys
from types import FrameType
from typing import Final

import msgspec
import uvicorn

from assistsupport.errors import BindRefused
from assistsupport.web.app import build_app
from assistsupport.web.site import Site

KEEP_ALIVE_S: Final = 75
GRACE_S: Final = 10  # a draft takes milliseconds; nothing that waits for the producer is worth more


class _Server(uvicorn.Server):
    """Says on stdout when it accepts connections, and ends calmly on a signal."""

    def __init__(self, config: uvicorn.Config, site: Site) -> None:
        super().__init__(config)
        self._site = site

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        ready = {"event": "ready", "url": describe_url((sockets or [])[0]), "pid": os.getpid()}
        sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
        sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._site.stopping.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # The base class raises the signal once more after shutdown, and the exit code would not be 0.
        self.should_exit = True


def open_socket(bind: str) -> socket.socket:
    """Listen on HOST:PORT; port 0 takes a free one.

    Raises:
        BindRefused: The address is malformed or taken.
    """
    host, colon, port = bind.rpartition(":")
    if not (colon and host and port.isdecimal() and len(port) < 6 and int(port) < 1 << 16):
        raise BindRefused(f"'{bind}' is no address: expected HOST:PORT such as 127.0.0.1:4020; pass --bind")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), int(port)))
    except OSError as exc:
        listener.close()
        raise BindRefused(f"cannot listen on {bind}: {exc.strerror}; choose another --bind") from exc
    return listener


def describe_url(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def describe_exposure(host: str) -> str | None:
    """Return what to be warned of when listening on a numeric address; None on loopback. Pure."""
    if ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        return None
    return (
        f"{host} is reachable from other machines, and this server asks nobody who they are; "
        "put a proxy with authentication in front, or bind 127.0.0.1"
    )


def run_server(site: Site, listener: socket.socket) -> None:
    """Serve a site until SIGINT or SIGTERM."""
    build_server(site).run(sockets=[listener])


def build_server(site: Site) -> uvicorn.Server:
    """Return the server of a site, not yet running."""
    config = uvicorn.Config(
        build_app(site),
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
    return _Server(config, site)
