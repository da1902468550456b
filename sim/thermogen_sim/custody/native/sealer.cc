// The compiled sealer between its part, a noise source and the host's register bus.
#include <cstddef>
#include <cstdint>

#include "m41st87w.hpp"
#include "sealer.h"

namespace {

template <size_t Bits>
inline uint32_t level(const cxxrtl::value<Bits>& v) {
    return v.data[0];
}

struct Sealer {
    tz_sealer::p_tz__sealer design;
    M41st87w* part;
    uint64_t noise;
    bool noise_stuck;

    void during() {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        design.p_noise.data[0] = !noise_stuck && noise >> 40 & 1;
        design.p_tamper__n.data[0] = !part->pulls_irq();
        design.p_sda.data[0] = !part->pulls_sda() && !sda_low;
        design.prev_p_clk.data[0] = 0;
        design.p_clk.data[0] = 1;
        design.eval(nullptr);
        sda_low = level(design.out_p_sda__low());
        part->wires(!level(design.out_p_scl__low()), !sda_low && !part->pulls_sda());
    }
    void edge() { design.commit(); }
    void clock() {
        during();
        edge();
    }

private:
    bool sda_low = false;
};

}  // namespace

extern "C" {

M41st87w* tz_part_new() { return new M41st87w; }
M41st87w* tz_part_copy(M41st87w* part) { return new M41st87w(*part); }
void tz_part_delete(M41st87w* part) { delete part; }
void tz_part_tamper(M41st87w* part, int input) { part->tamper(input); }
int tz_part_holds_the_bus(M41st87w* part) { return part->pulls_sda(); }
void tz_part_set_answers(M41st87w* part, int answers) { part->answers = answers; }
void tz_part_set_stuck(M41st87w* part, int address) { part->stuck = address; }
unsigned tz_part_cell(M41st87w* part, unsigned address) { return part->cells[address]; }
void tz_part_set_cell(M41st87w* part, unsigned address, unsigned value) { part->cells[address] = value; }

// `reconfigured`: the part kept its supply while the FPGA was loaded anew, and does not know of it.
Sealer* tz_sealer_new(M41st87w* part, uint64_t noise, int noise_stuck, int reconfigured) {
    auto* sealer = new Sealer;
    sealer->part = part;
    sealer->noise = noise * 2 + 1;
    sealer->noise_stuck = noise_stuck != 0;
    if (!reconfigured) part->lose_power();
    return sealer;
}
void tz_sealer_delete(Sealer* sealer) { delete sealer; }

void tz_sealer_run(Sealer* sealer, uint64_t clocks) {
    while (clocks--) sealer->clock();
}

// Until a byte was written to the part; false when none was within `limit` clocks.
int tz_sealer_run_to_write(Sealer* sealer, uint64_t limit) {
    const uint64_t before = sealer->part->writes;
    while (limit-- && sealer->part->writes == before) sealer->clock();
    return sealer->part->writes != before;
}

// Of what the FPGA holds of the key, both slots.
unsigned tz_sealer_key_byte(Sealer* sealer, unsigned place) { return level(sealer->design.memory_p_custody_2e_keys[place]); }

void tz_sealer_identity(Sealer* sealer, uint64_t site, uint64_t profile, uint64_t calibration) {
    auto& design = sealer->design;
    design.p_site.set<uint64_t>(site);
    design.p_profile__hash.set<uint64_t>(profile);
    design.p_calibration__hash.set<uint64_t>(calibration);
}

// The words of an epoch record, one a clock.
void tz_sealer_record(Sealer* sealer, const uint16_t* words, size_t count) {
    auto& design = sealer->design;
    for (size_t place = 0; place < count; place++) {
        design.p_record__place.data[0] = place;
        design.p_record__data.data[0] = words[place];
        design.p_record__write.data[0] = 1;
        sealer->clock();
    }
    design.p_record__write.data[0] = 0;
}

// `count` words from `address` on as of one clock; false where nothing is there.
int tz_sealer_read(Sealer* sealer, unsigned address, uint16_t* words, size_t count) {
    auto& design = sealer->design;
    design.p_bus____freeze.data[0] = 1;
    sealer->clock();
    design.p_bus____freeze.data[0] = 0;
    for (size_t at = 0; at < count; at++) {
        design.p_bus____address.data[0] = address + at;
        sealer->during();
        const bool there = level(design.out_p_bus____region());
        sealer->edge();
        if (!there) return 0;
        sealer->clock();
        sealer->during();
        words[at] = level(design.out_p_bus____read__data());
        sealer->edge();
    }
    return 1;
}

// A WRITE as the host link makes it; the status.
unsigned tz_sealer_write(Sealer* sealer, unsigned address, const uint16_t* words, size_t count) {
    auto& design = sealer->design;
    unsigned verdict = 0;
    for (int commit = 0; commit < 2 && !verdict; commit++) {
        for (size_t at = 0; at < count && !verdict; at++) {
            design.p_bus____address.data[0] = address + at;
            design.p_bus____write__data.data[0] = words[at];
            design.p_bus____first.data[0] = at == 0;
            design.p_bus____last.data[0] = at + 1 == count;
            design.p_bus____offered.data[0] = 1;
            design.p_bus____commit.data[0] = commit;
            sealer->during();
            if (!commit) verdict = level(design.out_p_bus____verdict());
            sealer->edge();
        }
    }
    design.p_bus____offered.data[0] = design.p_bus____commit.data[0] = 0;
    return verdict;
}
}
