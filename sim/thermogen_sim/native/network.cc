// Compiled gateware with RMII pins, the flip-flops of its I/O cells, a LAN8720A on them, and either a queue of frames or a TAP device
// behind that. One C interface; time passes in batches, or freely in `tz_network_serve`, paced by the wall clock while the wire is silent.
//
// The design is evaluated once per rising clock edge, as in site.cc. An output that is a register is read before the edge, one that is made of
// gates after the evaluation: each as the flip-flop in its I/O cell would have taken it at that edge.
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "lan8720.hpp"
#include "network.h"
#include "network_ports.hpp"

namespace {

using thermogen::Lan8720;
using thermogen::SentFrame;
using thermogen::WireFrame;
using Design = tz_ethernet::p_tz__ethernet;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kBatchClocks = 512;
constexpr uint64_t kQuietClocks = 4096;  // so long after the last frame the gateware may still be about to answer
constexpr double kLongestDebtSeconds = 0.1, kLongestWaitSeconds = 0.02;
constexpr size_t kShortestBytes = 60;

uint32_t fcs(const uint8_t* bytes, size_t length) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < length; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

bool intact(const SentFrame& frame) {
    const size_t size = frame.bytes.size();
    if (size < 64 || frame.odd_di_bits != 0) return false;
    uint32_t sent;
    std::memcpy(&sent, frame.bytes.data() + size - 4, 4);
    return sent == fcs(frame.bytes.data(), size - 4);
}

}  // namespace

extern "C" {

struct tz_sent_info {
    uint64_t first_clock, last_clock;
    uint32_t preamble_di_bits, odd_di_bits, intact;
};

struct tz_wire_flaws {
    uint32_t preamble_di_bits, silent_di_bits, toggling_nibbles, dribble_di_bits;
    int32_t error_at_byte;
    uint32_t gap_di_bits;
};

struct tz_network {
    uint64_t clocks = 0;
    uint64_t damaged_sent = 0;  // frames from the gateware that the TAP device was not given
    std::unique_ptr<Design> gateware = std::make_unique<Design>();
    Lan8720 phy;
    unsigned rxd = 0, txd = 0;  // in the I/O cells
    bool crs_dv = false, rx_er = false, tx_en = false;
    uint64_t last_activity = 0;
    std::mutex turn;
    std::atomic<int> waiting{0};
    std::atomic<bool> stop{false};
};
}

namespace {

struct Turn {
    tz_network& network;
    explicit Turn(tz_network& n) : network(n) {
        ++network.waiting;
        network.turn.lock();
        --network.waiting;
    }
    ~Turn() { network.turn.unlock(); }
};

inline void step(tz_network& n) {
    Design& d = *n.gateware;
    Lan8720& phy = n.phy;
#ifdef TZ_PHY_RESET
    phy.drive(n.clocks, d.out_p_phy__reset__n().data[0]);
#else
    phy.drive(n.clocks, true);
#endif
    phy.take(n.clocks, n.tx_en, n.txd);
    d.p_rxd.data[0] = n.rxd;
    d.p_crs__dv.data[0] = n.crs_dv;
#ifdef TZ_RX_ER
    d.p_rx__er.data[0] = n.rx_er;
#endif
#ifdef TZ_MDIO
    phy.manage(d.out_p_mdc().data[0], d.out_p_mdio__oe().data[0], d.out_p_mdio__o().data[0]);
    d.p_mdio__i.data[0] = d.out_p_mdio__oe().data[0] ? d.out_p_mdio__o().data[0] : phy.mdio;
#endif
    if (kTxEnRegistered) n.tx_en = d.out_p_tx__en().data[0];
    if (kTxdRegistered) n.txd = d.out_p_txd().data[0];
    d.prev_p_clk.data[0] = 0;
    d.Design::eval(nullptr);
    d.Design::commit();
    if (!kTxEnRegistered) n.tx_en = d.out_p_tx__en().data[0];
    if (!kTxdRegistered) n.txd = d.out_p_txd().data[0];
    n.rxd = phy.rxd;
    n.crs_dv = phy.crs_dv;
    n.rx_er = phy.rx_er;
    ++n.clocks;
}

void queue(tz_network& n, const uint8_t* bytes, size_t length) {
    WireFrame frame;
    frame.bytes.assign(bytes, bytes + length);
    if (frame.bytes.size() < kShortestBytes) frame.bytes.resize(kShortestBytes);
    const uint32_t sum = fcs(frame.bytes.data(), frame.bytes.size());
    for (int at = 0; at < 4; ++at) frame.bytes.push_back(uint8_t(sum >> 8 * at));
    frame.toggling_nibbles = unsigned(n.clocks / 7 % 9);
    n.phy.to_receive.push_back(std::move(frame));
}

}  // namespace

