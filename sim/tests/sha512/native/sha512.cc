// The compiled SHA-512 between its streams: whoever gives the message and takes the digest waits before each transfer as told.
#include <cstddef>
#include <cstdint>

#include "sha512.h"

namespace {

template <size_t Bits>
inline uint32_t level(const cxxrtl::value<Bits>& v) {
    return v.data[0];
}

struct Sha512 {
    tz_sha512::p_tz__sha512 design;

    // What goes on during a clock, with the inputs as they are; then its edge.
    void during() {
        design.prev_p_clk.data[0] = 0;
        design.p_clk.data[0] = 1;
        design.eval(nullptr);
    }
    void edge() { design.commit(); }
    void wait(unsigned clocks) {
        while (clocks--) {
            during();
            edge();
        }
    }
};

constexpr size_t DIGEST_WORDS = 8;

}  // namespace

extern "C" {

Sha512* tz_sha512_new() { return new Sha512; }
void tz_sha512_delete(Sha512* core) { delete core; }

// Give `count` payloads of `message` (byte, keep << 8, last << 9), take the digest's words as they come; `pauses` has the clocks waited before
// each payload and then before each word. The clocks until the last word was taken without those pauses; 0 where that is over `limit`.
uint64_t tz_sha512_digest(Sha512* core, const uint16_t* payloads, size_t count, const uint8_t* pauses, uint64_t* words, uint64_t limit) {
    auto& design = core->design;
    uint64_t clocks = 0;
    for (size_t transfer = 0; transfer < count + DIGEST_WORDS; transfer++) {
        core->wait(pauses[transfer]);
        const bool gives = transfer < count;
        design.p_message____valid.data[0] = gives;
        design.p_message____payload.data[0] = gives ? payloads[transfer] : 0;
        design.p_digest____ready.data[0] = !gives;
        for (bool done = false; !done; clocks++) {
            if (clocks == limit) return 0;
            core->during();
            done = gives ? level(design.out_p_message____ready()) : level(design.out_p_digest____valid());
            if (done && !gives) words[transfer - count] = design.out_p_digest____payload().template get<uint64_t>();
            core->edge();
        }
        design.p_message____valid.data[0] = 0;
        design.p_digest____ready.data[0] = 0;
    }
    return clocks;
}
}
