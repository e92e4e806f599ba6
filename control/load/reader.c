/*
 * A file is cut into parts of 1 MiB. Each of the queue's slots holds one part at a time and reads what is left of it until it is whole:
 *
 *     free --submit--> in flight --some bytes--> in flight (the rest) --whole--> free
 *                          |  \--EAGAIN, EINTR--> in flight (again, at most RETRIES_MAX times)
 *                          \--error, end of file--> the run fails: nothing new is submitted, and what is in flight is waited for
 *
 * Invariant: gyr_read_run returns only when no slot is in flight, so that the kernel is done with the memory.
 */
#include "control/load/reader.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "base/assertion.h"
#include "base/log.h"

#define RETRIES_MAX 1000u
#define BUFFER_BYTES (UINT64_C(1) << 30) /* the most that the kernel registers as one buffer */
#define BUFFERS_MAX 64u                  /* 64 GiB: as much as a bundle may have */

int (*gyr_read_hook)(uint64_t offset, uint32_t length, int result);

struct slot {
	uint64_t at, end; /* what is left of its part */
	uint32_t retries;
	uint32_t asked; /* bytes of the read in flight */
};

struct run {
	const struct gyr_read *read;
	struct io_uring ring;
	bool registered;
	struct slot slots[GYR_READ_DEPTH];
	uint64_t next; /* where the first part that no slot has begins */
	uint32_t in_flight;
	int status; /* the first failure */
	struct gyr_error *error;
};

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static void fail(struct run *run, int status, uint64_t at, const char *what)
{
	if (run->status == 0)
		run->status = gyr_error_set(run->error, status, "at byte %llu: %s", (unsigned long long)at, what);
}

static void submit(struct run *run, uint32_t index)
{
	struct slot *slot = &run->slots[index];
	const struct gyr_read *read = run->read;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&run->ring);
	GYR_ASSERT(sqe != NULL);
	uint64_t end = read->direct ? round_up(slot->end, GYR_READ_ALIGN) : slot->end;
	slot->asked = (uint32_t)(end - slot->at);
	uint8_t *to = read->to + slot->at;
	if (run->registered)
		io_uring_prep_read_fixed(sqe, read->fd, to, slot->asked, slot->at, (int)(slot->at / BUFFER_BYTES));
	else
		io_uring_prep_read(sqe, read->fd, to, slot->asked, slot->at);
	io_uring_sqe_set_data64(sqe, index);
	run->in_flight++;
}

/* Gives a free slot the next part, when there is one. */
static void begin_part(struct run *run, uint32_t index)
{
	if (run->status != 0 || run->next >= run->read->size)
		return;
	uint64_t left = run->read->size - run->next;
	uint64_t bytes = left < GYR_READ_BYTES ? left : GYR_READ_BYTES;
	run->slots[index] = (struct slot){.at = run->next, .end = run->next + bytes};
	run->next += bytes;
	submit(run, index);
}

static void take_result(struct run *run, uint32_t index, int result)
{
	struct slot *slot = &run->slots[index];
	if (gyr_read_hook != NULL)
		result = gyr_read_hook(slot->at, slot->asked, result);
	if (run->status != 0)
		return;
	if (result == -EAGAIN || result == -EINTR) {
		if (slot->retries++ == RETRIES_MAX)
			fail(run, -EIO, slot->at, "the read is put off again and again");
		else
			submit(run, index);
		return;
	}
	if (result <= 0) {
		fail(run, result == 0 ? -EBADMSG : result, slot->at,
		     result == 0 ? "the file ends here, before its size when it was opened" : strerror(-result));
		return;
	}
	slot->at += (uint32_t)result;
	if (slot->at >= slot->end) {
		begin_part(run, index);
		return;
	}
	/* A short read that stops inside a block cannot be continued with O_DIRECT but from the block's beginning. */
	if (run->read->direct)
		slot->at -= slot->at % GYR_READ_ALIGN;
	if (slot->retries++ == RETRIES_MAX)
		fail(run, -EIO, slot->at, "the read comes to no end");
	else
		submit(run, index);
}

/* Pins the memory once instead of at each read. Without it the reads are slower and as right. */
static bool register_memory(struct run *run)
{
	struct iovec buffers[BUFFERS_MAX];
	uint64_t size = round_up(run->read->size, GYR_READ_ALIGN);
	unsigned count = 0;
	for (uint64_t at = 0; at < size; at += BUFFER_BYTES) {
		uint64_t bytes = size - at < BUFFER_BYTES ? size - at : BUFFER_BYTES;
		GYR_ASSERT(count < BUFFERS_MAX);
		buffers[count++] = (struct iovec){.iov_base = run->read->to + at, .iov_len = bytes};
	}
	int status = io_uring_register_buffers(&run->ring, buffers, count);
	if (status != 0)
		gyr_log_info("io_uring: %s registering %llu bytes (a higher limit of locked memory would allow it); reading without", strerror(-status),
			     (unsigned long long)size);
	return status == 0;
}

int gyr_read_run(const struct gyr_read *read, struct gyr_error *error)
{
	struct run run = {.read = read, .error = error};
	int status = io_uring_queue_init(GYR_READ_DEPTH, &run.ring, 0);
	if (status == -EPERM || status == -ENOSYS)
		return gyr_error_set(error, status,
				     "io_uring is not allowed to this process; set kernel.io_uring_disabled=0, and let a container's seccomp filter pass it");
	if (status != 0)
		return gyr_error_set(error, status, "io_uring: %s", strerror(-status));
	run.registered = register_memory(&run);
	for (uint32_t i = 0; i < GYR_READ_DEPTH; i++)
		begin_part(&run, i);
	while (run.in_flight > 0) {
		if (read->cancel != NULL && atomic_load_explicit(read->cancel, memory_order_relaxed) && run.status == 0)
			run.status = gyr_error_set(error, -ECANCELED, "the load was cancelled");
		status = io_uring_submit_and_wait(&run.ring, 1);
		/* A signal, or a kernel short of memory for the moment: what is in flight comes all the same. */
		GYR_ASSERT(status >= 0 || status == -EINTR || status == -EAGAIN || status == -EBUSY || status == -ENOMEM);
		struct io_uring_cqe *cqe;
		while (io_uring_peek_cqe(&run.ring, &cqe) == 0) {
			uint32_t index = (uint32_t)io_uring_cqe_get_data64(cqe);
			int result = cqe->res;
			io_uring_cqe_seen(&run.ring, cqe);
			run.in_flight--;
			take_result(&run, index, result);
		}
	}
	/* Unpinned now rather than when the kernel gets to it: sealing must find no one who could still write. */
	if (run.registered) {
		status = io_uring_unregister_buffers(&run.ring);
		GYR_ASSERT(status == 0);
	}
	io_uring_queue_exit(&run.ring);
	return run.status;
}
