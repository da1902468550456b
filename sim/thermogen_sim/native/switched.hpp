// Strings, synchronous bucks and bus switched gate by gate: what the averaged model (electrical.hpp) is measured against.
//
// Between two events the circuit is linear: each channel is the string (a source behind an ideal diode and its resistance), C_in, one of
// five ways through the half bridge, L with the path's resistance and the two equal poles behind the shunt amplifier; all meet on the bus
// capacitor with battery and load. Such a stretch is solved by its Taylor series, at most 5 us at a time: with the fastest rate, the
// amplifier's 31,000/s, the first term left out is 1e-13 of the whole. Events are the gates, an inductor whose current ends, a body diode
// that begins and the string's diode; the instant of the last three is the root of the series. A load of constant power is its tangent at
// the start of a stretch. Signs as in electrical.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace thermogen {

constexpr int kSwitchedChannels = 12;

extern "C" {

// Shared with Python by its layout: keep in step with thermogen_sim/switched.py.
struct tz_switched {
    // Parts.
    double inductor_h, input_f, bus_f, path_ohm, body_diode_v, amplifier_hz;
    // Outside.
    double open_circuit_v[kSwitchedChannels];
    double string_ohm[kSwitchedChannels];
    double battery_ocv, battery_ohm, load_w;
    int32_t battery_connected;
    int32_t channels;
    int32_t high[kSwitchedChannels], low[kSwitchedChannels];  // gates; with both on the high side wins and `shoot_through` counts
    // State.
    double bus_v;
    double input_v[kSwitchedChannels];
    double inductor_a[kSwitchedChannels];
    double first_pole_a[kSwitchedChannels];
    double amplifier_a[kSwitchedChannels];  // what the shunt amplifier shows behind both poles
    int32_t shoot_through;
    int32_t events;
    // Sums since the reader last cleared them; divide by `seconds`.
    double seconds;
    double string_j[kSwitchedChannels];
    double output_as[kSwitchedChannels];
    double output_j;
};
}

class Switched {
public:
    explicit Switched(tz_switched& s) : s_(s) {}

    // Advances with the gates as they stand.
    void run(double seconds) {
        while (seconds > 0) {
            double step = std::min(seconds, kLongest);
            choose();
            expand();
            const int event = first_event(step);
            if (event >= 0) ++s_.events;
            sum(step);
            move(step);
            seconds -= step;
            if (event >= 0) settle(event);
            if (seconds < kShortest) break;
        }
    }

private:
    static constexpr int kOrder = 8;
    static constexpr double kLongest = 5e-6, kShortest = 1e-16;
    enum Way : uint8_t { kHigh, kLow, kLowDiode, kHighDiode, kNone };

    struct Series {
        double c[kOrder + 1];
        double at(double t) const {
            double total = c[kOrder];
            for (int k = kOrder - 1; k >= 0; --k) total = total * t + c[k];
            return total;
        }
    };

    // The way of each inductor's current, and whether its string feeds.
    void choose() {
        for (int n = 0; n < s_.channels; ++n) {
            const double amps = s_.inductor_a[n];
            if (s_.high[n] && s_.low[n]) ++s_.shoot_through;
            if (s_.high[n]) way_[n] = kHigh;
            else if (s_.low[n]) way_[n] = kLow;
            else if (amps > 0) way_[n] = kLowDiode;
            else if (amps < 0 || s_.input_v[n] + s_.body_diode_v < s_.bus_v) way_[n] = kHighDiode;
            else way_[n] = kNone;
            feeds_[n] = s_.input_v[n] < s_.open_circuit_v[n] || (s_.input_v[n] == s_.open_circuit_v[n] && from_input(n) * amps >= 0);
        }
    }

    int from_input(int n) const { return way_[n] == kHigh || way_[n] == kHighDiode; }

