"""What is published of the map is that of the code, and the examples do what they say against a server that has the map."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest
from thermogen_esf.scada import WRITABLE, WRITABLE_BY_ADDRESS, WRITABLES
from thermogen_gateware.scada.map import BLOCKS, COILS, DISCRETE_INPUTS, REGISTERS, WORD_ORDER_TEST, WORDS
from thermogen_gateware.scada.published import FILES, content

DOCS = Path(__file__).parents[3] / "docs"
POWER_MW = -1_234_567
FUNCTION_BITS, ILLEGAL_ADDRESS = (1, 2), 2


class MapServer:
    """A MODBUS server that has the map in memory: what a client reads and writes, without any gateware."""

    def __init__(self):
        self.registers = dict.fromkeys(WORDS, 0)
        power = next(register.address for register in REGISTERS if register.identifier == "channel_power")
        high, low = struct.unpack(">HH", struct.pack(">i", POWER_MW))
        self.registers |= {0: 0x545A, 1: 1, power: high, power + 1: low, 108: 50_112}
        self.writes: list[tuple[int, int]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def close(self):
        self._listener.close()

    def _run(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, client.makefile("rb") as stream:
                while len(head := stream.read(7)) == 7:
                    transaction, _, length, unit = struct.unpack(">HHHB", head)
                    answer = self._answer(stream.read(length - 1))
                    client.sendall(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)

    def _answer(self, pdu):
        function, address, count = struct.unpack(">BHH", pdu[:5])
        if function in FUNCTION_BITS:
            return bytes([function, -(-count // 8)]) + bytes(-(-count // 8))
        if function in (3, 4) and all(place in self.registers for place in range(address, address + count)):
            words = [self.registers[place] for place in range(address, address + count)]
            return bytes([function, 2 * count]) + struct.pack(f">{count}H", *words)
        if function in (6, 16) and address in WRITABLE_BY_ADDRESS:
            value = count if function == 6 else struct.unpack(">H", pdu[6:8])[0]
            self.writes.append((address, value))
            self.registers[address] = value
            return pdu[:5]
        return bytes([function | 0x80, ILLEGAL_ADDRESS])


@pytest.fixture
def server():
    made = MapServer()
    yield made
    made.close()


@pytest.mark.parametrize("name", FILES)
def test_a_published_file_is_not_stale(name):
    """`make docs` brings it up to date."""
    assert (DOCS / name).read_bytes() == content(name)


def test_every_register_and_bit_is_on_the_page_with_both_numbers():
    page = content("scada-map.md").decode()
    for register in REGISTERS:
        assert f"| {30_001 + register.address} | {40_001 + register.address} | `{register.identifier}` |" in page
    for coil in COILS:
        assert f"| {coil.address} | {1 + coil.address:05} | `{coil.identifier}` |" in page
    for bit in DISCRETE_INPUTS:
        assert f"| {bit.address} | {10_001 + bit.address:05} | `{bit.identifier}` |" in page
    for writable in WRITABLES:
        assert f"| `{writable.identifier}` | {writable.address} |" in page


def test_the_csv_has_a_row_for_each():
    rows = list(csv.DictReader(io.StringIO(content("scada/scada-map.csv").decode())))
    assert len(rows) == len(REGISTERS) + len(COILS) + len(DISCRETE_INPUTS)
    by_name = {row["identifier"]: row for row in rows if row["block"] in {each.name for each in BLOCKS}}
    power = by_name["channel_power"]
    assert (power["address"], power["input register"], power["holding register"]) == ("102", "30103", "40103")
    assert (power["type"], power["unit"], power["scale"]) == ("i32", "W", "0.001")
    assert "2 producing" in by_name["site_state"]["values"] and "bit 12 ground_fault" in by_name["faults"]["values"]
    assert by_name["site_power_limit"]["access"] == "read, write"


def test_the_workbook_says_the_same_as_the_csv():
    main = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(io.BytesIO(content("scada/scada-map.xlsx"))) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            ET.fromstring(archive.read(name))
        sheet = ET.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    texts = []
    for row in sheet.iter(f"{main}row"):
        cells = {re.sub(r"\d", "", cell.get("r")): "".join(cell.itertext()) for cell in row}
        texts.append([cells.get(chr(ord("A") + at), "") for at in range(15)])
    assert texts == list(csv.reader(io.StringIO(content("scada/scada-map.csv").decode())))[: len(REGISTERS) + 1]


def test_the_ignition_export_has_a_tag_for_each_value_and_input():
    export = json.loads(content("scada/ignition-tags.json"))
    registers, inputs = (folder["tags"] for folder in export["tags"])
    assert len(registers) == sum(register.count for register in REGISTERS) and len(inputs) == len(DISCRETE_INPUTS)
    paths = {tag["name"]: tag["opcItemPath"] for tag in registers}
    assert paths["channel_power"].endswith("]HRI102") and paths["channel_current_107"].endswith("]HR1107")
    assert paths["electrical_energy"].endswith("]HRUI_64200")
    assert {tag["name"] for tag in registers if not tag["readOnly"]} == set(WRITABLE)


def test_the_node_red_flow_is_wired_and_names_one_server():
    nodes = {node["id"]: node for node in json.loads(content("scada/node-red-flow.json"))}
    for node in nodes.values():
        assert all(target in nodes for wires in node.get("wires", []) for target in wires)
        assert node.get("server", "tz-node") in nodes and node.get("z", "tz-flow") in nodes
    assert (nodes["tz-read"]["adr"], nodes["tz-read"]["quantity"]) == ("102", "2")


def test_the_quick_start_names_addresses_of_the_map():
    text = (DOCS / "scada" / "quick-start.md").read_text("utf-8")
    names = {"channel_power": 102, "word_order_test": 16, "site_power_limit": 704, "heartbeat": 700, "override_timeout_s": 701}
    names |= {"override_remaining_s": 601}
    places = {register.identifier: register.address for register in REGISTERS}
    assert {name: places[name] for name in names} == names
    assert all(str(address) in text for address in names.values())
    assert next(bit.address for bit in DISCRETE_INPUTS if bit.identifier == "override_flags.alive") == 48


def test_the_quick_start_says_what_an_ignition_device_needs_for_wide_values():
    """Ignition takes the lower word first unless it is told; the node the higher one."""
    text = (DOCS / "scada" / "quick-start.md").read_text(encoding="utf-8")
    assert "Zero Based Addressing" in text and "Reverse Numeric Word Order" in text
    swapped = (WORD_ORDER_TEST & 0xFFFF) << 16 | WORD_ORDER_TEST >> 16
    assert f"{swapped} instead of {WORD_ORDER_TEST}" in text


def test_the_pymodbus_program_reads_the_power_and_holds_a_cap(server):
    program = [sys.executable, DOCS / "scada" / "thermogen_scada.py", "127.0.0.1", str(server.port)]
    read = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (read.returncode, read.stdout) == (0, "power -1234.6 W, bus 50.11 V, site state 0\n"), read.stderr
    held = subprocess.run([*program, "--cap", "600", "--for", "0.5"], capture_output=True, text=True, timeout=60, check=False)
    assert held.returncode == 0 and "limit in force: 600 W" in held.stdout, held.stderr
    assert server.writes == [(WRITABLE["site_power_limit"].address, 60), (WRITABLE["heartbeat"].address, 1)]


@pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed; scripts/install-system-packages does it")
def test_the_mbpoll_lines_run_and_cap_the_power(server):
    script = ["sh", DOCS / "scada" / "mbpoll.sh", "127.0.0.1", str(server.port)]
    ran = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"\[102\]:\s+-1234567", ran.stdout) and re.search(r"\[0\]:\s+0x545A", ran.stdout)
    assert server.writes == [(WRITABLE["site_power_limit"].address, 60), (WRITABLE["heartbeat"].address, 1)]
