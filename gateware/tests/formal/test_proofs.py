"""Every declared property is proven and covered, its mutant is refuted, and the published table is that of the declarations."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import pytest

from .document import COMMAND, DOCUMENT, document
from .mutant import Mutant, StaleMutantError, cores
from .proof import Property, Task, decide
from .properties import PROPERTIES


@pytest.mark.slow
@pytest.mark.parametrize("proof", [pytest.param(proof, id=proof.name, marks=[pytest.mark.soak] * proof.long) for proof in PROPERTIES])
def test_the_property_is_proven_and_its_mutant_refuted(proof: Property, tmp_path):
    for task in Task:
        verdict = decide(proof, task, tmp_path)
        assert verdict.holds, f"{task.value}: {verdict.status}\n{verdict.log[-4000:]}"


_CLEARED = "~holding & self.converter_healthy & (self.bus_mv < CLEAR_BELOW_MV) & site_gone"
_GONE = "site_gone = site.reverse_gone & site.ground_gone & site.hot_gone"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "core", "line", "broken"),
    [
        ("trip", "protection", _GONE, "site_gone = site.ground_gone & site.hot_gone"),
        ("trip", "protection", _GONE, "site_gone = site.reverse_gone & site.hot_gone"),
        ("trip", "protection", _GONE, "site_gone = site.reverse_gone & site.ground_gone"),
        ("trip", "protection", _CLEARED, "~holding & self.converter_healthy & site_gone"),
        ("trip", "protection", _CLEARED, "~holding & (self.bus_mv < CLEAR_BELOW_MV) & site_gone"),
        ("trip", "protection", "Cat(comparator.high, *(", "Cat(*("),
        ("site_trip", "protection", "site.reverse_bad | self.channel_reverse", "self.channel_reverse"),
        ("site_trip", "protection", "Fault.GROUND_FAULT: site.ground_bad", "Fault.GROUND_FAULT: self.loop_expired"),
        ("comparator_pulse", "protection", "comparator.spoken | comparator.high", "comparator.high"),
        ("comparator_pulse", "protection", "& comparator.quiet &", "&"),
        ("run_wires", "power_path", "protection.run & slots.usable[module]", "slots.usable[module]"),
        ("run_wires", "power_path", "protection.run & slots.usable[module]", "protection.run"),
        ("run_pins", "products.node", "power_on.permit & ", ""),
    ],
)
def test_no_term_can_be_left_out_of_the_protection(name, core, line, broken, tmp_path):
    proof = next(proof for proof in PROPERTIES if proof.name == name)
    verdict = decide(replace(proof, mutant=Mutant("a term is left out", core, line, broken)), Task.REFUTE, tmp_path)
    assert verdict.holds, f"{verdict.status}\n{verdict.log[-4000:]}"


_NETWORK_TERMS = [
    ("modbus_refused_writes_nothing", "network.modbus_server", "(exception == 0) & opened", "opened"),
    ("modbus_refused_writes_nothing", "network.modbus_server", "~registers.exists & ~written", "~registers.exists"),
    ("modbus_refused_writes_nothing", "scada.staging", "self.end & open_ & (self.refusal == Refusal.NONE)", "self.write & open_"),
    ("modbus_refused_writes_nothing", "scada.overrides", "self.apply & self.written[bit]", "self.written[bit]"),
    ("scada_whole_requests", "scada.overrides", "taken & (asked < own)", "taken"),
    ("scada_whole_requests", "scada.staging", "self.refusal.eq(Refusal.NONE), self.written.eq(0)", "self.refusal.eq(Refusal.NONE)"),
    ("scada_writes_told", "scada.events", "kept > EVENT_RING - RESERVE", "kept > EVENT_RING"),
    ("scada_writes_told", "scada.events", "(over & room)", "over"),
    ("scada_writes_told", "scada.events", "other_client & ~room", "C(0)"),
    ("scada_writes_told", "scada.events", "(self.ended & ~is_write) | self.apply", "self.ended | self.apply"),
    ("scada_writes_told", "scada.events", "with m.If(~is_run & ~is_write):", "with m.If(~is_run & ~self.busy):"),
    ("tcp_engine_no_dead_end", "network.tcp_application", " | (waited == AWAIT_CLOCKS - 1)", ""),
    ("tcp_engine_no_dead_end", "network.tcp_application", "receiver.dropped | ~visit.active", "receiver.dropped"),
    ("tcp_engine_no_dead_end", "network.tcp_receive", "busy & (in_data | in_options)", "in_data | in_options"),
    ("tcp_on_a_timer", "network.tcp_timers", "control.armed & overdue", "control.armed & (age != age)"),
    ("tcp_on_a_timer", "network.tcp_timers", " ^ since[:15].all()", ""),
    ("tcp_on_a_timer", "network.tcp_timers", "control.retries == MOST_RETRIES", "age != age"),
    (
        "receive_buffer_read",
        "network.tcp_visit",
        "fetched.eq(self.active & (left != 0) & ~hands_on",
        "fetched.eq(self.active & (left != 0)",
    ),
    ("receive_buffer_written", "network.tcp_receive", "(offset == segment.taken) & (offset[:10] != free)", "C(1)"),
    ("receive_buffer_written", "network.tcp_receive", "data & ~self._ahead & ~offset[16]", "data & ~offset[16]"),
    ("scada_writes_told", "scada.allow_list", "(known == ENTRIES) & ~question.anew", "known == ENTRIES"),
    ("receive_buffer_written", "network.tcp_receive", "data & ~self._ahead & ~offset[16]", "data & ~self._ahead"),
    ("tcp_only_what_was_sent", "network.tcp_receive", "& ~self.touched\n", "\n"),
    ("tcp_sends_what_was_written", "network.tcp_engine", "segment.found & d.of(d.used, segment.connection)", "segment.found"),
    ("send_buffer_read", "network.tcp_transmit", "Mux(left == 1, 0, self.word_read[:8])", "self.word_read[:8]"),
    ("tcp_sends_what_was_written", "network.tcp_output", "with m.Elif(~control.closing | control.fin_sent):", "with m.Else():"),
    ("tcp_unread_fits", "network.tcp_receive", "                        & ~touched\n", ""),
    ("tcp_unread_fits", "network.tcp_receive", "segment.flags & ~Flag.PSH) == Flag.ACK", "segment.flags & Flag.ACK).any()"),
    ("tcp_reads_what_was_received", "network.tcp_arrival", "Mux(control.peer_fin, 0, segment.taken)", "segment.taken"),
    ("tcp_reads_what_was_received", "network.tcp_arrival", "fin & segment.complete & ~control.peer_fin", "fin & segment.complete"),
    ("tcp_reads_what_was_received", "network.tcp_arrival", "with m.If(fin_taken):", "with m.If(0):"),
    ("tcp_reads_what_was_received", "network.tcp_application", "control.closing.eq(1), d.of(d.deaf).eq(1)", "control.closing.eq(1)"),
    ("tcp_reads_what_was_received", "network.tcp_engine", " & ~d.of(d.deaf, segment.connection)", ""),
]


@pytest.mark.soak
@pytest.mark.parametrize(("name", "core", "line", "broken"), _NETWORK_TERMS)
def test_no_term_can_be_left_out_of_the_network(name, core, line, broken, tmp_path):
    proof = next(proof for proof in PROPERTIES if proof.name == name)
    verdict = decide(replace(proof, mutant=Mutant("a term is left out", core, line, broken)), Task.REFUTE, tmp_path)
    assert verdict.holds, f"{verdict.status}\n{verdict.log[-4000:]}"


@pytest.mark.parametrize(("name", "core", "line", "broken"), _NETWORK_TERMS)
def test_every_term_of_the_network_is_still_in_its_line(name, core, line, broken):
    """What the soak leaves out of a proof's core: here only that it would find it."""
    assert name in {proof.name for proof in PROPERTIES}
    with cores(Mutant("a term is left out", core, line, broken)):
        import_module(f"thermogen_gateware.{core}")


def test_the_document_is_not_stale():
    assert DOCUMENT.read_text(encoding="utf-8") == document(PROPERTIES), f"write it again: {COMMAND}"


def test_every_property_has_its_own_name_and_its_own_mutant():
    assert len({proof.name for proof in PROPERTIES}) == len(PROPERTIES)
    assert len({proof.mutant for proof in PROPERTIES}) == len(PROPERTIES)


def test_a_mutant_whose_line_is_gone_is_not_taken_for_one_that_survives():
    gone = Mutant("nothing", "buck_pwm", "no such line", "")
    with cores(gone), pytest.raises(StaleMutantError, match="0 times"):
        import thermogen_gateware.buck_pwm  # noqa: F401


def test_a_mutant_leaves_the_sound_core_alone():
    import thermogen_gateware.buck_pwm as sound

    with cores(PROPERTIES[0].mutant):
        import thermogen_gateware.buck_pwm as broken
    import thermogen_gateware.buck_pwm as after

    assert broken is not sound
    assert after is sound
