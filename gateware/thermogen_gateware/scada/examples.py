"""Ready-made examples for what SCADA systems speak: mbpoll, pymodbus, Node-RED, Ignition. Addresses come from the map."""

from __future__ import annotations

import json
from typing import Any

from thermogen_esf.scada import WRITABLE

from .map import DISCRETE_INPUTS, REGISTERS
from .registers_declared import Register

HOST = "192.168.84.90"
"""The node's address as it comes."""
_BY_NAME = {register.identifier: register for register in REGISTERS}
_POWER, _CAP, _BEAT = _BY_NAME["channel_power"], WRITABLE["site_power_limit"], WRITABLE["heartbeat"]
_MBPOLL_TYPE = {"u16": "4", "i16": "4", "u32": "4:int", "i32": "4:int"}
_IGNITION_TYPE = {"u16": "Int4", "i16": "Int2", "u32": "Int8", "i32": "Int4", "u64": "Int8", "i64": "Int8"}
_IGNITION_CODE = {"u16": "HRUS", "i16": "HR", "u32": "HRUI", "i32": "HRI", "u64": "HRUI_64", "i64": "HRI_64"}


def mbpoll_script() -> str:
    """Command lines for mbpoll, which counts addresses from 1 unless told `-0`."""
    return f"""#!/bin/sh
# Reads a node with mbpoll and caps its power. Give the node's address: sh mbpoll.sh {HOST} [PORT]
set -eu
node=${{1:-{HOST}}}
port=${{2:-502}}
ask() {{ mbpoll -m tcp -p "$port" -a 1 -0 -1 -q "$@"; }}

# Who answers: 0x545A, the map's version, the word order, the channels.
ask -t 4:hex -r 0 -c 4 "$node"
# The power of all channels, mW (two registers, the higher word first).
ask -t 4:int -B -r {_POWER.address} -c 1 "$node"
# Bus voltage, mV; the site's state.
ask -t 4 -r {_BY_NAME["bus_voltage"].address} -c 1 "$node"
ask -t 4 -r {_BY_NAME["site_state"].address} -c 1 "$node"
# All faults, a discrete input each.
ask -t 1 -r 0 -c 32 "$node"
# Cap the power at 600 W ({_CAP.scale:g} W a count), say that somebody is there, and look at what is in force.
ask -t 4 -r {_CAP.address} "$node" 60
ask -t 4 -r {_BEAT.address} "$node" 1
ask -t 4 -r {_CAP.address} -c 1 "$node"
ask -t 4 -r {_BY_NAME["override_remaining_s"].address} -c 1 "$node"
"""


def pymodbus_program() -> str:
    """A program that reads the power and holds a cap for a while."""
    return f'''"""Reads a Thermogen Zero node with pymodbus and caps its power.

python thermogen_scada.py HOST [PORT] [--cap WATTS] [--for SECONDS]
"""

import argparse
import time

from pymodbus.client import ModbusTcpClient

MAGIC = 0x545A
CHANNEL_POWER, BUS_VOLTAGE, SITE_STATE = {_POWER.address}, {_BY_NAME["bus_voltage"].address}, {_BY_NAME["site_state"].address}
OVERRIDE_REMAINING, HEARTBEAT, POWER_LIMIT, RELEASE = (
    {_BY_NAME["override_remaining_s"].address},
    {_BEAT.address},
    {_CAP.address},
    {WRITABLE["override_release"].address},
)


def read(client, address, count=1):
    """Registers from `address` on."""
    answer = client.read_holding_registers(address, count=count)
    if answer.isError():
        raise SystemExit(f"reading {{address}}: {{answer}}")
    return answer.registers


def write(client, address, value):
    """One register; exception 1 says that this client may not write."""
    answer = client.write_register(address, value)
    if answer.isError():
        raise SystemExit(f"writing {{address}}: {{answer}}; is this client in THERMOGEN_SCADA_WRITERS?")


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
            raise SystemExit(f"register 0 is {{magic:#06x}}: no Thermogen Zero node")
        high, low = read(client, CHANNEL_POWER, 2)
        milliwatts = (high << 16 | low) - ((high >> 15) << 32)
        (millivolts,), (state,) = read(client, BUS_VOLTAGE), read(client, SITE_STATE)
        print(f"power {{milliwatts / 1000:.1f}} W, bus {{millivolts / 1000:.2f}} V, site state {{state}}")
        if arguments.cap is None:
            return
        write(client, POWER_LIMIT, arguments.cap // 10)
        print(f"limit in force: {{10 * read(client, POWER_LIMIT)[0]}} W")
        ends, beat = time.monotonic() + arguments.seconds, 0
        while time.monotonic() < ends:
            beat = (beat + 1) & 0xFFFF
            write(client, HEARTBEAT, beat)
            time.sleep(min(5.0, max(0.0, ends - time.monotonic())))
        print(f"heartbeats end; the node goes back by itself in {{read(client, OVERRIDE_REMAINING)[0]}} s")


if __name__ == "__main__":
    main()
'''


