"""Running the application on uvicorn until a signal ends it.

After a signal readiness says no; after the delay that load balancers need, no new connection is taken,
requests in flight finish within the grace time, and the process ends with exit code 0. Sockets have
TCP_NODELAY (the event loop sets it on every TCP connection), idle connections are kept for 75 seconds.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import resource
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

import msgspec
import uvicorn
from starlette.types import ASGIApp

from memorykernel.errors import MemoryKernelError
from memorykernel.web.connection import ConnectionLimits, make_protocol
from memorykernel.web.lifecycle import Lifecycle

KEEP_ALIVE_S: Final = 75
GRACE_MS: Final = 30_000
"""How long requests in flight may take to finish after a signal."""

_OTHER_FILES: Final = 256
"""Files beside connections that may be open: databases, their logs, libraries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """An application and what running it needs.

    Attributes:
        app: The application.
        lifecycle: Told when a signal comes.
        connections: The limits of each connection; None for uvicorn's own.
        sample: Called ten times a second with the number of open connections.
        close: Called when everything was answered: lets go of threads and databases.
    """

    app: ASGIApp
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    connections: ConnectionLimits | None = None
    sample: Callable[[int], None] = lambda _: None
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """How a server ends.

    Attributes:
        delay_ms: How long it still takes connections after the signal while readiness says no.
        grace_ms: How long requests in flight may take after that.
        parent: A pipe that closes when the process that started this one died; None without one.
    """

    delay_ms: int = 0
    grace_ms: int = GRACE_MS
    parent: int | None = None


class _Server(uvicorn.Server):
    """Says when it accepts connections, and ends calmly on a signal."""

    def __init__(
        self, config: uvicorn.Config, service: Service, shutdown: Shutdown, announce: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._service = service
        self._shutdown = shutdown
        self._announce = announce
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self._shutdown.parent is not None:
            self._loop.add_reader(self._shutdown.parent, self._end)
        # What was imported stays: looking for garbage in it would stop every request for a while.
        gc.freeze()
        self._announce()

    async def on_tick(self, counter: int) -> bool:
        self._service.sample(len(self.server_state.connections))
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # The base class raises the signal once more after shutdown, and the exit code would not be 0.
        if self._loop is None:
            self.should_exit = True
        else:
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        loop = self._loop
        if self._shutdown.parent is not None and loop is not None:
            loop.remove_reader(self._shutdown.parent)
        # A second signal does not wait for load balancers.
        hurried = self._service.lifecycle.draining or loop is None or not self._shutdown.delay_ms
        self._service.lifecycle.draining = True
        if hurried or loop is None:
            self._stop()
        else:
            loop.call_later(self._shutdown.delay_ms / 1000, self._stop)

    def _stop(self) -> None:
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


def describe_url(listener: socket.socket) -> str:
    """Where connections are accepted."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def describe_ready(listener: socket.socket) -> str:
    """The line that says where connections are accepted, and by which process."""
    return msgspec.json.encode({"event": "ready", "url": describe_url(listener), "pid": os.getpid()}).decode()


def print_ready(listener: socket.socket) -> None:
    """Say on stdout that connections are accepted."""
    sys.stdout.write(describe_ready(listener) + "\n")
    sys.stdout.flush()


def run_server(
    service: Service,
    listener: socket.socket,
    *,
    shutdown: Shutdown | None = None,
    announce: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        service: What is served.
        listener: Where.
        shutdown: How it ends.
        announce: Called when connections are accepted; prints the ready line if None.
    """
    shutdown = shutdown or Shutdown()
    limits = service.connections
    if limits is not None:
        allow_open_files(limits.max_connections)
    config = uvicorn.Config(
        service.app,
        http=make_protocol(limits) if limits is not None else "httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        # Whole seconds by its annotation; any number by what it is used for.
        timeout_graceful_shutdown=shutdown.grace_ms / 1000,  # type: ignore[arg-type]
    )
    _Server(config, service, shutdown, announce or (lambda: print_ready(listener))).run(sockets=[listener])
    service.close()


def allow_open_files(connections: int) -> None:
    """Raise this process's own limit of open files, as far as it may, to what the connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
