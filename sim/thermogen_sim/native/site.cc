// The compiled gateware of a site with what is soldered around it: node and power module on their two clocks, the module link
// between them, the converters, the electrical plant and a host that clocks the host link. One C interface, called in batches.
//
// Each design is evaluated once per rising clock edge: its clock input stands at 1 and the previous level is set back to 0
// before each evaluation, so that the falling edge, on which nothing happens, costs nothing. Designs whose generated code says
// that one pass is not enough are evaluated until they settle.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "ads7952.hpp"
#include "electrical.hpp"
#include "node.h"
#include "pcm.h"

#ifndef TZ_CHANNELS
#error "TZ_CHANNELS is the number of power channels that were compiled"
#endif

namespace {

using thermogen::Ads7952;
using thermogen::tz_electrical;

constexpr unsigned kConverters = (TZ_CHANNELS + Ads7952::kChannels - 1) / Ads7952::kChannels;
constexpr unsigned kNodeClocks = 25, kModuleClocks = 24;  // 50 MHz : 48 MHz
constexpr int kPeriodCounts = 480;
constexpr double kPeriodSeconds = 10e-6;
constexpr double kReferenceVolts = 2.5;
constexpr double kNoiseLsb = 0.6;
// Shunt amplifier: 5 mohm and a gain that makes 2 mA one LSB, biased to mid-scale.
constexpr double kAmplifierVoltsPerAmpere = kReferenceVolts / 4096 / 0.002;
constexpr double kComparatorOnVolts = 59.0, kComparatorOffVolts = 57.0;

// Host link timing in node clocks: SCLK is an eighth of the clock.
constexpr uint64_t kHalfBit = 4;
constexpr uint64_t kSelectSetup = 8, kSelectHold = 8, kSelectGap = 16;

constexpr uint32_t kSecondReached = 1, kTransactionDone = 2;

template <size_t Bits>
inline uint64_t level(const cxxrtl::value<Bits>& v) {
    uint64_t bits = v.data[0];
    if constexpr (Bits > 32) bits |= uint64_t(v.data[1]) << 32;
    return bits;
}
template <size_t Bits>
inline void drive(cxxrtl::value<Bits>& v, uint32_t bits) {
    v.data[0] = bits;
}

template <bool OnePass, class Design>
inline void clock(Design& design) {
    design.prev_p_clk.data[0] = 0;
    if constexpr (OnePass) {
        design.Design::eval(nullptr);
        design.Design::commit();
    } else {
        bool settled;
        do settled = design.Design::eval(nullptr);
        while (design.Design::commit() && !settled);
    }
}

struct Transaction {
    std::vector<uint8_t> out, in;
    enum { kIdle, kSetup, kLow, kHigh, kHold, kGap } state = kIdle;
    size_t bit = 0;
    uint64_t due = 0;
};

}  // namespace

extern "C" {

struct tz_site {
    tz_electrical electrical{};
    double node_volts[Ads7952::kChannels]{};  // site inputs at the converter's pins; those below are taken from the circuit
    double bus_v_per_volt = 0;                // scale of input 0
    double bus_a_per_volt = 0;                // scale of inputs 1 and 11, which are biased to mid-scale
    uint64_t clocks = 0;
    uint64_t clocks_per_site_second = 1;
};
}

namespace {

class Site : public tz_site {
public:
    Site(uint64_t clocks_per_second, uint64_t seed) : seed_(seed) {
        clocks_per_site_second = clocks_per_second;
        electrical.channels = TZ_CHANNELS;
        power_cycle();
    }

    void power_cycle() {
        node_ = std::make_unique<tz_node::p_tz__node>();
        pcm_ = std::make_unique<tz_pcm::p_tz__pcm>();
        node_adc_ = Ads7952(kReferenceVolts, seed_ * 16 + 1, kNoiseLsb);
        for (unsigned n = 0; n < kConverters; ++n) pcm_adc_[n] = Ads7952(kReferenceVolts, seed_ * 16 + 2 + n, kNoiseLsb);
        drive(node_->p_clk, 1);
        drive(pcm_->p_clk, 1);
        drive(node_->p_host__cs__n, 1);
        drive(node_->p_host__sclk, 0);
        drive(node_->p_host__copi, 0);
        drive(node_->p_pulse, 0);
        drive(node_->p_ov__comparator, 0);
        transaction_ = Transaction();
        window_ = 0;
        gates_high_ = gates_low_ = 0;
        std::fill(std::begin(high_counts_), std::end(high_counts_), 0);
        std::fill(std::begin(low_counts_), std::end(low_counts_), 0);
    }

