// The compiled gateware of a site with what is soldered around it: the node and its power modules on their two clocks, the module links
// between them, the converters, the electrical plant and a host that clocks the host link. One C interface, called in batches.
// A module is one instance of the compiled design and can be pulled and inserted while the site runs.
//
// Each design is evaluated once per rising clock edge: its clock input stands at 1 and the previous level is set back to 0
// before each evaluation, so that the falling edge, on which nothing happens, costs nothing. compiler.py refuses designs for which
// one evaluation is not enough.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "ads7952.hpp"
#include "electrical.hpp"
#include "m41st87w.hpp"
#include "node.h"
#include "pcm.h"

#if !defined(TZ_CHANNELS) || !defined(TZ_MODULES)
#error "TZ_CHANNELS is the number of power channels compiled into a module, TZ_MODULES the number of modules"
#endif
// By how many counts the PWM carrier of each slot (channel mod 12) lags the one before: 0, all carriers run together, or 40.
#ifndef TZ_SLOT_DELAY_COUNTS
#define TZ_SLOT_DELAY_COUNTS 0
#endif

namespace {

using thermogen::Ads7952;
using thermogen::tz_electrical;

constexpr unsigned kModules = TZ_MODULES, kChannels = TZ_CHANNELS;
constexpr unsigned kSlots = TZ_SLOT_DELAY_COUNTS > 0 ? Ads7952::kChannels : 1;
constexpr unsigned kConverters = (kChannels + Ads7952::kChannels - 1) / Ads7952::kChannels;
constexpr unsigned kNodeClocks = 25, kModuleClocks = 24;  // 50 MHz : 48 MHz
constexpr int kPeriodCounts = 480;
constexpr double kPeriodSeconds = 10e-6;
constexpr double kReferenceVolts = 2.5;
constexpr double kNoiseLsb = 0.6;
// Shunt amplifier: 5 mohm and a gain that makes 2 mA one LSB, biased to mid-scale.
constexpr double kAmplifierVoltsPerAmpere = kReferenceVolts / 4096 / 0.002;
constexpr double kBusFaradPerChannel = 10e-3 / 12;
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

// The wire of one module, where each has its own; where all share one, that one.
template <size_t Bits>
inline bool wire_of(const cxxrtl::value<Bits>& v, unsigned module) {
    return level(v) >> (Bits > 1 ? module : 0) & 1;
}

template <class Design>
inline void clock(Design& design) {
    design.prev_p_clk.data[0] = 0;
    design.Design::eval(nullptr);
    design.Design::commit();
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
    int32_t comparator = -1;  // the over-voltage comparator's output: -1 what the bus makes it, otherwise stuck at that level
};
}

namespace {

// A power module: its gateware, its converters and how long each gate was on in its channel's own period.
struct Module {
    std::unique_ptr<tz_pcm::p_tz__pcm> gateware;  // none while the module is pulled
    Ads7952 converters[kConverters];
    bool selected = false;  // the converters' chip select is low
    int window = 0;         // counts since slot 0's period began
    int to_close = 0;       // counts until a slot's period ends
    unsigned slot = 0;      // whose period ends next
    uint64_t gates_high = 0, gates_low = 0;
    uint16_t high_counts[kChannels]{}, low_counts[kChannels]{};

    static unsigned slot_of(unsigned channel) { return channel % kSlots; }
    int position(unsigned slot) const {
        const int at = window - int(slot) * TZ_SLOT_DELAY_COUNTS;
        return at < 0 ? at + kPeriodCounts : at;
    }
};

class Site : public tz_site {
public:
    Site(uint64_t clocks_per_second, uint64_t seed) : seed_(seed), poles_(parts_, kPeriodCounts, kPeriodSeconds) {
        clocks_per_site_second = clocks_per_second;
        electrical.channels = kModules * kChannels;
        parts_.bus_f = kBusFaradPerChannel * kModules * kChannels;
#ifdef TZ_SUPPLY_GOOD
        std::fill(std::begin(supply_good_), std::end(supply_good_), true);
#endif
        power_cycle();
    }

