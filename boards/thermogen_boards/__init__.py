"""What is soldered: the boards of Thermogen Zero as Amaranth platforms."""

from .controller_node import ControllerNode
from .power_module import PowerModule

__all__ = ["ControllerNode", "PowerModule"]
