// Runs strings behind bucks under one tracker: the gateware's, compiled and clocked only when a sample arrives, or a peer's.
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include "peers.hpp"
#include "string_and_buck.hpp"
#include "tracker.h"

namespace {

using namespace mppt;

constexpr int kExchangeClocks = 5000;
constexpr int kStepExchanges = 128;
constexpr int kRestClocks = 80;  // what follows a pass when a round ends: the slow optimum's division
constexpr double kBusLsb = 0.016;

template <size_t Bits>
inline uint32_t level(const cxxrtl::value<Bits>& v) {
    return v.data[0];
}

// The compiled tracker with the memories at its ports.
struct Gateware {
    tz_tracker::p_tz__tracker design;
    const uint16_t* raw = nullptr;
    uint32_t channels = 1;
    uint64_t clocks = 0;

    void clock() {
        const uint16_t answer = raw[std::min<uint32_t>(level(design.out_p_current__addr()), channels - 1)];
        design.prev_p_clk.data[0] = 0;
        design.p_clk.data[0] = 1;
        design.eval(nullptr);
        design.commit();
        design.p_current__data.data[0] = answer;
        ++clocks;
    }

    void parameter(uint32_t k, uint16_t value) {
        uint32_t& word = design.p_parameters.data[k / 2];
        word = (word & ~(0xFFFFu << (k % 2 * 16))) | uint32_t(value) << (k % 2 * 16);
    }

    // A pass over the currents in `raw`.
    void pass(uint32_t bus_mv) {
        design.p_bus__mv.data[0] = bus_mv;
        design.p_start.data[0] = 1;
        clock();
        design.p_start.data[0] = 0;
        do clock();
        while (level(design.out_p_busy()));
    }

    // The slow optimum goes on after the pass that ends a round.
    void rest() {
        for (int n = 0; n < kRestClocks; ++n) clock();
    }

    uint32_t duty(uint32_t channel) {
        design.p_duty__addr.data[0] = channel;
        design.p_channel__index.data[0] = channel;
        clock();
        return level(design.out_p_duty__data());
    }
};

}  // namespace