    void power_cycle() {
        node_ = std::make_unique<tz_node::p_tz__node>();
#ifdef TZ_SEAL
        part_.lose_power();
        key_part();
#endif
        node_adc_ = Ads7952(kReferenceVolts, seed_ * 16 + 1, kNoiseLsb);
        drive(node_->p_clk, 1);
        drive(node_->p_host__cs__n, 1);
        drive(node_->p_host__sclk, 0);
        drive(node_->p_host__copi, 0);
        drive(node_->p_pulse, 0);
        drive(node_->p_ov__comparator, 0);
        transaction_ = Transaction();
        bus_window_ = 0;
        for (unsigned m = 0; m < kModules; ++m) power_up(m);
    }

    // Module m leaves its slot: it is without supply, its answer is what the node's pull resistor says, its channels carry nothing.
    void pull(unsigned m) {
        modules_[m].gateware.reset();
        drive(node_->p_module__cipo, uint32_t(level(node_->p_module__cipo)) & ~(1u << m));
        for (unsigned c = m * kChannels; c < (m + 1) * kChannels; ++c) {
            electrical.inductor_a[c] = electrical.output_a[c] = 0;
            electrical.first_pole_a[c] = electrical.amplifier_a[c] = 0;
        }
    }

    // Its strings charge the inputs before the bus closes, as their contacts are the longer ones.
    void insert(unsigned m) {
        if (modules_[m].gateware) return;
        power_up(m);
        for (unsigned c = m * kChannels; c < (m + 1) * kChannels; ++c) electrical.input_v[c] = electrical.open_circuit_v[c];
    }

    bool supply(unsigned m, bool good) {
#ifdef TZ_SUPPLY_GOOD
        supply_good_[m] = good;
        if (modules_[m].gateware) drive(modules_[m].gateware->p_supply__good, good);
        return true;
#else
        return good;
#endif
    }

    Ads7952& converter(int m, unsigned k) { return m < 0 ? node_adc_ : modules_[m].converters[k]; }

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

#ifdef TZ_SEAL
    M41st87w& part() { return part_; }
#endif

private:
#ifdef TZ_SEAL
    // The part that keeps the node's key, on wires that are pulled up, and a noise source.
    void key_part() {
        const bool sda_low = level(node_->out_p_key__sda__low());
        part_.wires(!level(node_->out_p_key__scl__low()), !sda_low && !part_.pulls_sda());
        drive(node_->p_key__sda, !sda_low && !part_.pulls_sda());
        drive(node_->p_key__tamper__n, !part_.pulls_irq());
        if (level(node_->out_p_key__noise__enable())) {
            noise_ ^= noise_ << 13;
            noise_ ^= noise_ >> 7;
            noise_ ^= noise_ << 17;
            drive(node_->p_key__noise, noise_ >> 40 & 1);
        }
    }
#endif

    void spin(uint64_t count) {
        for (uint64_t n = 0; n < count; ++n) {
            clock(*node_);
#ifdef TZ_SEAL
            key_part();
#endif
            node_adc_.pins(level(node_->out_p_adc__sclk()), level(node_->out_p_adc__cs__n()), level(node_->out_p_adc__copi()));
            drive(node_->p_adc__cipo, node_adc_.sdo());
            if (++phase_ == kNodeClocks) {
                phase_ = 0;  // the modules' clock skips one of the node's 25
            } else {
                modules_clock();
            }
        }
        clocks += count;
    }

    void power_up(unsigned m) {
        Module& module = modules_[m];
        module = Module();
        module.gateware = std::make_unique<tz_pcm::p_tz__pcm>();
        for (unsigned k = 0; k < kConverters; ++k)
            module.converters[k] = Ads7952(kReferenceVolts, seed_ * 16 + 2 + m * kConverters + k, kNoiseLsb);
        module.to_close = kPeriodCounts;
        drive(module.gateware->p_clk, 1);
#ifdef TZ_SUPPLY_GOOD
        drive(module.gateware->p_supply__good, supply_good_[m]);
#endif
    }

