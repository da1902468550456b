// The chip and circuit models alone, without gateware: what the tests and the plant's first steady state use.
#include "ads7952.hpp"
#include "electrical.hpp"
#include "switched.hpp"

#include <cstddef>

using thermogen::Ads7952;

extern "C" {

Ads7952* tz_ads7952_new(double reference_volts) { return new Ads7952(reference_volts); }
void tz_ads7952_delete(Ads7952* chip) { delete chip; }
void tz_ads7952_input(Ads7952* chip, unsigned channel, double volts) { chip->volts[channel] = volts; }
void tz_ads7952_fault(Ads7952* chip, int fault) { chip->fault = Ads7952::Fault(fault); }
int tz_ads7952_pins(Ads7952* chip, int sclk, int cs_n, int sdi) {
    chip->pins(sclk, cs_n, sdi);
    return chip->sdo();
}

size_t tz_electrical_size() { return sizeof(thermogen::tz_electrical); }

// Steps `periods` PWM periods with fixed on-times; the sums in `e` run on.
void tz_electrical_run(thermogen::tz_electrical* e, const uint16_t* high_counts, const uint16_t* low_counts, int period_counts,
                       double period_s, uint64_t periods) {
    const thermogen::Parts parts;
    const thermogen::AmplifierPoles poles(parts, period_counts, period_s);
    for (uint64_t n = 0; n < periods; ++n) {
        for (int c = 0; c < e->channels; ++c)
            channel_period(*e, parts, poles, c, high_counts[c], low_counts[c], period_counts, period_s);
        bus_period(*e, parts, period_s);
    }
}

size_t tz_switched_size() { return sizeof(thermogen::tz_switched); }

void tz_switched_run(thermogen::tz_switched* s, double seconds) { thermogen::Switched(*s).run(seconds); }

// `periods` whole periods of a pattern of gate edges in rising order, then the next period as far as `rest_s`.
void tz_switched_pattern(thermogen::tz_switched* s, const double* at_s, const int32_t* channel, const int32_t* high,
                         const int32_t* low, int edges, double period_s, uint64_t periods, double rest_s) {
    thermogen::Switched model(*s);
    for (uint64_t n = 0; n <= periods; ++n) {
        const double end = n < periods ? period_s : rest_s;
        double now = 0;
        for (int k = 0; k < edges && at_s[k] <= end; ++k) {
            model.run(at_s[k] - now);
            now = at_s[k];
            s->high[channel[k]] = high[k];
            s->low[channel[k]] = low[k];
        }
        model.run(end - now);
    }
}
}