    void begin(const uint8_t* bytes, size_t length) {
        transaction_.out.assign(bytes, bytes + length);
        transaction_.in.assign(length, 0);
        transaction_.bit = 0;
        transaction_.state = Transaction::kSetup;
        drive(node_->p_host__cs__n, 0);
        transaction_.due = clocks + kSelectSetup;
    }

    const std::vector<uint8_t>& answer() const { return transaction_.in; }

    uint32_t run(uint64_t limit) {
        const uint64_t end = clocks + limit;
        while (clocks < end) {
            if (transaction_.state != Transaction::kIdle && clocks == transaction_.due && host()) return kTransactionDone;
            uint64_t until = std::min(end, next_second_);
            if (pulse_high_) until = std::min(until, pulse_end_);
            if (transaction_.state != Transaction::kIdle) until = std::min(until, transaction_.due);
            spin(until - clocks);
            if (pulse_high_ && clocks == pulse_end_) {
                drive(node_->p_pulse, 0);
                pulse_high_ = false;
            }
            if (clocks == next_second_) {
                drive(node_->p_pulse, 1);
                pulse_high_ = true;
                pulse_end_ = clocks + std::max<uint64_t>(1, clocks_per_site_second / 10);
                next_second_ += clocks_per_site_second;
                return kSecondReached;
            }
        }
        return 0;
    }

    void start_seconds() { next_second_ = clocks + clocks_per_site_second; }

private:
    void spin(uint64_t count) {
        for (uint64_t n = 0; n < count; ++n) {
            clock<TZ_NODE_ONE_PASS>(*node_);
            node_adc_.pins(level(node_->out_p_adc__sclk()), level(node_->out_p_adc__cs__n()), level(node_->out_p_adc__copi()));
            drive(node_->p_adc__cipo, node_adc_.sdo());
            if (++phase_ == kNodeClocks) {
                phase_ = 0;  // the module's clock skips one of the node's 25
            } else {
                module_clock();
            }
        }
        clocks += count;
    }

    void module_clock() {
        drive(pcm_->p_link__sclk, level(node_->out_p_module__sclk()));
        drive(pcm_->p_link__cs__n, level(node_->out_p_module__cs__n()) & 1);
        drive(pcm_->p_link__copi, level(node_->out_p_module__copi()));
        drive(pcm_->p_run, level(node_->out_p_module__run()) & 1);
        clock<TZ_PCM_ONE_PASS>(*pcm_);
        drive(node_->p_module__cipo, level(pcm_->out_p_link__cipo()));

        const bool sclk = level(pcm_->out_p_adc__sclk()), cs_n = level(pcm_->out_p_adc__cs__n()), copi = level(pcm_->out_p_adc__copi());
        uint32_t cipo = 0;
        for (unsigned k = 0; k < kConverters; ++k) {
            pcm_adc_[k].pins(sclk, cs_n, copi);
            cipo |= uint32_t(pcm_adc_[k].sdo()) << k;
        }
        drive(pcm_->p_adc__cipo, cipo);

        const bool enabled = level(pcm_->out_p_driver__enable());
        const uint64_t high = enabled ? level(pcm_->out_p_pwm__hi()) : 0, low = enabled ? level(pcm_->out_p_pwm__lo()) : 0;
        if (high != gates_high_) {
            edges(high ^ gates_high_, high, high_counts_);
            gates_high_ = high;
        }
        if (low != gates_low_) {
            edges(low ^ gates_low_, low, low_counts_);
            gates_low_ = low;
        }
        if (++window_ == kPeriodCounts) period();
    }

    // A rising edge at count w adds (period - w), a falling one takes it away: what is left is the time on.
    void edges(uint64_t changed, uint64_t levels, uint16_t* counts) {
        while (changed) {
            const int channel = __builtin_ctzll(changed);
            changed &= changed - 1;
            const int left = kPeriodCounts - window_;
            counts[channel] = uint16_t(counts[channel] + ((levels >> channel & 1) ? left : -left));
        }
    }

