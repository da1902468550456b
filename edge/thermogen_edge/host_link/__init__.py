"""The way to the FPGA: byte transports, and the client that makes reliable register access of them."""