    void expand() {
        const double battery_s = s_.battery_connected ? 1.0 / s_.battery_ohm : 0.0;
        const double load_s = s_.bus_v > 0 ? -s_.load_w / (s_.bus_v * s_.bus_v) : 0.0;  // tangent of P / v
        const double load_a = s_.bus_v > 0 ? 2.0 * s_.load_w / s_.bus_v : 0.0;
        const double pole = 2.0 * M_PI * s_.amplifier_hz;
        bus_.c[0] = s_.bus_v;
        for (int n = 0; n < s_.channels; ++n) {
            input_[n].c[0] = s_.input_v[n];
            inductor_[n].c[0] = way_[n] == kNone ? 0.0 : s_.inductor_a[n];
            first_[n].c[0] = s_.first_pole_a[n];
            second_[n].c[0] = s_.amplifier_a[n];
        }
        for (int k = 0; k < kOrder; ++k) {
            const double once = k == 0 ? 1.0 : 0.0, share = 1.0 / (k + 1);
            double into_bus = once * (battery_s * s_.battery_ocv - load_a) - (battery_s + load_s) * bus_.c[k];
            for (int n = 0; n < s_.channels; ++n) {
                const double amps = inductor_[n].c[k], volts = input_[n].c[k];
                into_bus += amps;
                double across = -bus_.c[k] - s_.path_ohm * amps;
                if (way_[n] == kHigh) across += volts;
                else if (way_[n] == kLowDiode) across -= once * s_.body_diode_v;
                else if (way_[n] == kHighDiode) across += volts + once * s_.body_diode_v;
                inductor_[n].c[k + 1] = way_[n] == kNone ? 0.0 : share * across / s_.inductor_h;
                const double string_a = feeds_[n] ? (once * s_.open_circuit_v[n] - volts) / s_.string_ohm[n] : 0.0;
                input_[n].c[k + 1] = share * (string_a - from_input(n) * amps) / s_.input_f;
                first_[n].c[k + 1] = share * pole * (amps - first_[n].c[k]);
                second_[n].c[k + 1] = share * pole * (first_[n].c[k] - second_[n].c[k]);
            }
            bus_.c[k + 1] = share * into_bus / s_.bus_f;
        }
    }

    // Shortens `step` to the first event; its channel, or -1 where there is none. `current_ends_` says of which kind.
    int first_event(double& step) {
        int channel = -1;
        for (int n = 0; n < s_.channels; ++n) {
            const auto look = [&](auto&& value, bool current) {
                const double begin = value(0.0);
                if (begin == 0.0 || (value(step) < 0.0) == (begin < 0.0)) return;
                double before = 0.0, after = step;
                for (int k = 0; k < 60 && after - before > 1e-17; ++k) {
                    const double middle = 0.5 * (before + after);
                    ((value(middle) < 0.0) == (begin < 0.0) ? before : after) = middle;
                }
                step = after;
                channel = n;
                current_ends_ = current;
            };
            if (way_[n] == kLowDiode || (way_[n] == kHighDiode && s_.inductor_a[n] < 0))
                look([&](double t) { return inductor_[n].at(t); }, true);
            if (way_[n] == kNone)
                look([&](double t) { return input_[n].at(t) + s_.body_diode_v - bus_.at(t); }, false);
            look([&](double t) { return input_[n].at(t) - s_.open_circuit_v[n]; }, false);
        }
        return channel;
    }

    void sum(double step) {
        // Gauss and Legendre, five points: exact for the squares of what these series hold.
        static constexpr double kAt[5] = {0.046910077030668, 0.230765344947158, 0.5, 0.769234655052842, 0.953089922969332};
        static constexpr double kWeight[5] = {0.118463442528095, 0.239314335249683, 0.284444444444444, 0.239314335249683,
                                              0.118463442528095};
        for (int p = 0; p < 5; ++p) {
            const double t = kAt[p] * step, weight = kWeight[p] * step;
            double into_bus = 0;
            for (int n = 0; n < s_.channels; ++n) {
                const double amps = inductor_[n].at(t), volts = input_[n].at(t);
                into_bus += amps;
                s_.output_as[n] += weight * amps;
                if (feeds_[n]) s_.string_j[n] += weight * volts * (s_.open_circuit_v[n] - volts) / s_.string_ohm[n];
            }
            s_.output_j += weight * bus_.at(t) * into_bus;
        }
        s_.seconds += step;
    }

    void move(double step) {
        s_.bus_v = bus_.at(step);
        for (int n = 0; n < s_.channels; ++n) {
            s_.input_v[n] = input_[n].at(step);
            s_.inductor_a[n] = inductor_[n].at(step);
            s_.first_pole_a[n] = first_[n].at(step);
            s_.amplifier_a[n] = second_[n].at(step);
        }
    }

    // A current that has ended is exactly 0: what the root left over would start the other diode.
    void settle(int channel) {
        if (current_ends_) s_.inductor_a[channel] = 0.0;
    }

    tz_switched& s_;
    Way way_[kSwitchedChannels]{};
    bool feeds_[kSwitchedChannels]{};
    bool current_ends_ = false;
    Series bus_{}, input_[kSwitchedChannels]{}, inductor_[kSwitchedChannels]{}, first_[kSwitchedChannels]{}, second_[kSwitchedChannels]{};
};

}  // namespace thermogen