    void period() {
        window_ = 0;
        electrical_period(electrical, parts_, high_counts_, low_counts_, kPeriodCounts, kPeriodSeconds);
        for (int c = 0; c < TZ_CHANNELS; ++c) {
            high_counts_[c] = (gates_high_ >> c & 1) ? kPeriodCounts : 0;
            low_counts_[c] = (gates_low_ >> c & 1) ? kPeriodCounts : 0;
            pcm_adc_[unsigned(c) / Ads7952::kChannels].volts[unsigned(c) % Ads7952::kChannels] =
                kReferenceVolts / 2 + electrical.amplifier_a[c] * kAmplifierVoltsPerAmpere;
        }
        std::copy(std::begin(node_volts), std::end(node_volts), node_adc_.volts.begin());
        node_adc_.volts[0] = electrical.bus_v / bus_v_per_volt;
        node_adc_.volts[1] = kReferenceVolts / 2 + electrical.bus_a / bus_a_per_volt;
        node_adc_.volts[11] = kReferenceVolts / 2 + electrical.battery_a / bus_a_per_volt;
        if (electrical.bus_v > kComparatorOnVolts) drive(node_->p_ov__comparator, 1);
        else if (electrical.bus_v < kComparatorOffVolts) drive(node_->p_ov__comparator, 0);
    }

    // One step of the host's SPI; true when the transaction has ended.
    bool host() {
        Transaction& t = transaction_;
        switch (t.state) {
            case Transaction::kSetup:
            case Transaction::kHigh:
                if (t.state == Transaction::kHigh) {
                    drive(node_->p_host__sclk, 0);
                    ++t.bit;
                }
                if (t.bit == t.out.size() * 8) {
                    t.state = Transaction::kHold;
                    t.due = clocks + kSelectHold;
                } else {
                    drive(node_->p_host__copi, t.out[t.bit / 8] >> (7 - t.bit % 8) & 1);
                    t.state = Transaction::kLow;
                    t.due = clocks + kHalfBit;
                }
                return false;
            case Transaction::kLow:
                node_->eval(nullptr);  // no edge: brings a combinatorial host_cipo up to date with the last one
                t.in[t.bit / 8] |= uint8_t(level(node_->out_p_host__cipo()) << (7 - t.bit % 8));
                drive(node_->p_host__sclk, 1);
                t.state = Transaction::kHigh;
                t.due = clocks + kHalfBit;
                return false;
            case Transaction::kHold:
                drive(node_->p_host__cs__n, 1);
                t.state = Transaction::kGap;
                t.due = clocks + kSelectGap;
                return false;
            case Transaction::kGap: t.state = Transaction::kIdle; return true;
            case Transaction::kIdle: break;
        }
        return false;
    }

    uint64_t seed_;
    thermogen::Parts parts_;
    std::unique_ptr<tz_node::p_tz__node> node_;
    std::unique_ptr<tz_pcm::p_tz__pcm> pcm_;
    Ads7952 node_adc_, pcm_adc_[kConverters];
    Transaction transaction_;
    uint64_t next_second_ = 0, pulse_end_ = 0;
    bool pulse_high_ = false;
    unsigned phase_ = 0;
    int window_ = 0;
    uint64_t gates_high_ = 0, gates_low_ = 0;
    uint16_t high_counts_[thermogen::kMaxChannels]{}, low_counts_[thermogen::kMaxChannels]{};
};

}  // namespace

extern "C" {

tz_site* tz_site_new(uint64_t clocks_per_site_second, uint64_t seed) {
    Site* site = new Site(clocks_per_site_second, seed);
    site->start_seconds();
    return site;
}
void tz_site_delete(tz_site* site) { delete static_cast<Site*>(site); }
void tz_site_power_cycle(tz_site* site) { static_cast<Site*>(site)->power_cycle(); }

// Runs up to `clocks` node clocks; stops early where a site second begins (the pulse has just risen) or a transaction ends.
uint32_t tz_site_run(tz_site* site, uint64_t clocks) { return static_cast<Site*>(site)->run(clocks); }

void tz_site_begin(tz_site* site, const uint8_t* bytes, size_t length) { static_cast<Site*>(site)->begin(bytes, length); }
void tz_site_answer(tz_site* site, uint8_t* bytes) {
    const auto& answer = static_cast<Site*>(site)->answer();
    std::memcpy(bytes, answer.data(), answer.size());
}
}
