// Strings, bucks, bus, battery, load and dump resistor, stepped once per PWM period from the on-times of the gate drives.
//
// Within a period the voltages stand still and each inductor's current runs in straight lines: up while the high side is on,
// down while the low side is on (through zero if the low side stays on, as a synchronous buck does), then through the body
// diodes until it stops. So continuous conduction, discontinuous conduction and reverse current all come from one rule. The
// 2.3 ms of C_in and the string's resistance, and the bus, are integrated with the charge that the period moved.
//
// Signs: an output current is positive into the bus, a battery current positive when it charges.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace thermogen {

constexpr int kMaxChannels = 36;

extern "C" {

// Shared with Python by its layout: keep in step with thermogen_sim/electrical.py.
struct tz_electrical {
    // What the slow side of the plant says.
    double open_circuit_v[kMaxChannels];
    double string_ohm[kMaxChannels];
    double battery_ocv;
    double battery_ohm;
    double load_w;
    double dump_start_v;
    double dump_full_v;
    double dump_full_a;
    int32_t battery_connected;
    int32_t load_connected;
    int32_t dump_connected;
    int32_t channels;
    // State.
    double bus_v;
    double input_v[kMaxChannels];
    double inductor_a[kMaxChannels];
    double output_a[kMaxChannels];    // mean over the last period
    double amplifier_a[kMaxChannels];  // what the shunt amplifier shows
    double battery_a;
    double bus_a;
    // Sums since the reader last cleared them; divide by `seconds`.
    double seconds;
    double string_as[kMaxChannels];
    double string_a2s[kMaxChannels];
    double output_as[kMaxChannels];
    double output_j;
    double battery_as;
    double load_j;
    double dump_j;
};
}

struct Parts {
    double inductor_h = 220e-6;
    double input_f = 47e-6;
    double bus_f = 10e-3;        // output capacitors of the channels and the bus bank
    double path_ohm = 0.040;     // winding, switch and 5 mohm shunt
    double body_diode_v = 0.8;
    double amplifier_s = 16e-6;  // 10 kHz filter behind the shunt amplifier
};

inline void electrical_period(tz_electrical& e, const Parts& parts, const uint16_t* high_counts, const uint16_t* low_counts,
                              int period_counts, double period_s) {
    const double count_s = period_s / period_counts;
    const double bus = e.bus_v;
    const double filter = period_s / (period_s + parts.amplifier_s);
    double bus_a = 0;
    for (int c = 0; c < e.channels; ++c) {
        const double high_s = high_counts[c] * count_s;
        const double low_s = std::min<double>(low_counts[c] * count_s, period_s - high_s);
        const double free_s = period_s - high_s - low_s;
        double amps = e.inductor_a[c];
        double from_input = 0, to_bus = 0;

        if (high_s > 0) {
            const double end = amps + (e.input_v[c] - bus - amps * parts.path_ohm) * high_s / parts.inductor_h;
            from_input = to_bus = 0.5 * (amps + end) * high_s;
            amps = end;
        }
        if (low_s > 0) {
            const double end = amps + (-bus - amps * parts.path_ohm) * low_s / parts.inductor_h;
            to_bus += 0.5 * (amps + end) * low_s;
            amps = end;
        }
        if (free_s > 0) {
            if (amps > 0) {
                const double stop_s = amps * parts.inductor_h / (bus + parts.body_diode_v);
                const double end = stop_s < free_s ? 0.0 : amps * (1.0 - free_s / stop_s);
                to_bus += 0.5 * (amps + end) * std::min(stop_s, free_s);
                amps = end;
            } else {
                // The high side's body diode: reverse current returns to the input, or the bus charges an empty input.
                const double rise = (e.input_v[c] + parts.body_diode_v - bus) / parts.inductor_h;
                if (amps < 0 || rise < 0) {
                    double end = amps + rise * free_s, flow_s = free_s;
                    if (end > 0) {
                        flow_s = -amps / rise;
                        end = 0;
                    }
                    const double charge = 0.5 * (amps + end) * flow_s;
                    from_input += charge;
                    to_bus += charge;
                    amps = end;
                }
            }
        }
        e.inductor_a[c] = amps;

        // Implicit in the string's resistance, so that any value is stable. Its ideal diode lets no current back into it.
        const double share = period_s / (parts.input_f * e.string_ohm[c]);
        const double drawn_v = e.input_v[c] - from_input / parts.input_f;
        const double fed_v = (drawn_v + share * e.open_circuit_v[c]) / (1.0 + share);
        const double string_a = std::max(0.0, (e.open_circuit_v[c] - fed_v) / e.string_ohm[c]);
        e.input_v[c] = std::max(0.0, string_a > 0.0 ? fed_v : drawn_v);
        e.output_a[c] = to_bus / period_s;
        e.amplifier_a[c] += filter * (e.output_a[c] - e.amplifier_a[c]);
        e.string_as[c] += string_a * period_s;
        e.string_a2s[c] += string_a * string_a * period_s;
        e.output_as[c] += to_bus;
        bus_a += e.output_a[c];
    }
    e.bus_a = bus_a;

    const double load_a = e.load_connected && bus > 40.0 ? e.load_w / bus : 0.0;
    const double dump_a =
        e.dump_connected
            ? e.dump_full_a * std::min(1.0, std::max(0.0, (bus - e.dump_start_v) / (e.dump_full_v - e.dump_start_v)))
            : 0.0;
    // Implicit in the battery, whose resistance and the bus capacitance settle within some tens of periods.
    const double battery_s = e.battery_connected ? 1.0 / e.battery_ohm : 0.0;
    const double step = period_s / parts.bus_f;
    e.bus_v = std::max(0.0, (bus + step * (bus_a - load_a - dump_a + battery_s * e.battery_ocv)) / (1.0 + step * battery_s));
    e.battery_a = (e.bus_v - e.battery_ocv) * battery_s;

    e.seconds += period_s;
    e.output_j += bus * bus_a * period_s;
    e.battery_as += e.battery_a * period_s;
    e.load_j += load_a * bus * period_s;
    e.dump_j += dump_a * bus * period_s;
}

}  // namespace thermogen
