// What others do, at its best: the trackers that the gateware is measured against, on the same converter and the same samples.
//
// All average every sample since the last decision (their firmware filters less), start from the true open-circuit voltage, and command whole
// counts of the PWM as a microcontroller's timer does; the fractional one commands its voltage exactly, as its analogue loop would.
#pragma once

#include <algorithm>
#include <cstdint>

#include "string_and_buck.hpp"

namespace mppt {

struct Seen {
    uint16_t current;   // 12 bits, 2048 = 0 A
    double voltage_v;   // of the string, where the peer has a sensor: 12 bits over 250 V with the same noise
    double bus_v;
};

// The duty follows by a count an exchange for everybody: the input's resonance is no one's fault.
class Peer {
public:
    virtual ~Peer() = default;
    double exchange(const Seen& seen) {
        decide(seen);
        const double goal = std::min(456.0, std::max(0.0, goal_));
        duty_ = goal <= 0 ? 0 : duty_ <= 0 ? std::min(goal, 120.0) : duty_ + std::min(1.0, std::max(-1.0, goal - duty_));
        return duty_ / 480.0;
    }

protected:
    virtual void decide(const Seen& seen) = 0;
    double goal_ = 0, duty_ = 0;
};

// Perturb and observe at 10 Hz with a fixed step, as the Libre Solar charge controllers' firmware does it (dcdc.cpp, Apache-2.0): the duty starts at
// bus / (open circuit − 1 V) and moves by one timer count; the direction turns when the power has fallen.
class PerturbObserve : public Peer {
public:
    explicit PerturbObserve(double step) : step_(step) {}

protected:
    void decide(const Seen& seen) override {
        if (!begun_) {
            begun_ = true;
            goal_ = seen.voltage_v > seen.bus_v + 2 ? std::floor(480.0 * seen.bus_v / (seen.voltage_v - 1.0)) : 456.0;
        }
        sum_ += (seen.current - 2048.0) * seen.bus_v;
        if (++count_ < kExchanges) return;
        const double power = sum_;
        if (power < last_) direction_ = -direction_;
        last_ = power;
        sum_ = 0;
        count_ = 0;
        goal_ = std::min(456.0, std::max(48.0, goal_ + direction_ * step_));
    }

private:
    static constexpr int kExchanges = 1000;
    double step_, sum_ = 0, last_ = 0, direction_ = 1;
    int count_ = 0;
    bool begun_ = false;
};

// Incremental conductance at 10 Hz: at most power dI/dV = −I/V. It has a voltage sensor at the string.
class IncrementalConductance : public Peer {
public:
    explicit IncrementalConductance(double step) : step_(step) {}

protected:
    void decide(const Seen& seen) override {
        if (!begun_) {
            begun_ = true;
            goal_ = seen.voltage_v > seen.bus_v + 2 ? std::floor(480.0 * seen.bus_v / (seen.voltage_v - 1.0)) : 456.0;
        }
        power_ += (seen.current - 2048.0) * seen.bus_v;
        volts_ += seen.voltage_v;
        if (++count_ < kExchanges) return;
        const double v = volts_ / kExchanges, i = v > 1 ? power_ / kExchanges / v : 0;
        const double dv = v - last_v_, di = i - last_i_;
        double up = 0;  // of the voltage
        if (dv == 0) up = di > 0 ? 1 : di < 0 ? -1 : 0;
        else up = di / dv > -i / v ? 1 : di / dv < -i / v ? -1 : 0;
        last_v_ = v;
        last_i_ = i;
        power_ = volts_ = 0;
        count_ = 0;
        goal_ = std::min(456.0, std::max(48.0, goal_ - up * step_));
    }

private:
    static constexpr int kExchanges = 1000;
    double step_, power_ = 0, volts_ = 0, last_v_ = 0, last_i_ = 0;
    int count_ = 0;
    bool begun_ = false;
};

// Half of the open-circuit voltage, sampled at the end of 256 ms without load every 16 s (BQ25504, SPV1050 and their kin). It has a voltage sensor.
class FractionalVoltage : public Peer {
protected:
    void decide(const Seen& seen) override {
        if (at_ < kSampling) {
            goal_ = 0;
        } else {
            if (at_ == kSampling) half_v_ = 0.5 * seen.voltage_v;
            goal_ = half_v_ > 1 ? 480.0 * std::min(0.95, seen.bus_v / half_v_) : 0;
        }
        if (++at_ == kEvery) at_ = 0;
    }

private:
    static constexpr int kSampling = 2560, kEvery = 160000;
    int at_ = 0;
    double half_v_ = 0;
};

}  // namespace mppt