def node_red_flow() -> str:
    """A flow for node-red-contrib-modbus: power each second as a number, and an inject node that caps it."""
    server, tab = "tz-node", "tz-flow"
    common: dict[str, Any] = {"z": tab}
    nodes: list[dict[str, Any]] = [
        {"id": tab, "type": "tab", "label": "Thermogen Zero", "disabled": False, "info": "Set the node's address in the server node."},
        {
            "id": server,
            "type": "modbus-client",
            "name": "Thermogen Zero node",
            "clienttype": "tcp",
            "bufferCommands": True,
            "stateLogEnabled": False,
            "queueLogEnabled": False,
            "tcpHost": HOST,
            "tcpPort": "502",
            "tcpType": "DEFAULT",
            "unit_id": "1",
            "commandDelay": "1",
            "clientTimeout": "1000",
            "reconnectOnTimeout": True,
            "reconnectTimeout": "2000",
            "parallelUnitIdsAllowed": True,
        },
        {
            "id": "tz-read",
            "type": "modbus-read",
            **common,
            "name": "channel power",
            "topic": "channel_power",
            "showStatusActivities": False,
            "logIOActivities": False,
            "showErrors": True,
            "unitid": "1",
            "dataType": "HoldingRegister",
            "adr": str(_POWER.address),
            "quantity": str(_POWER.words),
            "rate": "1",
            "rateUnit": "s",
            "delayOnStart": False,
            "startDelayTime": "",
            "server": server,
            "useIOFile": False,
            "ioFile": "",
            "useIOForPayload": False,
            "emptyMsgOnFail": False,
            "x": 150,
            "y": 80,
            "wires": [["tz-watts"], []],
        },
        {
            "id": "tz-watts",
            "type": "function",
            **common,
            "name": "watts",
            "func": "const [high, low] = msg.payload;\nmsg.payload = ((high << 16) | low) / 1000;\nreturn msg;",
            "outputs": 1,
            "x": 350,
            "y": 80,
            "wires": [["tz-show"]],
        },
        {"id": "tz-show", "type": "debug", **common, "name": "W", "active": True, "complete": "payload", "x": 530, "y": 80, "wires": []},
        {
            "id": "tz-cap",
            "type": "inject",
            **common,
            "name": "cap at 600 W",
            "props": [{"p": "payload"}],
            "payload": "60",
            "payloadType": "num",
            "x": 140,
            "y": 180,
            "wires": [["tz-write-cap"]],
        },
        {
            "id": "tz-beat",
            "type": "inject",
            **common,
            "name": "heartbeat, every 10 s",
            "props": [{"p": "payload"}],
            "repeat": "10",
            "payload": "1",
            "payloadType": "num",
            "x": 160,
            "y": 240,
            "wires": [["tz-write-beat"]],
        },
        *(
            {
                "id": identifier,
                "type": "modbus-write",
                **common,
                "name": name,
                "showStatusActivities": False,
                "showErrors": True,
                "unitid": "1",
                "dataType": "HoldingRegister",
                "adr": str(address),
                "quantity": "1",
                "server": server,
                "emptyMsgOnFail": False,
                "x": 370,
                "y": y,
                "wires": [[], []],
            }
            for identifier, name, address, y in (
                ("tz-write-cap", _CAP.identifier, _CAP.address, 180),
                ("tz-write-beat", _BEAT.identifier, _BEAT.address, 240),
            )
        ),
    ]
    return json.dumps(nodes, indent=2) + "\n"


def ignition_tags() -> str:
    """A tag export for Ignition's MODBUS TCP driver: a folder a block; the device is called `ThermogenZero`, zero-based addressing on."""
    tags = [_tag(register, place) for register in REGISTERS for place in range(register.count)]
    inputs = [
        {
            "name": bit.identifier.replace(".", "_"),
            "tagType": "AtomicTag",
            "valueSource": "opc",
            "dataType": "Boolean",
            "opcServer": "Ignition OPC UA Server",
            "opcItemPath": f"ns=1;s=[ThermogenZero]DI{bit.address}",
            "documentation": bit.meaning,
        }
        for bit in DISCRETE_INPUTS
    ]
    folders = [{"name": "Registers", "tagType": "Folder", "tags": tags}, {"name": "Inputs", "tagType": "Folder", "tags": inputs}]
    return json.dumps({"name": "ThermogenZero", "tagType": "Folder", "tags": folders}, indent=2) + "\n"


def _tag(register: Register, place: int) -> dict[str, Any]:
    tag: dict[str, Any] = {
        "name": f"{register.identifier}_{place:03}" if register.count > 1 else register.identifier,
        "tagType": "AtomicTag",
        "valueSource": "opc",
        "dataType": _IGNITION_TYPE[register.form],
        "opcServer": "Ignition OPC UA Server",
        "opcItemPath": f"ns=1;s=[ThermogenZero]{_IGNITION_CODE[register.form]}{register.address + place * register.words}",
        "readOnly": not register.writable,
        "engUnit": register.unit,
        "documentation": register.meaning,
    }
    if register.scale != 1:
        tag |= {"scaleMode": "Linear", "rawLow": 0, "rawHigh": 1_000, "scaledLow": 0, "scaledHigh": float(1_000 * register.scale)}
        tag |= {"dataType": "Float8"}
    return tag
