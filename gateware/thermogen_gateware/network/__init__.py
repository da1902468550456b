"""The node's Ethernet: what goes over the RMII pins, up to the MODBUS server."""