    void modules_clock() {
        uint32_t answers = 0;
        for (unsigned m = 0; m < kModules; ++m)
            if (modules_[m].gateware) answers |= uint32_t(module_clock(m)) << m;
        drive(node_->p_module__cipo, answers);
        if (++bus_window_ == kPeriodCounts) bus();
    }

    // The module's answer on the link.
    bool module_clock(unsigned m) {
        Module& module = modules_[m];
        tz_pcm::p_tz__pcm& pcm = *module.gateware;
        drive(pcm.p_link__sclk, level(node_->out_p_module__sclk()));
        drive(pcm.p_link__cs__n, wire_of(node_->out_p_module__cs__n(), m));
        drive(pcm.p_link__copi, wire_of(node_->out_p_module__copi(), m));
        drive(pcm.p_run, wire_of(node_->out_p_module__run(), m));
        clock(pcm);

        const bool sclk = level(pcm.out_p_adc__sclk()), cs_n = level(pcm.out_p_adc__cs__n()), copi = level(pcm.out_p_adc__copi());
        if (cs_n == module.selected) {
            module.selected = !cs_n;
            if (!cs_n) show_currents(m);
        }
        uint32_t cipo = 0;
        for (unsigned k = 0; k < kConverters; ++k) {
            module.converters[k].pins(sclk, cs_n, copi);
            cipo |= uint32_t(module.converters[k].sdo()) << k;
        }
        drive(pcm.p_adc__cipo, cipo);

        const bool enabled = level(pcm.out_p_driver__enable());
        const uint64_t high = enabled ? level(pcm.out_p_pwm__hi()) : 0, low = enabled ? level(pcm.out_p_pwm__lo()) : 0;
        if (high != module.gates_high) {
            edges(module, high ^ module.gates_high, high, module.high_counts);
            module.gates_high = high;
        }
        if (low != module.gates_low) {
            edges(module, low ^ module.gates_low, low, module.low_counts);
            module.gates_low = low;
        }
        if (++module.window == kPeriodCounts) module.window = 0;
        if (--module.to_close == 0) close(m);
        return level(pcm.out_p_link__cipo());
    }

    // A rising edge adds what is left of the channel's period, a falling one takes it away: what remains is the time on.
    void edges(const Module& module, uint64_t changed, uint64_t levels, uint16_t* counts) {
        while (changed) {
            const unsigned channel = unsigned(__builtin_ctzll(changed));
            changed &= changed - 1;
            const int left = kPeriodCounts - module.position(Module::slot_of(channel));
            counts[channel] = uint16_t(counts[channel] + ((levels >> channel & 1) ? left : -left));
        }
    }

    // Chip select has fallen: each converter samples the channel that it has selected, as the amplifier shows it now. The current
    // since the period began is taken to be the last period's mean.
    void show_currents(unsigned m) {
        for (unsigned k = 0; k < kConverters; ++k) {
            Ads7952& converter = modules_[m].converters[k];
            const unsigned input = converter.selected(), channel = k * Ads7952::kChannels + input;
            if (input >= Ads7952::kChannels || channel >= kChannels) continue;
            const unsigned c = m * kChannels + channel;
            double first = electrical.first_pole_a[c], shown = electrical.amplifier_a[c];
            poles_.follow(electrical.output_a[c], modules_[m].position(Module::slot_of(channel)), first, shown);
            converter.volts[input] = kReferenceVolts / 2 + shown * kAmplifierVoltsPerAmpere;
        }
    }

