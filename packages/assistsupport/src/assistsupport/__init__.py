"""AssistSupport: cited replies to IT support tickets, with the policy answer beside them.

The service speaks HTTP (`assistsupport serve`), the same use cases are commands, and a Python
program can open a knowledge base or a desk on a data folder.
"""

from assistsupport.core.ticket import Ticket
from assistsupport.errors import AssistSupportError
from assistsupport.wiring import LaneSettings, open_desk, open_knowledge

__all__ = ["AssistSupportError", "LaneSettings", "Ticket", "open_desk", "open_knowledge"]
