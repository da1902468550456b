// The TCP and MODBUS server with a wire on one side and registers on the other. Time is in clocks of 50 MHz.
//
// A payload comes as the MAC would hand it on: a byte every four clocks, after preamble, Ethernet and IP header, and the verdict two clocks
// after the last di-bit of the FCS. A payload that is sent takes the transmitter for its whole frame, padding and gap included.
#include "tcp.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

namespace {

constexpr int kClocksPerByte = 4;
constexpr int kPreamble = 8, kEthernet = 14, kIp = 20, kFcs = 4, kGap = 12, kLeastPayload = 46;
constexpr int kVerdictClocks = 2;
constexpr int kGrantClocks = 1;  // from grant to the preamble's first di-bit
constexpr int kSpaces = 4, kAddresses = 65536, kMostStaged = 1968;

struct Frame {
	uint64_t begins = 0;  // first di-bit of the preamble
	uint64_t fcs_ends = 0;
	uint32_t ip = 0;
	uint64_t mac = 0;
	uint8_t protocol = 6;
	bool bad = false;  // its FCS is wrong
	std::vector<uint8_t> payload;
};

struct Registers {
	std::array<std::vector<uint16_t>, kSpaces> words;
	std::array<std::vector<uint8_t>, kSpaces> access;  // bit 0 exists, bit 1 writable
	uint16_t low = 0, high = 0xFFFF;  // of holding registers
	bool writes_allowed = true, busy = false;
	uint64_t begins = 0, ends = 0, aborts = 0, applied = 0, overfull = 0;
	uint32_t peer = 0;
	bool open = false, pipe_write = false;
	uint8_t refusal = 0, refusal_next = 0;
	std::vector<std::array<uint32_t, 3>> staged;

	Registers()
	{
		for (auto &space : words) space.assign(kAddresses, 0);
		for (auto &space : access) space.assign(kAddresses, 0);
	}
};

struct Bench {
	tz_tcp::p_tz__tcp top;
	uint64_t clocks = 0;
	uint32_t own_ip = 0;
	std::deque<Frame> incoming;
	std::deque<Frame> outgoing;
	Registers registers;
	// Arriving.
	int64_t arrive_at = -1;  // clocks since the frame's first di-bit
	uint64_t wire_free = 0;
	// Leaving.
	bool sending = false;
	uint64_t granted_at = 0, transmitter_free = 0;
	size_t length = 0, late_length = 0;
	uint64_t length_changed = 0;
	bool held = false;  // the transmitter is busy with another layer's frame
	Frame current;
	uint64_t faults = 0;
	uint64_t last_rx_end = 0;
	uint16_t data = 0;
	bool exists = false;