    void close(unsigned m) {
        Module& module = modules_[m];
        for (unsigned channel = module.slot; channel < kChannels; channel += kSlots) {
            channel_period(electrical, parts_, poles_, int(m * kChannels + channel), module.high_counts[channel],
                           module.low_counts[channel], kPeriodCounts, kPeriodSeconds);
            module.high_counts[channel] = (module.gates_high >> channel & 1) ? kPeriodCounts : 0;
            module.low_counts[channel] = (module.gates_low >> channel & 1) ? kPeriodCounts : 0;
        }
        module.slot = (module.slot + 1) % kSlots;
        module.to_close = kSlots == 1 ? kPeriodCounts : TZ_SLOT_DELAY_COUNTS;
    }

    void bus() {
        bus_window_ = 0;
        bus_period(electrical, parts_, kPeriodSeconds);
        std::copy(std::begin(node_volts), std::end(node_volts), node_adc_.volts.begin());
        node_adc_.volts[0] = electrical.bus_v / bus_v_per_volt;
        node_adc_.volts[1] = kReferenceVolts / 2 + electrical.bus_a / bus_a_per_volt;
        node_adc_.volts[11] = kReferenceVolts / 2 + electrical.battery_a / bus_a_per_volt;
        if (comparator >= 0) drive(node_->p_ov__comparator, comparator != 0);
        else if (electrical.bus_v > kComparatorOnVolts) drive(node_->p_ov__comparator, 1);
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
#ifdef TZ_SEAL
    M41st87w part_;
    uint64_t noise_ = seed_ * 2 + 1;
#endif
    thermogen::Parts parts_;
    thermogen::AmplifierPoles poles_;
    std::unique_ptr<tz_node::p_tz__node> node_;
    Ads7952 node_adc_;
    Module modules_[kModules];
#ifdef TZ_SUPPLY_GOOD
    bool supply_good_[kModules];
#endif
    Transaction transaction_;
    uint64_t next_second_ = 0, pulse_end_ = 0;
    bool pulse_high_ = false;
    unsigned phase_ = 0;
    int bus_window_ = 0;
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

// A tamper condition at an input, 1 or 2, of the part that keeps the key; false where there is none.
int tz_site_tamper(tz_site* site, int input) {
#ifdef TZ_SEAL
    static_cast<Site*>(site)->part().tamper(input);
    return true;
#else
    return (void)site, (void)input, false;
#endif
}
// The cells of that part, read or written, and how often they have changed; nothing where there is none.
void tz_site_part(tz_site* site, uint8_t* cells, int restore) {
#ifdef TZ_SEAL
    auto& kept = static_cast<Site*>(site)->part().cells;
    if (restore) std::copy_n(cells, kept.size(), kept.begin());
    else std::copy(kept.begin(), kept.end(), cells);
#else
    (void)site, (void)cells, (void)restore;
#endif
}
uint64_t tz_site_part_changes(tz_site* site) {
#ifdef TZ_SEAL
    return static_cast<Site*>(site)->part().writes;
#else
    return (void)site, 0;
#endif
}
void tz_site_pull(tz_site* site, unsigned module) { static_cast<Site*>(site)->pull(module); }
void tz_site_insert(tz_site* site, unsigned module) { static_cast<Site*>(site)->insert(module); }

// The module's supply supervisor; 0 when this gateware has no pin for it and the supply is not good.
int tz_site_supply(tz_site* site, unsigned module, int good) { return static_cast<Site*>(site)->supply(module, good != 0); }

// Converter `number` of a module, or of the node where the module is negative.
void tz_site_converter(tz_site* site, int module, unsigned number, int fault) {
    static_cast<Site*>(site)->converter(module, number).fault = Ads7952::Fault(fault);
}

// Runs up to `clocks` node clocks; stops early where a site second begins (the pulse has just risen) or a transaction ends.
uint32_t tz_site_run(tz_site* site, uint64_t clocks) { return static_cast<Site*>(site)->run(clocks); }

void tz_site_begin(tz_site* site, const uint8_t* bytes, size_t length) { static_cast<Site*>(site)->begin(bytes, length); }
void tz_site_answer(tz_site* site, uint8_t* bytes) {
    const auto& answer = static_cast<Site*>(site)->answer();
    std::memcpy(bytes, answer.data(), answer.size());
}
}
