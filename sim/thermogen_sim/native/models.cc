// The chip and circuit models alone, without gateware: what the tests and the plant's first steady state use.
#include "ads7952.hpp"
#include "electrical.hpp"

#include <cstddef>

using thermogen::Ads7952;

extern "C" {

Ads7952* tz_ads7952_new(double reference_volts) { return new Ads7952(reference_volts); }
void tz_ads7952_delete(Ads7952* chip) { delete chip; }
void tz_ads7952_input(Ads7952* chip, unsigned channel, double volts) { chip->volts[channel] = volts; }
int tz_ads7952_pins(Ads7952* chip, int sclk, int cs_n, int sdi) {
    chip->pins(sclk, cs_n, sdi);
    return chip->sdo();
}

size_t tz_electrical_size() { return sizeof(thermogen::tz_electrical); }

// Steps `periods` PWM periods with fixed on-times; the sums in `e` run on.
void tz_electrical_run(thermogen::tz_electrical* e, const uint16_t* high_counts, const uint16_t* low_counts, int period_counts,
                       double period_s, uint64_t periods) {
    const thermogen::Parts parts;
    for (uint64_t n = 0; n < periods; ++n) electrical_period(*e, parts, high_counts, low_counts, period_counts, period_s);
}
}
