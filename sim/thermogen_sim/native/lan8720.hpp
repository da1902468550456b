// The LAN8720A, a 10/100 Ethernet PHY, as its datasheet (Microchip DS00002165) describes it from the pins, at 100 Mb/s full duplex with the
// 50 MHz reference clock as an input. One step a clock.
//
// Towards the MAC: CRS_DV rises with the carrier while RXD is still 00, preamble, delimiter and frame follow in di-bits; the carrier ends
// before the receive buffer is empty, so over the last nibbles CRS_DV is low in the first di-bit of each and high in the second
// (RMII 1.2, 5.3). RX_ER marks a symbol error. From the MAC: what is between two edges of TX_EN is one frame.
// SMI: clause 22 frames; MDIO is taken at rising MDC and driven after it. Registers 0 to 6, 17, 18, 26, 27 and 29 to 31 with their
// defaults; BSR's link bit latches low; a restart of the negotiation ends after a while if the partner is there. Not
// modelled: 10 Mb/s, half duplex, power-down, loop-back, the interrupt pin.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

namespace thermogen {

// A frame on the wire, from the first byte after the delimiter to the last of the FCS, and what is wrong with it.
struct WireFrame {
    std::vector<uint8_t> bytes;
    unsigned preamble_di_bits = 31;  // 01 before the delimiter
    unsigned silent_di_bits = 4;     // carrier before data
    unsigned toggling_nibbles = 4;   // at the end, with the carrier gone already
    unsigned dribble_di_bits = 0;    // after the last byte
    int error_at_byte = -1;          // where RX_ER is raised
    unsigned gap_di_bits = 48;       // before it
};

struct SentFrame {
    std::vector<uint8_t> bytes;
    uint64_t first_clock = 0;  // of the preamble
    uint64_t last_clock = 0;   // of the FCS
    unsigned preamble_di_bits = 0;
    unsigned odd_di_bits = 0;  // beyond whole bytes
};

class Lan8720 {
public:
    static constexpr uint16_t kIdentifier1 = 0x0007, kIdentifier2 = 0xC0F1;

    uint64_t negotiation_clocks = 20000;
    bool cable = true;
    uint16_t partner = 0x45E1;  // what the partner advertises; 100 Mb/s full duplex among it
    std::deque<WireFrame> to_receive;
    std::deque<SentFrame> sent;
    std::deque<uint64_t> received_clocks;  // of the last di-bit of each frame that was handed on

    unsigned rxd = 0;
    bool crs_dv = false, rx_er = false, mdio = true;

    Lan8720() { reset(); }

    bool link() const { return negotiated_ && cable; }
    bool receiving() const { return !to_receive.empty() || gap_ < kGap; }
    bool sending() const { return in_frame_; }
    uint16_t peek(unsigned number) const { return registers_[number & 31]; }
    void poke(unsigned number, uint16_t value) { registers_[number & 31] = value; }

    // The pins towards the MAC for this clock.
    void drive(uint64_t clock, bool reset_n) {
        if (!reset_n) {
            reset();
            return;
        }
        advance_link();
        rxd = 0;
        crs_dv = rx_er = false;
        if (to_receive.empty()) {
            if (gap_ < kGap) ++gap_;
            return;
        }
        WireFrame& frame = to_receive.front();
        if (place_ == 0 && gap_ < frame.gap_di_bits) {
            ++gap_;
            return;
        }
        const unsigned start = frame.silent_di_bits, delimiter = start + frame.preamble_di_bits;
        const unsigned data = delimiter + 1, end = data + unsigned(frame.bytes.size()) * 4 + frame.dribble_di_bits;
        if (place_ < end) {
            crs_dv = link();
            if (place_ < start) rxd = 0;
            else if (place_ < delimiter) rxd = 1;
            else if (place_ == delimiter) rxd = 3;
            else {
                const unsigned at = place_ - data, byte = at / 4;
                rxd = byte < frame.bytes.size() ? frame.bytes[byte] >> at % 4 * 2 & 3 : 2;
                rx_er = int(byte) == frame.error_at_byte;
                if (end - place_ <= 2 * frame.toggling_nibbles && at % 2 == 0) crs_dv = false;
            }
            if (!link()) rxd = 0;
            ++place_;
        }
        if (place_ >= end) {
            received_clocks.push_back(clock);
            to_receive.pop_front();
            place_ = gap_ = 0;
        }
    }