	void clock();
	void registers_step();
};

template <class V> uint64_t get(const V &value) { return value.template zcast<64>().template get<uint64_t>(); }

void Bench::registers_step()
{
	auto &r = registers;
	const bool write = get(top.out_p_registers____write()), begin = get(top.out_p_registers____begin());
	const bool end = get(top.out_p_registers____end()), abort = get(top.out_p_registers____abort());
	const unsigned space = get(top.out_p_registers____space()), address = get(top.out_p_registers____address());
	const unsigned value = get(top.out_p_registers____value());
	const unsigned here = r.access[space][address];
	data = space < 2 ? r.words[space][address] & 1 : r.words[space][address];
	exists = here & 1;
	r.refusal = r.refusal_next;
	if (begin) {
		if (r.open) faults |= 1;
		r.begins++;
		r.open = true;
		r.refusal_next = 0;
		r.staged.clear();
		r.peer = get(top.out_p_registers____peer__ip());
	}
	if (write) {
		if (!r.open) faults |= 2;
		if (r.staged.size() >= kMostStaged) r.overfull++;
		r.staged.push_back({space, address, value});
		uint8_t wrong = 0;
		if (!r.writes_allowed) wrong = 1;
		else if (!(here & 1) || !(here & 2)) wrong = 2;
		else if (r.busy) wrong = 6;
		else if (space == 3 && (value < r.low || value > r.high)) wrong = 3;
		if (!r.refusal_next) r.refusal_next = wrong;
	}
	if (end) {
		if (!r.open) faults |= 4;
		r.ends++;
		r.open = false;
		if (!r.refusal_next)
			for (const auto &one : r.staged) { r.words[one[0]][one[1]] = one[2]; r.applied++; }
		else if (!r.staged.empty()) faults |= 8;
		r.staged.clear();
	}
	if (abort) {
		if (!r.open) faults |= 16;
		r.aborts++;
		r.open = false;
		r.staged.clear();
	}
}

void Bench::clock()
{
	// What comes.
	bool valid = false, first = false, commit = false, drop = false;
	uint8_t byte = 0;
	bool checksum_good = false;
	if (arrive_at < 0 && !incoming.empty() && clocks >= incoming.front().begins && clocks >= wire_free) {
		arrive_at = 0;
		const Frame &f = incoming.front();
		for (auto &part : top.p_ingress____peer.data) part = 0;
		for (int bit = 0; bit < 80; bit++) {
			const bool one = bit < 32 ? f.ip >> bit & 1 : f.mac >> (bit - 32) & 1;
			if (one) top.p_ingress____peer.data[bit / 32] |= 1u << (bit % 32);
		}
		top.p_ingress____protocol.set<uint8_t>(f.protocol);
		top.p_ingress____length.set<uint16_t>(f.payload.size());
	}
	if (arrive_at >= 0) {
		const Frame &f = incoming.front();
		const int64_t payload_at = (kPreamble + kEthernet + kIp) * kClocksPerByte;
		const int64_t padded = std::max<int64_t>(f.payload.size() + kIp, kLeastPayload) - kIp;
		const int64_t fcs_end = payload_at + (padded + kFcs) * kClocksPerByte;
		const int64_t at = arrive_at - payload_at;
		if (at >= 0 && at % kClocksPerByte == kClocksPerByte - 1 && at / kClocksPerByte < (int64_t)f.payload.size()) {
			valid = true;
			first = at / kClocksPerByte == 0;
			byte = f.payload[at / kClocksPerByte];
		}
		if (arrive_at == fcs_end - 1) last_rx_end = clocks;
		if (arrive_at == fcs_end - 1 + kVerdictClocks) {
			commit = !f.bad;
			drop = f.bad;
			uint32_t sum = (f.ip >> 16) + (f.ip & 0xFFFF) + (own_ip >> 16) + (own_ip & 0xFFFF) + f.protocol + f.payload.size();
			for (size_t i = 0; i < f.payload.size(); i++) sum += i & 1 ? f.payload[i] : f.payload[i] << 8;
			while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
			checksum_good = sum == 0xFFFF;
			wire_free = clocks - kVerdictClocks + kGap * kClocksPerByte;
			arrive_at = -1;
		} else
			arrive_at++;
		if (arrive_at < 0) incoming.pop_front();
	}
	top.p_ingress____valid.set<bool>(valid);
	top.p_ingress____first.set<bool>(first);
	top.p_ingress____byte.set<uint8_t>(byte);
	top.p_ingress____commit.set<bool>(commit);
	top.p_ingress____drop.set<bool>(drop);
	top.p_checksum__good.set<bool>(checksum_good);

	// What leaves.
	const bool request = get(top.out_p_egress____request());
	bool grant = false, take = false, sent = false;
	const uint64_t since = clocks - granted_at;
	if (!sending && request && !held && clocks >= transmitter_free) {
		grant = true;
		sending = true;
		granted_at = clocks;
		current = Frame{};
		current.begins = clocks + kGrantClocks;
		for (int bit = 0; bit < 80; bit++) {
			const uint64_t one = top.out_p_egress____peer().data[bit / 32] >> (bit % 32) & 1;
			if (bit < 32) current.ip |= one << bit;
			else current.mac |= one << (bit - 32);
		}
		current.protocol = get(top.out_p_egress____protocol());
		late_length = 0;
	} else if (sending) {
		const uint64_t payload_at = (kPreamble + kEthernet + kIp) * kClocksPerByte;  // the first byte is taken in the last clock of the header
		const size_t now = get(top.out_p_egress____length());
		if (since == 90) length = now;
		if (since > 90 && now != length) faults |= 32;
		if (since >= payload_at && (since - payload_at) % kClocksPerByte == 0 && current.payload.size() < length) {
			take = true;
			current.payload.push_back(get(top.out_p_egress____byte()));
			if (current.payload.size() == length) {
				sent = true;
				sending = false;
				const uint64_t padded = std::max<uint64_t>(length + kIp, kLeastPayload) - kIp;
				current.fcs_ends = current.begins + (kPreamble + kEthernet + kIp + padded + kFcs) * kClocksPerByte;
				transmitter_free = current.fcs_ends + kGap * kClocksPerByte - kGrantClocks;
				outgoing.push_back(current);
			}
		}
	}
	top.p_egress____grant.set<bool>(grant);
	top.p_egress____take.set<bool>(take);
	top.p_egress____sent.set<bool>(sent);

	// One evaluation with the edge: outputs that are no registers are then those of the clock that ends with it.
	top.prev_p_clk.data[0] = 0;
	top.eval(nullptr);
	registers_step();
	top.commit();
	top.p_registers____data.set<uint16_t>(data);
	top.p_registers____exists.set<bool>(exists);
	top.p_registers____refusal.set<uint8_t>(registers.refusal);
	clocks++;
}

}  // namespace

