"""What a SCADA system sees of the node: the MODBUS map, the registers behind it, and what is published of them."""
