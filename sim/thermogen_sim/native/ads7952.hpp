// The ADS7952, a 12-channel 12-bit converter, as its datasheet (TI SLAS605) describes it from the pins.
//
// A frame runs from the falling to the rising edge of CS. SDI is taken on rising SCLK edges, SDO changes on falling ones, its
// first bit on the falling edge of CS. That edge also samples the selected input; the multiplexer moves on the second falling
// SCLK edge to the channel that the frame before commanded. So what frame n commands is sampled and read in frame n+2, and
// the top four bits of the answer say which channel it is. A frame of fewer than 16 clocks commands nothing.
//
// Modelled: manual, auto-1 and auto-2 sequencing with their program registers, range (1 or 2 times the reference), power-down,
// GPIO status in place of the channel number. Not modelled: GPIO and alarm programming, which are accepted and ignored.
// It can fail: stop answering (its pull resistor holds SDO low), convert another channel than it was told, or lose its reference (every
// input above 0 V is then beyond full scale).
#pragma once

#include <array>
#include <cstdint>

namespace thermogen {

class Ads7952 {
public:
    static constexpr unsigned kChannels = 12;

    enum class Fault { kNone, kSilent, kWrongChannel, kReferenceLost };

    explicit Ads7952(double reference_volts = 2.5, uint64_t seed = 1, double noise_lsb = 0.0)
        : reference_volts_(reference_volts), noise_lsb_(noise_lsb), random_(seed * 2654435761u + 88172645463325252u) {}

    std::array<double, kChannels> volts{};  // at the input pins

    Fault fault = Fault::kNone;

    bool sdo() const { return sdo_ && fault != Fault::kSilent; }
    unsigned selected() const { return mux_; }  // the input that a falling chip select samples

    // Call when a pin may have changed; levels are 0 or 1.
    void pins(bool sclk, bool cs_n, bool sdi) {
        const unsigned now = unsigned(sclk) | unsigned(cs_n) << 1 | unsigned(sdi) << 2;
        if (now == pins_) return;
        const unsigned before = pins_;
        pins_ = now;
        if ((now ^ before) & 2) {
            if (cs_n) end_frame();
            else begin_frame();
        } else if (((now ^ before) & 1) && !cs_n) {
            if (sclk) rise(sdi);
            else fall();
        }
    }

private:
    enum class Mode { kManual, kAuto1, kAuto2 };
    enum class Programming { kNone, kAuto1 };

    void begin_frame() {
        rises_ = falls_ = 0;
        word_in_ = 0;
        unsigned sample = powered_down_ ? 0 : convert();
        word_out_ = (gpio_status_ ? 0u : unsigned(mux_) << 12) | sample;
        sdo_ = word_out_ >> 15 & 1;
    }

    void end_frame() {
        if (rises_ >= 16) execute();
        sdo_ = false;
    }

    void rise(bool sdi) {
        if (rises_ < 16) word_in_ = uint16_t(word_in_ << 1 | unsigned(sdi));
        ++rises_;
    }

    void fall() {
        ++falls_;
        if (falls_ == 2) {
            mux_ = fault == Fault::kWrongChannel ? (next_channel_ + 1) % 16 : next_channel_;
            range_doubled_ = next_range_doubled_;
        }
        sdo_ = falls_ < 16 ? (word_out_ >> (15 - falls_) & 1) : false;
    }

    void execute() {
        const uint16_t word = word_in_;
        if (programming_ == Programming::kAuto1) {
            auto1_channels_ = word & 0x0fff;
            programming_ = Programming::kNone;
            return;
        }
        switch (word >> 12) {
            case 0x0: advance(false); break;  // continue in the mode chosen before
            case 0x1:
                mode_ = Mode::kManual;
                settings(word);
                next_channel_ = (word >> 7 & 0xf) % 16;
                break;
            case 0x2:
                mode_ = Mode::kAuto1;
                settings(word);
                advance(word >> 10 & 1);
                break;
            case 0x3:
                mode_ = Mode::kAuto2;
                settings(word);
                advance(word >> 10 & 1);
                break;
            case 0x8: programming_ = Programming::kAuto1; break;
            case 0x9: auto2_last_ = word >> 6 & 0xf; break;
            default: break;
        }
    }

    void settings(uint16_t word) {
        if (!(word >> 11 & 1)) return;
        next_range_doubled_ = word >> 6 & 1;
        powered_down_ = word >> 5 & 1;
        gpio_status_ = word >> 4 & 1;
    }

    void advance(bool restart) {
        if (mode_ == Mode::kAuto2) {
            next_channel_ = restart || next_channel_ >= auto2_last_ ? 0 : next_channel_ + 1;
        } else if (mode_ == Mode::kAuto1 && auto1_channels_) {
            unsigned channel = restart ? 15 : next_channel_;
            do channel = (channel + 1) % 16;
            while (!(auto1_channels_ >> channel & 1));
            next_channel_ = channel;
        }
    }

    unsigned convert() {
        const double pin = mux_ < kChannels ? volts[mux_] : 0.0;
        if (fault == Fault::kReferenceLost) return pin > 0 ? 4095 : 0;
        const double full_scale = range_doubled_ ? 2 * reference_volts_ : reference_volts_;
        double code = pin / full_scale * 4096.0 + noise();
        // Code n stands for inputs from n LSB on: the ideal transfer function of the datasheet truncates.
        if (code <= 0) return 0;
        if (code >= 4095) return 4095;
        return unsigned(code);
    }

    // Triangular noise of +-noise_lsb, from an xorshift generator so that a seed gives the same run everywhere.
    double noise() {
        if (noise_lsb_ == 0.0) return 0.0;
        random_ ^= random_ << 13;
        random_ ^= random_ >> 7;
        random_ ^= random_ << 17;
        const double a = double(uint32_t(random_)) / 4294967296.0;
        const double b = double(uint32_t(random_ >> 32)) / 4294967296.0;
        return (a - b) * noise_lsb_;
    }

    double reference_volts_;
    double noise_lsb_;
    uint64_t random_;
    unsigned pins_ = 2;
    bool sdo_ = false;
    unsigned rises_ = 0, falls_ = 0;
    uint16_t word_in_ = 0, word_out_ = 0;
    unsigned mux_ = 0, next_channel_ = 0;
    bool range_doubled_ = false, next_range_doubled_ = false;
    bool powered_down_ = false, gpio_status_ = false;
    Mode mode_ = Mode::kManual;
    Programming programming_ = Programming::kNone;
    uint16_t auto1_channels_ = 0x0fff;
    unsigned auto2_last_ = kChannels - 1;
};

}  // namespace thermogen