extern "C" {

void *tz_tcp_new(uint32_t own_ip, uint64_t isn_key)
{
	auto *bench = new Bench;
	bench->own_ip = own_ip;
	bench->top.p_own__ip.set<uint32_t>(own_ip);
	bench->top.p_isn__key.set<uint64_t>(isn_key);
	bench->top.p_clk.set<bool>(true);
	return bench;
}

void tz_tcp_delete(void *bench) { delete static_cast<Bench *>(bench); }

void tz_tcp_prefer(void *bench, unsigned index, uint32_t ip)
{
	static_cast<Bench *>(bench)->top.p_preferred.data[index] = ip;
}

uint64_t tz_tcp_clocks(void *bench) { return static_cast<Bench *>(bench)->clocks; }
uint64_t tz_tcp_faults(void *bench) { return static_cast<Bench *>(bench)->faults; }
unsigned tz_tcp_used(void *bench) { return get(static_cast<Bench *>(bench)->top.out_p_used()); }
void tz_tcp_hold(void *bench, int held) { static_cast<Bench *>(bench)->held = held; }

// The frame begins when the wire is free, not before `begins`.
void tz_tcp_put(void *bench, uint64_t begins, uint32_t ip, uint64_t mac, int protocol, int bad, const uint8_t *payload, size_t size)
{
	Frame frame;
	frame.begins = begins;
	frame.ip = ip;
	frame.mac = mac;
	frame.protocol = protocol;
	frame.bad = bad;
	frame.payload.assign(payload, payload + size);
	static_cast<Bench *>(bench)->incoming.push_back(frame);
}

// Runs until a frame has left, nothing is left to do for `idle` clocks with all frames in, or `most` clocks have passed.
uint64_t tz_tcp_run(void *opaque, uint64_t most, int until_frame)
{
	auto *bench = static_cast<Bench *>(opaque);
	const uint64_t begun = bench->clocks;
	while (bench->clocks - begun < most) {
		if (until_frame && !bench->outgoing.empty()) break;
		bench->clock();
	}
	return bench->clocks - begun;
}

// Size of the oldest frame that left, which is copied and forgotten; -1 if there is none.
int tz_tcp_take(void *opaque, uint8_t *payload, uint32_t *ip, uint64_t *mac, uint64_t *times)
{
	auto *bench = static_cast<Bench *>(opaque);
	if (bench->outgoing.empty()) return -1;
	const Frame &frame = bench->outgoing.front();
	const int size = frame.payload.size();
	std::memcpy(payload, frame.payload.data(), size);
	*ip = frame.ip;
	*mac = frame.mac;
	times[0] = frame.begins;
	times[1] = frame.fcs_ends;
	bench->outgoing.pop_front();
	return size;
}

uint64_t tz_tcp_last_arrival(void *bench) { return static_cast<Bench *>(bench)->last_rx_end; }
size_t tz_tcp_incoming(void *bench) { return static_cast<Bench *>(bench)->incoming.size(); }

void tz_tcp_register(void *opaque, unsigned space, unsigned address, unsigned count, int access)
{
	auto &r = static_cast<Bench *>(opaque)->registers;
	for (unsigned at = address; at < address + count && at < kAddresses; at++) r.access[space][at] = access;
}
unsigned tz_tcp_read(void *opaque, unsigned space, unsigned address) { return static_cast<Bench *>(opaque)->registers.words[space][address]; }
void tz_tcp_write(void *opaque, unsigned space, unsigned address, unsigned value)
{
	static_cast<Bench *>(opaque)->registers.words[space][address] = value;
}
void tz_tcp_policy(void *opaque, int allowed, int busy, unsigned low, unsigned high)
{
	auto &r = static_cast<Bench *>(opaque)->registers;
	r.writes_allowed = allowed;
	r.busy = busy;
	r.low = low;
	r.high = high;
}
// Requests opened, ended, aborted; words applied; words staged beyond what may be; who asked last.
void tz_tcp_counts(void *opaque, uint64_t *counts)
{
	const auto &r = static_cast<Bench *>(opaque)->registers;
	counts[0] = r.begins;
	counts[1] = r.ends;
	counts[2] = r.aborts;
	counts[3] = r.applied;
	counts[4] = r.overfull;
	counts[5] = r.peer;
}
}
