"""All properties, in the order of a trip through the power path: gates, module, link, node; then the network's, from the wire in."""

from __future__ import annotations

from . import (
    buck_pwm,
    energy,
    modbus_server,
    module_link_slave,
    module_release,
    pcm,
    protection,
    run_wires,
    scada,
    tcp_connections,
    tcp_engine,
    tcp_receive,
    tcp_send,
    tcp_transmit,
    tcp_unread,
    tcp_visit,
    tracker,
)
from .proof import Property

PROPERTIES: tuple[Property, ...] = (
    *buck_pwm.PROPERTIES,
    *module_release.PROPERTIES,
    *pcm.PROPERTIES,
    *module_link_slave.PROPERTIES,
    *protection.PROPERTIES,
    *run_wires.PROPERTIES,
    *tracker.PROPERTIES,
    *energy.PROPERTIES,
    *tcp_engine.PROPERTIES,
    *tcp_connections.PROPERTIES,
    *tcp_receive.PROPERTIES,
    *tcp_visit.PROPERTIES,
    *tcp_unread.PROPERTIES,
    *tcp_send.PROPERTIES,
    *tcp_transmit.PROPERTIES,
    *modbus_server.PROPERTIES,
    *scada.PROPERTIES,
)
