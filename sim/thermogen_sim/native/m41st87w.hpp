// STMicroelectronics M41ST87W (DocID9497), what a node's key custody sees of it: the I2C target, 128 bytes of user RAM, tamper and flag
// registers. A tamper condition whose TEB and CLR are set clears the RAM, which then reads invalid until that TEB is reset; resetting TEB resets
// TB. VCC that fails ends an access: a byte that was not acknowledged is not written. Clock, alarm and watchdog are not here.
#pragma once
#include <array>
#include <cstdint>

struct M41st87w {
    static constexpr uint8_t kTarget = 0x68, kFlags = 0x0F, kTamper1 = 0x14, kTamper2 = 0x15, kRam = 0x20, kEnd = 0xA0;
    static constexpr uint8_t kTeb = 0x80, kTie = 0x40, kClr = 0x01, kTb1 = 0x02, kTb2 = 0x01;

    std::array<uint8_t, kEnd> cells{};
    bool answers = true;
    // A byte that is read from here on keeps what it was, whatever is written: a cell that is stuck.
    int stuck = -1;
    // How many bytes were written, to the same value too, and how often it was tampered with.
    uint64_t writes = 0;

    // What the wires see: whether the part pulls SDA, and whether it pulls IRQ/OUT.
    bool pulls_sda() const { return pulling_; }
    bool pulls_irq() const {
        return ((cells[kFlags] & kTb1) && (cells[kTamper1] & kTie)) || ((cells[kFlags] & kTb2) && (cells[kTamper2] & kTie));
    }

    void tamper(int input) {
        const uint8_t setting = cells[input == 1 ? kTamper1 : kTamper2];
        if (!(setting & kTeb)) return;
        writes++;
        cells[kFlags] |= input == 1 ? kTb1 : kTb2;
        if (setting & kClr)
            for (int at = kRam; at < kEnd; at++) cells[at] = 0;
    }

    // VCC is gone: the bus forgets, battery keeps the cells.
    void lose_power() {
        state_ = kIdle;
        pulling_ = false;
        scl_ = sda_ = true;
    }

    void wires(bool scl, bool sda) {
        if (scl && scl_ && sda != sda_) {
            pulling_ = false;
            bits_ = 0;
            state_ = sda ? kIdle : kTargetByte;
        } else if (scl && !scl_) {
            rises(sda);
        } else if (!scl && scl_) {
            falls();
        }
        scl_ = scl;
        sda_ = sda;
    }

private:
    enum State { kIdle, kTargetByte, kAddressByte, kWriting, kReading } state_ = kIdle;
    bool scl_ = true, sda_ = true, pulling_ = false, ours_ = false;
    int bits_ = 0;
    uint8_t byte_ = 0, pointer_ = 0;

    bool deselected() const {
        return ((cells[kFlags] & kTb1) && (cells[kTamper1] & kClr)) || ((cells[kFlags] & kTb2) && (cells[kTamper2] & kClr));
    }
    uint8_t read() const { return pointer_ >= kRam && deselected() ? 0xFF : cells[pointer_]; }
    void write(uint8_t value) {
        if (pointer_ == kFlags || pointer_ == stuck || (pointer_ >= kRam && deselected())) return;
        cells[pointer_] = value;
        writes++;
        if (!(cells[kTamper1] & kTeb)) cells[kFlags] &= ~kTb1;
        if (!(cells[kTamper2] & kTeb)) cells[kFlags] &= ~kTb2;
    }
    void next() { pointer_ = pointer_ + 1 == kEnd ? 0 : pointer_ + 1; }

    void rises(bool sda) {
        if (state_ == kIdle) return;
        if (bits_ < 8) {
            byte_ = byte_ << 1 | sda;
            bits_++;
        } else {
            bits_ = 9;
            if (state_ == kWriting) {
                write(byte_);
                next();
            }
            if (state_ == kReading) {
                next();
                ours_ = !sda;
            }
        }
    }

    void falls() {
        if (state_ == kIdle) return;
        if (bits_ == 8) {
            if (state_ == kTargetByte) {
                if (!answers || byte_ >> 1 != kTarget) {
                    state_ = kIdle;
                    return;
                }
            } else if (state_ == kAddressByte) {
                pointer_ = byte_ < kEnd ? byte_ : 0;
            }
            pulling_ = state_ != kReading;
            return;
        }
        if (bits_ == 9) {
            bits_ = 0;
            pulling_ = false;
            if (state_ == kTargetByte) {
                state_ = byte_ & 1 ? kReading : kAddressByte;
                ours_ = true;
            } else if (state_ == kAddressByte) {
                state_ = kWriting;
            }
            if (state_ == kReading && !ours_) state_ = kIdle;
        }
        if (state_ == kReading) pulling_ = !(read() >> (7 - bits_) & 1);
    }
};
