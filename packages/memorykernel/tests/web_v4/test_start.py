"""What a server does not load as it starts."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import memorykernel.web.app, memorykernel.web.server, memorykernel.wiring.serving
print([name for name in ("rich", "importlib.metadata", "jinja2") if name in sys.modules])
import rich.console
"""


def test_a_server_starts_without_what_only_others_need_and_takes_it_from_nobody() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
