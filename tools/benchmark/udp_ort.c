/*
 * gyr-bench-udp-ort: what a good engineer writes who needs a model behind a UDP port and has no Gyr: a socket that is polled without sleeping, ONNX Runtime's C
 * API on one thread, one row at a time. The peer that tools/bench roundtrip measures Gyr against; it speaks Gyr's wire, so that the same client asks both.
 *
 *     gyr-bench-udp-ort ADDRESS PORT MODEL.onnx INPUTS
 *
 * Serves every model name with that model until SIGINT or SIGTERM. Prints "ready" when it answers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/wire/wire.h"
#include "tools/benchmark/infer_peer.h"

#define FLOATS_MAX 16384

static atomic_bool stop;
static float x[FLOATS_MAX];

static void on_signal(int number)
{
	(void)number;
	atomic_store_explicit(&stop, true, memory_order_relaxed);
}

static void *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL || fseek(file, 0, SEEK_END) != 0)
		return NULL;
	*size = (size_t)ftell(file);
	rewind(file);
	void *bytes = malloc(*size);
	if (bytes != NULL && fread(bytes, 1, *size, file) != *size) {
		free(bytes);
		bytes = NULL;
	}
	fclose(file);
	return bytes;
}

static int open_socket(const char *address, const char *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0 || inet_pton(AF_INET, address, &at.sin_addr) != 1 || bind(descriptor, (struct sockaddr *)&at, sizeof at) != 0)
		return -1;
	return descriptor;
}

/* The length of the answer in REPLY, or 0 for what it does not answer. */
static size_t answer(struct peer *peer, const uint8_t *bytes, size_t size, size_t in, uint8_t *reply, size_t room)
{
	struct gyr_wire_message message;
	const char *reason;
	if (gyr_wire_parse(bytes, size, &message, &reason) != GYR_WIRE_OK || message.type != GYR_WIRE_REQUEST || message.tensor_count != 1 ||
	    message.tensors[0].form != GYR_WIRE_BARE || message.tensors[0].bytes != in * sizeof(float))
		return 0;
	memcpy(x, message.tensors[0].data, message.tensors[0].bytes);
	peer_run(peer);
	struct gyr_wire_output output = {.form = GYR_WIRE_BARE};
	output.data = peer_output(peer, 0, &output.shape);
	return gyr_wire_pack_result(reply, room, message.id, 1, &output, 1, NULL, NULL);
}

int main(int argc, char **argv)
{
	static uint8_t bytes[GYR_WIRE_DATAGRAM_MAX], reply[GYR_WIRE_DATAGRAM_MAX];
	size_t model_size = 0;
	if (argc != 5 || atol(argv[4]) < 1 || atol(argv[4]) > FLOATS_MAX) {
		fputs("usage: gyr-bench-udp-ort ADDRESS PORT MODEL.onnx INPUTS\n", stderr);
		return 2;
	}
	size_t in = (size_t)atol(argv[4]);
	void *model = read_file(argv[3], &model_size);
	int descriptor = open_socket(argv[1], argv[2]);
	if (model == NULL || descriptor < 0) {
		fprintf(stderr, "gyr-bench-udp-ort: %s: %s\n", model == NULL ? argv[3] : argv[1], strerror(errno));
		return 1;
	}
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	const struct gyr_shape shape = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {1, (int64_t)in}};
	char reason[300] = "not one input";
	struct peer *peer = peer_create(model, model_size, reason, sizeof reason);
	if (peer == NULL || peer_input_count(peer) != 1 || !peer_bind(peer, &shape, (void *[]){x}, reason, sizeof reason)) {
		fprintf(stderr, "gyr-bench-udp-ort: %s: %s\n", argv[3], reason);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		struct sockaddr_in from;
		socklen_t from_size = sizeof from;
		ssize_t size = recvfrom(descriptor, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &from_size);
		if (size <= 0)
			continue;
		size_t length = answer(peer, bytes, (size_t)size, in, reply, sizeof reply);
		if (length > 0)
			sendto(descriptor, reply, length, 0, (struct sockaddr *)&from, from_size);
	}
	peer_destroy(peer);
	free(model);
	close(descriptor);
	return 0;
}
