/*
 * The Internet checksum (RFC 1071) over bytes of any alignment. Sums are kept in network byte order as they lie in memory, so nothing is swapped.
 */
#ifndef GYR_DATAPLANE_NET_CHECKSUM_H
#define GYR_DATAPLANE_NET_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>

/* Eight bytes each, added as two words of four. Written out, as the compiler does not do it by itself wherever this is inlined. */
typedef uint64_t gyr_checksum_words __attribute__((vector_size(32)));

/* Adds BYTES bytes to SUM, which starts at 0. Only the last part of a packet may have an odd length. Hot path: about 20 ns for a kilobyte. */
static inline uint64_t gyr_checksum_add(uint64_t sum, const void *data, size_t bytes)
{
	const uint8_t *at = data;
	if (bytes >= 64) {
		gyr_checksum_words even = {0}, odd = {0};
		for (; bytes >= 64; at += 64, bytes -= 64) {
			gyr_checksum_words first, second;
			memcpy(&first, at, sizeof first);
			memcpy(&second, at + sizeof first, sizeof second);
			even += (first & UINT32_MAX) + (first >> 32);
			odd += (second & UINT32_MAX) + (second >> 32);
		}
		even += odd;
		sum += even[0] + even[1] + even[2] + even[3];
	}
	for (; bytes >= 8; at += 8, bytes -= 8) {
		uint64_t word;
		memcpy(&word, at, sizeof word);
		sum += (word & UINT32_MAX) + (word >> 32);
	}
	if (bytes & 4) {
		uint32_t half;
		memcpy(&half, at, sizeof half);
		sum += half;
		at += 4;
	}
	/* The rest as it would lie in memory with zeros behind it. */
	if (bytes & 2) {
		uint16_t quarter;
		memcpy(&quarter, at, sizeof quarter);
		sum += quarter;
		at += 2;
	}
	return bytes & 1 ? sum + RTE_BE16((uint16_t)(*at << 8)) : sum;
}

/* Folds SUM to 16 bits: 0xffff when the bytes, their checksum among them, are unchanged. */
static inline uint16_t gyr_checksum_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)sum;
}

/* What to write into the header's field, which was 0 in the sum. */
static inline uint16_t gyr_checksum_finish(uint64_t sum)
{
	return (uint16_t)~gyr_checksum_fold(sum);
}

#endif
