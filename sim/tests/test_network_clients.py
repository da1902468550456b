"""The network's gateware through a TAP device: this machine's own ping, ARP and DHCP, unmodified."""

import re
import subprocess
import time

import pytest
from amaranth.back import rtlil
from thermogen_gateware.network.network_interface import NetworkEvent
from thermogen_sim.network_harness import CompiledNetwork
from thermogen_sim.network_library import TOP, network_library
from thermogen_sim.tap import DEVICE, available, tap_namespace

from .counted_interface import CountedInterface

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not available(), reason="a TAP device needs root and /dev/net/tun")]

CLOCKS_PER_SECOND = 100_000
MAC = "02:00:c0:00:02:02"


@pytest.fixture(scope="module")
def library():
    return network_library(rtlil.convert(CountedInterface(CLOCKS_PER_SECOND), name=TOP, emit_src=False))


@pytest.fixture
def network(library):
    made = CompiledNetwork(library)
    made["mac"] = int(MAC.replace(":", ""), 16)
    made["fixed_netmask"] = 0xFFFFFF00
    yield made
    made.close()


@pytest.fixture
def namespace():
    with tap_namespace("192.0.2.1/24") as made:
        yield made


PATIENCE_S = 300
"""Bound of every wait, and no measure of anything: a busy machine may take its time."""


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)  # between two looks
    raise AssertionError(f"not within {PATIENCE_S} s")


def statistics(output):
    sent, received = re.search(r"(\d+) packets transmitted, (\d+) received", output).groups()
    assert "DUP" not in output
    assert "wrong" not in output
    return int(sent), int(received)


@pytest.fixture
def served(network, namespace):
    network["fixed_address"] = 0xC0000202
    network.run(100_000)
    with network.serve(namespace.descriptor, CLOCKS_PER_SECOND):
        yield namespace
    assert network.damaged_sent == 0


def test_ping_in_all_sizes(served):
    for size in (0, 1, 17, 18, 19, 56, 1471, 1472):
        assert statistics(served.run("ping", "-c", "3", "-i", "0.01", "-s", str(size), "-W", "5", "192.0.2.2")) == (3, 3)


def test_a_flood_of_pings_is_answered(served):
    assert statistics(served.run("ping", "-f", "-c", "2000", "-W", "5", "192.0.2.2")) == (2000, 2000)


def test_the_kernel_knows_us_by_arp(served):
    served.run("ping", "-c", "1", "-W", "5", "192.0.2.2")
    assert re.search(rf"192\.0\.2\.2 .*lladdr {MAC} (REACHABLE|DELAY)", served.run("ip", "neigh"))
    served.run("ip", "neigh", "flush", "all")
    assert statistics(served.run("ping", "-c", "1", "-W", "5", "192.0.2.2")) == (1, 1)


def test_fragments_are_not_answered_and_counted(served, network):
    with pytest.raises(subprocess.CalledProcessError):
        served.run("ping", "-c", "2", "-i", "0.1", "-s", "3000", "-W", "1", "192.0.2.2")
    network["counter"] = NetworkEvent.IPV4_FRAGMENTS
    until(lambda: network["count"] >= 4)
    assert statistics(served.run("ping", "-c", "1", "-W", "5", "192.0.2.2")) == (1, 1)


@pytest.fixture
def dnsmasq(namespace, tmp_path):
    log = tmp_path / "dnsmasq.log"

    def start(lease="120"):
        arguments = [
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--bind-interfaces", f"--interface={DEVICE}"),
            *("--dhcp-authoritative", f"--dhcp-range=192.0.2.100,192.0.2.110,255.255.255.0,{lease}", "--dhcp-option=3,192.0.2.1"),
            "--no-ping",
            *("--log-dhcp", f"--log-facility={log}", f"--dhcp-leasefile={tmp_path / 'leases'}", "--user=root", "--pid-file"),
        ]
        process = subprocess.Popen(namespace.command(arguments))
        started.append(process)
        until(lambda: log.exists() and "started" in log.read_text())
        return process

    started = []
    start.log = log
    yield start
    for process in started:
        process.terminate()
        process.wait(10)


def test_an_address_comes_from_a_real_dhcp_server_and_is_renewed(network, namespace, dnsmasq):
    server = dnsmasq()
    network["dhcp"], network["fixed_address"] = 1, 0xC0000263
    with network.serve(namespace.descriptor, CLOCKS_PER_SECOND * 20):
        # Twenty gateware seconds a second of wall time: its lease of 120 s has to be renewed several times.
        until(lambda: network["address"] in range(0xC0000264, 0xC000026F))
        assert network["netmask"] == 0xFFFFFF00
        assert network["gateway"] == 0xC0000201
        address = network["address"]
        text = f"192.0.2.{address & 0xFF}"
        assert statistics(namespace.run("ping", "-c", "3", "-i", "0.05", "-W", "5", text)) == (3, 3)
        until(lambda: dnsmasq.log.read_text().count(f"DHCPACK({DEVICE}) {text}") >= 3)
        assert dnsmasq.log.read_text().count("DHCPDISCOVER") == 1
        assert network["address"] == address
        # Nobody renews any more: the lease ends, and after a while the fixed address is used.
        server.terminate()
        server.wait(10)
        until(lambda: network["address"] == 0)
        until(lambda: network["address"] == 0xC0000263)
        assert statistics(namespace.run("ping", "-c", "3", "-i", "0.05", "-W", "5", "192.0.2.99")) == (3, 3)
        # A server comes back and is heard of.
        dnsmasq()
        until(lambda: network["address"] in range(0xC0000264, 0xC000026F))
    assert network.damaged_sent == 0
