// Strings, bucks, bus, battery, load and dump resistor, averaged over each channel's PWM period from the on-times of its gates.
//
// Within a period the voltages stand still at their mean and each inductor's current runs in straight lines: up while the high side is on,
// down while the low side is on (through zero if the low side stays on, as a synchronous buck does), then through the body
// diodes until it stops. So continuous conduction, discontinuous conduction and reverse current all come from one rule. The
// 2.3 ms of C_in and the string's resistance, and the bus, are integrated with the charge that the period moved. Against the switched
// model (switched.hpp) the power in steady state is within 0.1 % (docs/plant.md); between gates it knows nothing, so ripple is not in it.
//
// Channels may have periods that begin at different times: each is closed by itself, the bus once a period with what they last gave.
// Signs: an output current is positive into the bus, a battery current positive when it charges.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace thermogen {

constexpr int kMaxChannels = 108;
constexpr int kMaxPeriodCounts = 480;

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
    double first_pole_a[kMaxChannels];
    double amplifier_a[kMaxChannels];  // what the shunt amplifier shows behind both poles
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
    double bus_f = 10e-3;       // output capacitors of twelve channels and the bus bank
    double path_ohm = 0.040;    // winding, switch and 5 mohm shunt
    double body_diode_v = 0.8;
    double amplifier_hz = 5e3;  // both poles behind the shunt amplifier
};

// How the amplifier's two equal poles follow a current that stands for some counts of a PWM period.
class AmplifierPoles {
public:
    AmplifierPoles(const Parts& parts, int period_counts, double period_s) {
        for (int n = 0; n <= period_counts && n <= kMaxPeriodCounts; ++n) {
            exponent_[n] = 2.0 * M_PI * parts.amplifier_hz * period_s * n / period_counts;
            decay_[n] = std::exp(-exponent_[n]);
        }
    }

    void follow(double amps, int counts, double& first, double& second) const {
        second = amps + (second - amps + (first - amps) * exponent_[counts]) * decay_[counts];
        first = amps + (first - amps) * decay_[counts];
    }

private:
    double exponent_[kMaxPeriodCounts + 1], decay_[kMaxPeriodCounts + 1];
};

// Closes one channel's period, in which its gates were on for so many counts.
inline void channel_period(tz_electrical& e, const Parts& parts, const AmplifierPoles& poles, int c, uint16_t high_counts,
                           uint16_t low_counts, int period_counts, double period_s) {
    const double count_s = period_s / period_counts;
    const double bus = e.bus_v;
    const double high_s = high_counts * count_s;
    const double low_s = std::min<double>(low_counts * count_s, period_s - high_s);
    const double free_s = period_s - high_s - low_s;
    double amps = e.inductor_a[c];
    double from_input = 0, to_bus = 0;

    // The path's resistance sees the mean of both ends.
    const auto ramp = [&](double volts, double seconds) {
        const double damping = 0.5 * parts.path_ohm * seconds / parts.inductor_h;
        const double end = (amps * (1.0 - damping) + volts * seconds / parts.inductor_h) / (1.0 + damping);
        const double charge = 0.5 * (amps + end) * seconds;
        amps = end;
        return charge;
    };
    if (high_s > 0) {
        // The input's voltage in the middle of the period: taken at its start, L and C_in would swing on where the string damps them.
        const double drawn_as = (amps + 0.5 * (e.input_v[c] - bus) * high_s / parts.inductor_h) * high_s;
        const double fed_as = std::max(0.0, (e.open_circuit_v[c] - e.input_v[c]) / e.string_ohm[c]) * period_s;
        const double middle_v = e.input_v[c] + 0.5 * (fed_as - drawn_as) / parts.input_f;
        from_input = to_bus = ramp(middle_v - bus, high_s);
    }
    const auto freewheel = [&](double seconds) {
        if (amps > 0) {
            const double stop_s = amps * parts.inductor_h / (bus + parts.body_diode_v + 0.5 * parts.path_ohm * amps);
            if (stop_s < seconds) {
                to_bus += 0.5 * amps * stop_s;
                amps = 0.0;
            } else {
                to_bus += ramp(-bus - parts.body_diode_v, seconds);
            }
            return;
        }
        // The high side's body diode: reverse current returns to the input, or the bus charges an empty input.
        const double rise = (e.input_v[c] + parts.body_diode_v - bus) / parts.inductor_h;
        if (amps < 0 || rise < 0) {
            double end = amps + rise * seconds, flow_s = seconds;
            if (end > 0) {
                flow_s = -amps / rise;
                end = 0;
            }
            const double charge = 0.5 * (amps + end) * flow_s;
            from_input += charge;
            to_bus += charge;
            amps = end;
        }
    };
    // A low side that is on has a dead time on either side.
    if (low_s > 0) {
        freewheel(0.5 * free_s);
        to_bus += ramp(-bus, low_s);
        freewheel(0.5 * free_s);
    } else if (free_s > 0) {
        freewheel(free_s);
    }
    e.inductor_a[c] = amps;

    // Implicit in the string's resistance, so that any value is stable. Its ideal diode lets no current back into it.
    const double share = period_s / (parts.input_f * e.string_ohm[c]);
    const double drawn_v = e.input_v[c] - from_input / parts.input_f;
    const double fed_v = (drawn_v + share * e.open_circuit_v[c]) / (1.0 + share);
    const double string_a = std::max(0.0, (e.open_circuit_v[c] - fed_v) / e.string_ohm[c]);
    e.input_v[c] = std::max(0.0, string_a > 0.0 ? fed_v : drawn_v);
    e.output_a[c] = to_bus / period_s;
    poles.follow(e.output_a[c], period_counts, e.first_pole_a[c], e.amplifier_a[c]);
    e.string_as[c] += string_a * period_s;
    e.string_a2s[c] += string_a * string_a * period_s;
    e.output_as[c] += to_bus;
}

// Closes a period of the bus with what the channels last gave.
inline void bus_period(tz_electrical& e, const Parts& parts, double period_s) {
    const double bus = e.bus_v;
    double bus_a = 0;
    for (int c = 0; c < e.channels; ++c) bus_a += e.output_a[c];
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