    // The pins from the MAC for this clock.
    void take(uint64_t clock, bool tx_en, unsigned txd) {
        if (tx_en) {
            if (!in_frame_) {
                in_frame_ = true;
                in_data_ = false;
                di_bits_ = 0;
                current_ = SentFrame{};
                current_.first_clock = clock;
            }
            current_.last_clock = clock;
            if (!in_data_) {
                ++current_.preamble_di_bits;
                in_data_ = txd == 3;
            } else {
                if (di_bits_ % 4 == 0) current_.bytes.push_back(0);
                current_.bytes.back() |= uint8_t(txd << di_bits_ % 4 * 2);
                ++di_bits_;
            }
        } else if (in_frame_) {
            in_frame_ = false;
            current_.odd_di_bits = di_bits_ % 4;
            if (link()) sent.push_back(std::move(current_));
        }
    }

    // The management pins for this clock; `driven`: the MAC drives MDIO.
    void manage(bool mdc, bool driven, bool mdio_in) {
        if (mdc && !mdc_) rise(driven ? mdio_in : true);
        mdc_ = mdc;
    }

private:
    static constexpr unsigned kGap = 48;

    void reset() {
        for (auto& r : registers_) r = 0;
        registers_[0] = 0x3000;
        registers_[1] = 0x7809;
        registers_[2] = kIdentifier1;
        registers_[3] = kIdentifier2;
        registers_[4] = 0x01E1;
        registers_[5] = 0x0001;
        registers_[17] = 0x0002;
        registers_[18] = 0x00E0;
        registers_[27] = 0x000A;
        registers_[31] = 0x0040;
        negotiated_ = false;
        latched_down_ = true;
        negotiating_ = 1;
        ones_ = bits_ = 0;
        mdio = true;
        rxd = 0;
        crs_dv = rx_er = false;
    }

    void advance_link() {
        if (!cable) {
            negotiated_ = false;
            negotiating_ = 1;
            latched_down_ = true;
        } else if (!negotiated_ && negotiating_ != 0 && ++negotiating_ > negotiation_clocks) {
            negotiating_ = 0;
            negotiated_ = (registers_[4] & partner & 0x0100) != 0;
            registers_[5] = partner;
        }
    }

    uint16_t read(unsigned number) {
        if (number == 1) {
            const uint16_t value = registers_[1] | (link() && !latched_down_ ? 0x0004 : 0) | (negotiated_ ? 0x0020 : 0);
            if (link()) latched_down_ = false;
            return value;
        }
        if (number == 31) return registers_[31] | (negotiated_ ? 0x1000 | 6 << 2 : 0);
        return registers_[number];
    }

    void write(unsigned number, uint16_t value) {
        if (number == 0) {
            if (value & 0x8000) {
                reset();
                return;
            }
            registers_[0] = value & 0x7DFF;
            if (value & 0x0200) {
                negotiated_ = false;
                latched_down_ = true;
                negotiating_ = 1;
            }
        } else if (number == 4 || number == 17 || number == 18 || number == 26 || number == 27 || number >= 30) {
            registers_[number] = value;
        }
    }

    // One bit of a management frame: 32 ones, 01, operation, address, register, turn-around, data.
    void rise(bool bit) {
        if (bits_ == 0) {
            if (bit) {
                ++ones_;
            } else if (ones_ >= 32) {
                bits_ = 1;
                word_ = 0;
                ones_ = 0;
            } else {
                ones_ = 0;
            }
            return;
        }
        word_ = word_ << 1 | unsigned(bit);
        ++bits_;
        if (bits_ == 14) {
            const unsigned operation = word_ >> 10 & 3;
            reads_ = operation == 2;
            ours_ = (word_ >> 12) == 1 && (word_ >> 5 & 31) == kAddress && (operation == 1 || operation == 2);
            number_ = word_ & 31;
            if (ours_ && reads_) out_ = read(number_);
        }
        if (ours_ && reads_ && bits_ >= 15) mdio = bits_ == 15 ? false : bits_ <= 31 ? out_ >> (31 - bits_) & 1 : true;
        if (bits_ == 32) {
            if (ours_ && !reads_) write(number_, uint16_t(word_));
            bits_ = ones_ = 0;
            ours_ = false;
            mdio = true;
        }
    }

    static constexpr unsigned kAddress = 0;  // PHYAD0 is pulled down on the chip

    uint16_t registers_[32]{};
    bool negotiated_ = false, latched_down_ = true;
    uint64_t negotiating_ = 0;
    unsigned place_ = 0, gap_ = kGap, di_bits_ = 0;
    bool in_frame_ = false, in_data_ = false;
    SentFrame current_;
    bool mdc_ = false, reads_ = false, ours_ = false;
    unsigned ones_ = 0, bits_ = 0, number_ = 0, out_ = 0;
    uint32_t word_ = 0;
};

}  // namespace thermogen
