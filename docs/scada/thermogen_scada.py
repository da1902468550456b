"""Reads a Thermogen Zero node with pymodbus and caps its power.

python thermogen_scada.py HOST [PORT] [--cap WATTS] [--for SECONDS]
"""

import argparse
import time

from pymodbus.client import ModbusTcpClient

MAGIC = 0x545A
CHANNEL_POWER, BUS_VOLTAGE, SITE_STATE = 102, 108, 107
OVERRIDE_REMAINING, HEARTBEAT, POWER_LIMIT, RELEASE = (
    601,
    700,
    704,
    706,
)


def read(client, address, count=1):
    """Registers from `address` on."""
    answer = client.read_holding_registers(address, count=count)
    if answer.isError():
        raise SystemExit(f"reading {address}: {answer}")
    return answer.registers


def write(client, address, value):
    """One register; exception 1 says that this client may not write."""
    answer = client.write_register(address, value)
    if answer.isError():
        raise SystemExit(f"writing {address}: {answer}; is this client in THERMOGEN_SCADA_WRITERS?")


def main():
    """Shows the site, and holds a cap where one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int, nargs="?", default=502)
    parser.add_argument("--cap", type=int, help="watts, in steps of 10")
    parser.add_argument("--for", dest="seconds", type=float, default=30.0, help="how long to hold it")
    arguments = parser.parse_args()
    with ModbusTcpClient(arguments.host, port=arguments.port) as client:
        (magic,) = read(client, 0)
        if magic != MAGIC:
            raise SystemExit(f"register 0 is {magic:#06x}: no Thermogen Zero node")
        high, low = read(client, CHANNEL_POWER, 2)
        milliwatts = (high << 16 | low) - ((high >> 15) << 32)
        (millivolts,), (state,) = read(client, BUS_VOLTAGE), read(client, SITE_STATE)
        print(f"power {milliwatts / 1000:.1f} W, bus {millivolts / 1000:.2f} V, site state {state}")
        if arguments.cap is None:
            return
        write(client, POWER_LIMIT, arguments.cap // 10)
        print(f"limit in force: {10 * read(client, POWER_LIMIT)[0]} W")
        ends, beat = time.monotonic() + arguments.seconds, 0
        while time.monotonic() < ends:
            beat = (beat + 1) & 0xFFFF
            write(client, HEARTBEAT, beat)
            time.sleep(min(5.0, max(0.0, ends - time.monotonic())))
        print(f"heartbeats end; the node goes back by itself in {read(client, OVERRIDE_REMAINING)[0]} s")


if __name__ == "__main__":
    main()
