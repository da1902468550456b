"""What is soldered: the boards of Thermogen Zero, and the evaluation boards that its gateware runs on, as Amaranth platforms."""

from .controller_node import ControllerNode
from .crosslink_nx_evn import CrossLinkNxEvn
from .ice40_hx8k_breakout import Ice40Hx8kBreakout
from .ice40_up5k_breakout import Ice40Up5kBreakout
from .power_module import PowerModule

__all__ = ["ControllerNode", "CrossLinkNxEvn", "Ice40Hx8kBreakout", "Ice40Up5kBreakout", "PowerModule"]
