// The compiled prover between its streams: a seed goes in, a public key comes out; an alpha goes in, a proof and its output come out.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "prover.h"

namespace {

template <size_t Bits>
inline uint32_t level(const cxxrtl::value<Bits>& v) {
    return v.data[0];
}

struct Prover {
    tz_prover::p_tz__prover design;

    // What goes on during a clock, with the inputs as they are; then its edge.
    void during() {
        design.prev_p_clk.data[0] = 0;
        design.p_clk.data[0] = 1;
        design.eval(nullptr);
    }
    void edge() { design.commit(); }
};

}  // namespace

extern "C" {

Prover* tz_prover_new() {
    auto* prover = new Prover;
    prover->design.p_result____ready.data[0] = 1;
    return prover;
}

void tz_prover_delete(Prover* prover) { delete prover; }

// Give `count` bytes to the seed, or to alpha (none for an empty one), and take the answer, at most `room` bytes, until the prover is done.
// The clocks after the first of the seed's bytes, or the last of alpha's; 0 when it is not done after `limit`.
uint64_t tz_prover_run(Prover* prover, int alpha, const uint8_t* bytes, size_t count, uint8_t* answer, size_t room, size_t* answered,
                       uint64_t limit) {
    auto& design = prover->design;
    const size_t transfers = alpha && !count ? 1 : count;
    size_t given = 0;
    uint64_t clocks = 0;
    *answered = 0;
    while (clocks < limit) {
        const bool more = given < transfers;
        const uint32_t byte = more && given < count ? bytes[given] : 0;
        design.p_seed____valid.data[0] = !alpha && more;
        design.p_seed____payload.data[0] = byte;
        design.p_alpha____valid.data[0] = alpha && more;
        design.p_alpha____payload.data[0] = byte | (count != 0) << 8 | (given + 1 == transfers) << 9;
        prover->during();
        given += more && level(alpha ? design.out_p_alpha____ready() : design.out_p_seed____ready());
        if (level(design.out_p_result____valid()) && *answered < room) answer[(*answered)++] = level(design.out_p_result____payload()) & 0xFF;
        const bool done = level(design.out_p_done());
        prover->edge();
        clocks += alpha ? given == transfers : given > 0;
        if (done) return clocks;
    }
    return 0;
}

// Of the last proof, once it is done.
unsigned tz_prover_tries(Prover* prover) { return level(prover->design.out_p_tries()); }
unsigned tz_prover_error(Prover* prover) { return level(prover->design.out_p_error()); }
}
