/* The other end of a memif port in the same process: sends frames and waits for their answers. */
#ifndef GYR_TESTS_UNIT_LOOP_CLIENT_H
#define GYR_TESTS_UNIT_LOOP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wire/wire.h"

#define CLIENT_BYTES_MAX 1472u

struct client_answer {
	struct gyr_wire_message message; /* points into bytes */
	uint32_t size;
	uint8_t bytes[CLIENT_BYTES_MAX];
};

/* Connects to the memif server at SOCKET and finds SERVER (host byte order) by ARP. Asserts. */
void client_start(const char *socket, uint32_t server);
void client_stop(void);

/* From here on datagrams are sent from this port, and answers to it taken. */
void client_set_port(uint16_t port);

/* The same for this address (host byte order); 0: that of the beginning, in the server's subnet. */
void client_set_address(uint32_t address);

uint64_t client_frames_sent(void);

/* Sends a payload as one datagram. */
void client_send(const void *payload, size_t bytes);

/* Pings with an ICMP echo request, and waits. */
bool client_echo(void);

/* Waits at most TIMEOUT_MS for the next datagram and parses it. False: none came. Asserts that it is sound. */
bool client_receive(struct client_answer *answer, uint32_t timeout_ms);

/* Both; asserts that an answer to ID comes. */
void client_ask(const void *payload, size_t bytes, uint64_t id, struct client_answer *answer);

#endif
