// One thermoelectric string behind its buck, averaged over each 10 µs PWM period, with the converter that samples its output current.
//
// Averaged: the input capacitor's voltage and the inductor's mean current are states; in discontinuous conduction the current is the
// pulse's mean, d² v (v − bus) T / (2 L bus), and the larger of the two laws holds, because they meet at the boundary. Heat: either the temperature
// difference is given, or the heat that flows into the hot plate of each module, whose heat capacity then makes the lag:
//
//     C dTh/dt = heat − (a I Th + K (Th − Tc) − I² R / 2)
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace mppt {

constexpr double kPeriodSeconds = 10e-6;
constexpr int kPeriodsPerExchange = 10;
constexpr double kExchangeSeconds = kPeriodSeconds * kPeriodsPerExchange;
constexpr double kDutyOne = 3840.0;  // eighths of 480 counts
constexpr double kAmperePerLsb = 2e-3;

struct Parts {
    double inductor_h = 220e-6;
    double input_f = 47e-6;
    double path_ohm = 0.040;
    double filter_s = 31.8e-6;  // each of two equal poles at 5 kHz behind the shunt amplifier
    double duty_max = 0.95;
    int modules = 32;
    double seebeck_v_k = 0.033;
    double module_ohm = 1.5;
    double conductance_w_k = 0.50;
    double plate_j_k = 13.6;  // of a module: 3.5 mm of aluminium under its 40 × 40 mm; the lag is then 25 s
    double cold_k = 323.15;
};

class Noise {
public:
    explicit Noise(uint64_t seed) : state_(seed * 2654435761u + 88172645463325252ull) {}
    double gauss() {
        if (kept_) {
            kept_ = false;
            return other_;
        }
        const double radius = std::sqrt(-2.0 * std::log(uniform())), angle = 6.283185307179586 * uniform();
        other_ = radius * std::sin(angle);
        kept_ = true;
        return radius * std::cos(angle);
    }

private:
    double uniform() {
        state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
        return (double(state_ >> 11) + 0.5) / 9007199254740992.0;
    }
    uint64_t state_;
    double other_ = 0;
    bool kept_ = false;
};

struct Channel {
    double hot_k = 323.15;
    double open_v = 0;
    double input_v = 0;
    double inductor_a = 0;
    double pole_a = 0, shown_a = 0;
    double output_as = 0, string_as = 0, string_a2s = 0;  // of this exchange

    void exchange(const Parts& p, double duty, double bus_v, double string_ohm) {
        const double pole = kPeriodSeconds / (kPeriodSeconds + p.filter_s);
        const double share = kPeriodSeconds / (p.input_f * string_ohm);
        const double pulse = duty * duty * kPeriodSeconds / (2.0 * p.inductor_h * bus_v);
        output_as = string_as = string_a2s = 0;
        for (int n = 0; n < kPeriodsPerExchange; ++n) {
            double from_input;
            const double pulsed_a = input_v > bus_v ? pulse * input_v * (input_v - bus_v) : 0.0;
            const double continuous_a =
                duty > 0 ? inductor_a + kPeriodSeconds / p.inductor_h * (duty * input_v - bus_v - p.path_ohm * inductor_a) : 0.0;
            if (continuous_a > pulsed_a) {
                inductor_a = continuous_a;
                from_input = duty * inductor_a;
            } else {
                inductor_a = pulsed_a;
                from_input = input_v > 0 ? pulsed_a * bus_v / input_v : 0.0;
            }
            const double drawn_v = input_v - from_input * kPeriodSeconds / p.input_f;
            const double fed_v = (drawn_v + share * open_v) / (1.0 + share);
            const double string_a = std::max(0.0, (open_v - fed_v) / string_ohm);
            input_v = std::max(0.0, string_a > 0 ? fed_v : drawn_v);
            pole_a += pole * (inductor_a - pole_a);
            shown_a += pole * (pole_a - shown_a);
            output_as += inductor_a * kPeriodSeconds;
            string_as += string_a * kPeriodSeconds;
            string_a2s += string_a * string_a * kPeriodSeconds;
        }
    }

    void heat(const Parts& p, double heat_w) {
        const double taken =
            p.seebeck_v_k * string_as * hot_k + p.conductance_w_k * (hot_k - p.cold_k) * kExchangeSeconds - 0.5 * p.module_ohm * string_a2s;
        hot_k += (heat_w * kExchangeSeconds - taken) / p.plate_j_k;
    }

    uint16_t sample(double noise_lsb, Noise& noise) const {
        const double raw = 2048.0 + shown_a / kAmperePerLsb + noise_lsb * noise.gauss();
        return uint16_t(std::min(4095.0, std::max(0.0, std::floor(raw + 0.5))));
    }
};

// The most output power within the converter's reach at an open-circuit voltage: over u = bus / duty, u (open − u) / (R + path (u / bus)²).
inline double available_w(const Parts& p, double open_v, double string_ohm, double bus_v) {
    const double reach = bus_v / p.duty_max;
    if (open_v <= reach || string_ohm > 1e5) return 0.0;
    const auto power = [&](double u) { return u * (open_v - u) / (string_ohm + p.path_ohm * u * u / (bus_v * bus_v)); };
    double low = reach, high = open_v;
    for (int n = 0; n < 40; ++n) {
        const double a = high - 0.6180339887 * (high - low), b = low + 0.6180339887 * (high - low);
        if (power(a) < power(b)) low = a;
        else high = b;
    }
    return power(0.5 * (low + high));
}

}  // namespace mppt
