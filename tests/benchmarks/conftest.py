"""Makes the benchmarks importable: they are no installed package, `python -m` finds them in the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