extern "C" {

// Shared with Python by its layout: keep in step with thermogen_sim/mppt/bench.py.
struct tz_mppt {
    int32_t channels;
    int32_t tracker;           // 0 gateware, 1 gateware with every clock, 2 perturb and observe, 3 incremental conductance, 4 fractional voltage
    int32_t flux;              // drive is heat in W a module (1), or the temperature difference in K (0)
    int32_t step_counts;       // of the peers that have a fixed step
    uint64_t seed;
    double noise_lsb;
    double bus_mid_v, bus_swing_v, bus_swing_s;
    double hot_start_k;
    double drive_step_s;       // between the points of `drive`
    const double* drive;
    uint64_t drive_points;
    const double* string_ohm;  // per channel
    const double* open_share;  // per channel: open-circuit voltage over that of the given temperatures
    double broken_at_s;        // from here on channel 0's string is shorted and channel 1's open; negative: never
    uint64_t exchanges;
    uint64_t record_exchanges;
    double* record;            // rows of kRecordFields + channels
    const uint16_t* parameters;
    uint32_t parameter_count;
    // Out.
    double hot_end_k;
    uint64_t clocks;
};

constexpr size_t kRecordFields = 7;  // output W, available W, string V, its mean square, open-circuit V, hot K, duty; all channels' means, W summed

void tz_mppt_run(tz_mppt* b) {
    const Parts parts;
    const int channels = b->channels;
    Noise noise(b->seed);
    std::vector<Channel> strings(channels);
    std::vector<double> duty(channels), next_duty(channels), ohm(b->string_ohm, b->string_ohm + channels);
    std::vector<double> share(b->open_share, b->open_share + channels);
    std::vector<uint16_t> raw(channels, 2048);
    std::vector<std::unique_ptr<Peer>> peers;
    for (int c = 0; c < channels && b->tracker >= 2; ++c) {
        if (b->tracker == 2) peers.push_back(std::make_unique<PerturbObserve>(b->step_counts));
        else if (b->tracker == 3) peers.push_back(std::make_unique<IncrementalConductance>(b->step_counts));
        else peers.push_back(std::make_unique<FractionalVoltage>());
    }
    std::unique_ptr<Gateware> gateware;
    if (b->tracker < 2) {
        gateware = std::make_unique<Gateware>();
        gateware->raw = raw.data();
        gateware->channels = channels;
        gateware->design.p_present.data[0] = 1;
        gateware->design.p_fresh.data[0] = 1;
        gateware->design.p_allowed.data[0] = 1;
        for (uint32_t k = 0; k < b->parameter_count; ++k) gateware->parameter(k, b->parameters[k]);
    }

    const double load_factor = parts.modules * parts.seebeck_v_k;
    for (int c = 0; c < channels; ++c) {
        strings[c].hot_k = b->flux ? b->hot_start_k : parts.cold_k + b->drive[0];
        strings[c].open_v = strings[c].input_v = load_factor * share[c] * (strings[c].hot_k - parts.cold_k);
    }
    const size_t row_fields = kRecordFields + channels;
    std::vector<double> row(row_fields);
    uint64_t recorded = 0;
    bool broken = false;
    for (uint64_t n = 0; n < b->exchanges; ++n) {
        const double now = n * kExchangeSeconds;
        const double at = now / b->drive_step_s;
        const uint64_t point = std::min<uint64_t>(uint64_t(at), b->drive_points - 2);
        const double drive = b->drive[point] + (at - point) * (b->drive[point + 1] - b->drive[point]);
        const double bus = b->bus_mid_v + b->bus_swing_v * std::sin(6.283185307179586 * now / b->bus_swing_s);
        const double bus_seen = kBusLsb * std::floor((bus + 0.6 * kBusLsb * noise.gauss()) / kBusLsb + 0.5);
        if (!broken && b->broken_at_s >= 0 && now >= b->broken_at_s) {
            broken = true;
            share[0] = 0;
            ohm[1 % channels] = 1e9;
        }
        const bool available = n % 100 == 0;
        for (int c = 0; c < channels; ++c) {
            Channel& s = strings[c];
            if (!b->flux) s.hot_k = parts.cold_k + drive;
            s.open_v = load_factor * share[c] * (s.hot_k - parts.cold_k);
            s.exchange(parts, duty[c], bus, ohm[c]);
            if (b->flux) s.heat(parts, drive);
            raw[c] = s.sample(b->noise_lsb, noise);
            const double output_w = s.output_as / kExchangeSeconds * bus;
            row[0] += output_w;
            row[kRecordFields + c] += output_w;
            if (available) row[1] += 100 * available_w(parts, s.open_v, ohm[c], bus);
            row[2] += s.input_v / channels;
            row[3] += s.input_v * s.input_v / channels;
            row[4] += s.open_v / channels;
            row[5] += s.hot_k / channels;
            row[6] += duty[c] / channels;
        }
        duty = next_duty;  // the exchange that follows a pass carries its duties
        if (gateware) {
            const uint64_t begun = gateware->clocks;
            gateware->pass(uint32_t(bus_seen * 1000 + 0.5));
            if (b->tracker == 1) while (gateware->clocks < begun + kExchangeClocks - channels) gateware->clock();
            else if (n % kStepExchanges == kStepExchanges - 1) gateware->rest();
            for (int c = 0; c < channels; ++c) next_duty[c] = gateware->duty(c) / kDutyOne;
        } else {
            for (int c = 0; c < channels; ++c) {
                const double seen_v = 250.0 / 4096 * std::floor(strings[c].input_v * 4096 / 250.0 + b->noise_lsb * noise.gauss() + 0.5);
                next_duty[c] = peers[c]->exchange({raw[c], seen_v, bus_seen});
            }
        }
        if ((n + 1) % b->record_exchanges == 0) {
            double* out = b->record + row_fields * recorded++;
            for (size_t k = 0; k < row_fields; ++k) out[k] = row[k] / b->record_exchanges;
            std::fill(row.begin(), row.end(), 0.0);
        }
    }
    b->clocks = gateware ? gateware->clocks : 0;
    b->hot_end_k = 0;
    for (const Channel& s : strings) b->hot_end_k += s.hot_k / channels;
}

// One string behind its buck alone, at a fixed duty and a fixed bus: what is compared with the switched circuit.
double tz_mppt_settled_w(double open_v, double string_ohm, double duty, double bus_v, uint64_t exchanges) {
    const Parts parts;
    Channel s;
    s.open_v = s.input_v = open_v;
    double joules = 0;
    for (uint64_t n = 0; n < 2 * exchanges; ++n) {
        s.exchange(parts, duty, bus_v, string_ohm);
        if (n >= exchanges) joules += s.output_as * bus_v;
    }
    return joules / (exchanges * kExchangeSeconds);
}

size_t tz_mppt_size() { return sizeof(tz_mppt); }

// The tracker alone, exchange by exchange.
void* tz_tracker_new(uint32_t channels) {
    auto* gateware = new Gateware();
    gateware->channels = channels;
    gateware->design.p_fresh.data[0] = 1;
    return gateware;
}
void tz_tracker_delete(void* gateware) { delete static_cast<Gateware*>(gateware); }
void tz_tracker_parameter(void* gateware, uint32_t number, uint16_t value) { static_cast<Gateware*>(gateware)->parameter(number, value); }
void tz_tracker_levels(void* gateware, uint32_t present, uint32_t converter_fault, int allowed, int hold, int shed, int autonomous) {
    auto& design = static_cast<Gateware*>(gateware)->design;
    design.p_present.data[0] = present;
    design.p_converter__fault.data[0] = converter_fault;
    design.p_allowed.data[0] = allowed;
    design.p_hold.data[0] = hold;
    design.p_shed.data[0] = shed;
    design.p_autonomous.data[0] = autonomous;
}
// The clocks of the pass; `duties` and `words` of all channels after it.
uint64_t tz_tracker_exchange(void* gateware, const uint16_t* raw, uint32_t bus_mv, uint16_t* duties, uint32_t* words) {
    auto& g = *static_cast<Gateware*>(gateware);
    const uint64_t begun = g.clocks;
    g.raw = raw;
    g.pass(bus_mv);
    const uint64_t clocks = g.clocks - begun;
    g.rest();
    for (uint32_t c = 0; c < g.channels; ++c) {
        duties[c] = uint16_t(g.duty(c));
        g.clock();  // the word is combinational behind its memory
        words[c] = level(g.design.out_p_channel__word());
    }
    return clocks;
}
uint32_t tz_tracker_flags(void* gateware) {
    const auto& design = static_cast<Gateware*>(gateware)->design;
    return level(design.out_p_overcurrent()) | level(design.out_p_reverse()) << 1;
}
}