extern "C" {

tz_network* tz_network_new() {
    auto* n = new tz_network;
    n->gateware->p_clk.set<bool>(true);
    return n;
}

void tz_network_delete(tz_network* n) { delete n; }

void tz_network_inject(tz_network* n, const uint8_t* bytes, size_t length, const tz_wire_flaws* flaws) {
    Turn turn(*n);
    WireFrame frame;
    frame.bytes.assign(bytes, bytes + length);
    frame.preamble_di_bits = flaws->preamble_di_bits;
    frame.silent_di_bits = flaws->silent_di_bits;
    frame.toggling_nibbles = flaws->toggling_nibbles;
    frame.dribble_di_bits = flaws->dribble_di_bits;
    frame.error_at_byte = flaws->error_at_byte;
    frame.gap_di_bits = flaws->gap_di_bits;
    n->phy.to_receive.push_back(std::move(frame));
}

// The oldest frame that was sent: its length, or -1 if there is none. `bytes` has room for 4096.
int tz_network_sent(tz_network* n, uint8_t* bytes, tz_sent_info* info) {
    Turn turn(*n);
    if (n->phy.sent.empty()) return -1;
    const SentFrame frame = std::move(n->phy.sent.front());
    n->phy.sent.pop_front();
    const size_t length = std::min<size_t>(frame.bytes.size(), 4096);
    std::memcpy(bytes, frame.bytes.data(), length);
    *info = {frame.first_clock, frame.last_clock, frame.preamble_di_bits, frame.odd_di_bits, intact(frame)};
    return int(length);
}

// The clock of the last di-bit of the oldest frame received since the last call; all ones if there is none.
uint64_t tz_network_received(tz_network* n) {
    Turn turn(*n);
    if (n->phy.received_clocks.empty()) return ~uint64_t(0);
    const uint64_t clock = n->phy.received_clocks.front();
    n->phy.received_clocks.pop_front();
    return clock;
}

// Run so many clocks, or until a frame has been sent if `until_sent`.
void tz_network_run(tz_network* n, uint64_t clocks, int until_sent) {
    Turn turn(*n);
    const uint64_t end = n->clocks + clocks;
    const size_t before = n->phy.sent.size();
    while (n->clocks < end && !(until_sent && n->phy.sent.size() > before)) step(*n);
}

uint64_t tz_network_clocks(tz_network* n) {
    Turn turn(*n);
    return n->clocks;
}

void tz_network_set(tz_network* n, uint32_t port, uint32_t word, uint32_t value) {
    Turn turn(*n);
    port_set(*n->gateware, port, word, value);
}

uint32_t tz_network_get(tz_network* n, uint32_t port, uint32_t word) {
    Turn turn(*n);
    return port_get(*n->gateware, port, word);
}

void tz_network_cable(tz_network* n, int plugged, uint16_t partner) {
    Turn turn(*n);
    n->phy.cable = plugged;
    n->phy.partner = partner;
}

int tz_network_link(tz_network* n) {
    Turn turn(*n);
    return n->phy.link();
}

void tz_network_negotiation(tz_network* n, uint64_t clocks) {
    Turn turn(*n);
    n->phy.negotiation_clocks = clocks;
}

uint16_t tz_network_phy_peek(tz_network* n, uint32_t number) {
    Turn turn(*n);
    return n->phy.peek(number);
}

void tz_network_phy_poke(tz_network* n, uint32_t number, uint16_t value) {
    Turn turn(*n);
    n->phy.poke(number, value);
}

uint64_t tz_network_damaged_sent(tz_network* n) {
    Turn turn(*n);
    return n->damaged_sent;
}

// Move frames between the PHY and a TAP device (or any descriptor that a read gives a frame) until `tz_network_stop`. While nothing is on the wire
// the gateware has `clocks_per_second` clocks in a second of wall time; while something is, as many as the processor makes.
// Returns the errno of a device that failed, or 0.
int tz_network_serve(tz_network* n, int descriptor, double clocks_per_second) {
    std::vector<uint8_t> bytes(4096);
    auto begun = Clock::now();
    double paid = 0;  // clocks that wall time has paid for since then
    uint64_t first = n->clocks;
    while (!n->stop) {
        while (n->waiting) std::this_thread::yield();
        double ahead;
        bool quiet;
        {
            Turn turn(*n);
            if (n->phy.to_receive.empty()) {
                const ssize_t length = read(descriptor, bytes.data(), bytes.size());
                if (length > 0) queue(*n, bytes.data(), size_t(length));
                else if (length < 0 && errno != EAGAIN && errno != EINTR && errno != EIO) return errno;
            }
            for (uint64_t at = 0; at < kBatchClocks; ++at) step(*n);
            if (n->phy.receiving() || n->phy.sending()) n->last_activity = n->clocks;
            while (!n->phy.sent.empty()) {
                const SentFrame& frame = n->phy.sent.front();
                if (intact(frame)) {
                    if (write(descriptor, frame.bytes.data(), frame.bytes.size() - 4) < 0 && errno != EAGAIN && errno != EINTR && errno != EIO)
                        return errno;
                } else {
                    ++n->damaged_sent;
                }
                n->phy.sent.pop_front();
                n->last_activity = n->clocks;
            }
            n->phy.received_clocks.clear();
            quiet = n->clocks - n->last_activity > kQuietClocks;
            paid = std::chrono::duration<double>(Clock::now() - begun).count() * clocks_per_second;
            ahead = double(n->clocks - first) - paid;
            if (ahead < -kLongestDebtSeconds * clocks_per_second) {
                // The processor is too slow, or was elsewhere: what was missed stays missed.
                begun = Clock::now();
                first = n->clocks;
            }
        }
        if (quiet && ahead > 0) {
            pollfd wait{descriptor, POLLIN, 0};
            const double seconds = std::min(ahead / clocks_per_second, kLongestWaitSeconds);
            const timespec timeout{time_t(seconds), long((seconds - double(time_t(seconds))) * 1e9)};
            ppoll(&wait, 1, &timeout, nullptr);
        }
    }
    n->stop = false;
    return 0;
}

void tz_network_stop(tz_network* n) { n->stop = true; }
}
