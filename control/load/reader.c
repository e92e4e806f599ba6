/*
 * The range is cut into parts of 1 MiB. Each of the queue's slots holds one part at a time and reads what is left of it until it is whole:
 *
 *     free --submit--> in flight --some bytes--> in flight (the rest) --whole--> told, free
 *                          |  \--EAGAIN, EINTR, ECANCELED--> in flight (again, at most RETRIES_MAX times)
 *                          \--error, end of file--> the run fails: nothing new is submitted, what is in flight is cancelled and waited for
 *
 * Invariant: gyr_read_run returns only when no slot is in flight, so that the kernel is done with the memory. What was never submitted is not in flight.
 */
#include "control/load/reader.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"

#define RETRIES_MAX 1000u
#define CANCELLATION UINT64_MAX       /* in place of a slot's number */
#define WAIT_NS (100 * GYR_NS_PER_MS) /* until the wish to cancel is looked at again */
#define PAUSE_NS GYR_NS_PER_MS        /* after a submission that the kernel did not take */

const struct gyr_read_faults *gyr_read_faults;

struct slot {
	uint64_t at, end; /* what is left of its part */
	uint64_t begin;   /* of the part */
	uint32_t retries;
	uint32_t asked; /* bytes of the read in flight */
	bool waiting;   /* for a place in the submission queue */
};

struct run {
	const struct gyr_read *read;
	struct io_uring ring;
	bool registered; /* chunks are pinned as they are prepared */
	struct slot slots[GYR_READ_DEPTH];
	uint64_t next;      /* where the first part that no slot has begins */
	uint64_t prepared;  /* up to where the memory is ready */
	uint32_t waiting;   /* slots that are */
	uint32_t queued;    /* submissions that the kernel has not taken yet */
	uint32_t in_flight; /* that it has taken */
	uint32_t refusals;  /* of submissions, one after another */
	bool cancelling;    /* a cancellation was sent */
	int status;         /* the first failure */
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

static void queue(struct run *run, uint32_t index)
{
	run->slots[index].waiting = true;
	run->waiting++;
}

static void fill(struct run *run, uint32_t index, struct io_uring_sqe *sqe)
{
	struct slot *slot = &run->slots[index];
	const struct gyr_read *read = run->read;
	uint64_t end = read->direct ? round_up(slot->end, GYR_READ_ALIGN) : slot->end;
	slot->asked = (uint32_t)(end - slot->at);
	uint8_t *to = read->to + slot->at;
	if (run->registered)
		io_uring_prep_read_fixed(sqe, read->fd, to, slot->asked, slot->at, (int)((slot->begin - read->from) / GYR_READ_CHUNK));
	else
		io_uring_prep_read(sqe, read->fd, to, slot->asked, slot->at);
	io_uring_sqe_set_data64(sqe, index);
	slot->waiting = false;
	run->waiting--;
	run->queued++;
}

/* Queues what waits, as far as there is room. */
static void fill_queue(struct run *run)
{
	for (uint32_t i = 0; i < GYR_READ_DEPTH && run->waiting > 0 && run->status == 0; i++) {
		struct io_uring_sqe *sqe = run->slots[i].waiting ? io_uring_get_sqe(&run->ring) : NULL;
		if (sqe != NULL)
			fill(run, i, sqe);
		else if (run->slots[i].waiting)
			return;
	}
}

/* Pins a chunk once instead of at each read. Without it the reads are slower and as right. */
static void register_chunk(struct run *run, uint64_t at, uint64_t bytes)
{
	struct iovec chunk = {.iov_base = run->read->to + at, .iov_len = bytes};
	unsigned index = (unsigned)((at - run->read->from) / GYR_READ_CHUNK);
	if (!run->registered)
		return;
	int status = io_uring_register_buffers_update_tag(&run->ring, index, &chunk, NULL, 1);
	if (status == 1)
		return;
	gyr_log_info("io_uring: %s registering memory (a higher limit of locked memory would allow it); reading without", strerror(-status));
	run->registered = false;
}

/* Gets the chunk ready that begins where the last one ended. */
static void prepare_chunk(struct run *run)
{
	const struct gyr_read *read = run->read;
	uint64_t room = round_up(read->end, GYR_READ_ALIGN), at = run->prepared;
	uint64_t bytes = room - at < GYR_READ_CHUNK ? room - at : GYR_READ_CHUNK;
	int status = read->prepare == NULL ? 0 : read->prepare(read->user, at, bytes, run->error);
	if (status != 0) {
		run->status = status;
		return;
	}
	register_chunk(run, at, bytes);
	run->prepared += bytes;
}

/* Gives a free slot the next part, when there is one. */
static void begin_part(struct run *run, uint32_t index)
{
	if (run->status == 0 && run->next < run->read->end && run->next == run->prepared)
		prepare_chunk(run);
	if (run->status != 0 || run->next >= run->read->end)
		return;
	uint64_t left = run->read->end - run->next;
	uint64_t part = gyr_read_faults != NULL && gyr_read_faults->part_bytes != 0 ? gyr_read_faults->part_bytes : GYR_READ_BYTES;
	uint64_t bytes = left < part ? left : part;
	run->slots[index] = (struct slot){.begin = run->next, .at = run->next, .end = run->next + bytes};
	run->next += bytes;
	queue(run, index);
}

/* What is left of a slot's part, once more; WHY when that was tried often enough. */
static void try_again(struct run *run, uint32_t index, const char *why)
{
	struct slot *slot = &run->slots[index];
	if (slot->retries++ == RETRIES_MAX)
		fail(run, -EIO, slot->at, why);
	else
		queue(run, index);
}

static void take_result(struct run *run, uint32_t index, int result)
{
	struct slot *slot = &run->slots[index];
	const struct gyr_read *read = run->read;
	if (gyr_read_faults != NULL && gyr_read_faults->result != NULL)
		result = gyr_read_faults->result(gyr_read_faults->user, slot->at, slot->asked, read->to + slot->at, result);
	if (run->status != 0)
		return;
	if (result == -EAGAIN || result == -EINTR || result == -ECANCELED) {
		try_again(run, index, "the read is put off again and again");
		return;
	}
	if (result <= 0) {
		fail(run, result == 0 ? -EBADMSG : result, slot->at,
		     result == 0 ? "the file ends here, before its size when it was opened" : strerror(-result));
		return;
	}
	slot->at += (uint32_t)result;
	if (slot->at >= slot->end) {
		if (read->arrived != NULL)
			read->arrived(read->user, slot->begin, slot->end - slot->begin);
		begin_part(run, index);
		return;
	}
	/* A short read that stops inside a block cannot be continued with O_DIRECT but from the block's beginning. */
	if (read->direct)
		slot->at -= slot->at % GYR_READ_ALIGN;
	try_again(run, index, "the read comes to no end");
}

/* Has what is in flight given up, once, after a failure. Where the kernel cannot, it is waited for. */
static void cancel_rest(struct run *run)
{
	struct io_uring_sqe *sqe = run->cancelling || run->in_flight == 0 ? NULL : io_uring_get_sqe(&run->ring);
	if (sqe == NULL)
		return;
	io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data64(sqe, CANCELLATION);
	run->queued++;
	run->cancelling = true;
}

/* Submits what is queued. False: the kernel did not take all of it, and is given time. */
static bool submit(struct run *run)
{
	int status = gyr_read_faults != NULL && gyr_read_faults->submit != NULL ? gyr_read_faults->submit(gyr_read_faults->user) : 0;
	if (run->queued == 0)
		return true;
	if (status == 0)
		status = io_uring_submit(&run->ring);
	if (status > 0) {
		GYR_ASSERT((uint32_t)status <= run->queued);
		run->queued -= (uint32_t)status;
		run->in_flight += (uint32_t)status;
		run->refusals = 0;
		return run->queued == 0;
	}
	/* A signal, completions that wait to be taken, or a kernel short of memory for the moment. */
	GYR_ASSERT(status == 0 || status == -EINTR || status == -EAGAIN || status == -EBUSY || status == -ENOMEM);
	if (run->refusals++ == RETRIES_MAX)
		fail(run, status == 0 ? -EIO : status, run->next, "the kernel takes no more reads");
	clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	return false;
}

/* Takes the completions that are there. */
static void take_completions(struct run *run)
{
	struct gyr_read_result results[GYR_READ_DEPTH];
	struct io_uring_cqe *cqe;
	unsigned count = 0;
	if (gyr_read_faults != NULL && gyr_read_faults->overflowed != NULL && io_uring_cq_has_overflow(&run->ring))
		gyr_read_faults->overflowed(gyr_read_faults->user);
	/* Also those that did not fit into the queue: the kernel keeps them, and liburing fetches them. */
	while (count < GYR_READ_DEPTH && io_uring_peek_cqe(&run->ring, &cqe) == 0) {
		uint64_t number = io_uring_cqe_get_data64(cqe);
		if (number != CANCELLATION)
			results[count++] = (struct gyr_read_result){.slot = (uint32_t)number, .result = cqe->res};
		io_uring_cqe_seen(&run->ring, cqe);
		run->in_flight--;
	}
	if (gyr_read_faults != NULL && gyr_read_faults->order != NULL)
		gyr_read_faults->order(gyr_read_faults->user, results, count);
	for (unsigned i = 0; i < count; i++)
		take_result(run, results[i].slot, results[i].result);
}

static void wait_for_completions(struct run *run)
{
	struct __kernel_timespec limit = {.tv_nsec = WAIT_NS};
	struct io_uring_cqe *cqe;
	unsigned count = gyr_read_faults != NULL && gyr_read_faults->wait != NULL ? gyr_read_faults->wait(gyr_read_faults->user, run->in_flight) : 1;
	int status = io_uring_wait_cqes(&run->ring, &cqe, count, &limit, NULL);
	GYR_ASSERT(status == 0 || status == -ETIME || status == -EINTR || status == -EAGAIN || status == -EBUSY || status == -ENOMEM);
}

static void read_all(struct run *run)
{
	const struct gyr_read *read = run->read;
	for (uint32_t i = 0; i < GYR_READ_DEPTH; i++)
		begin_part(run, i);
	while (run->in_flight > 0 || (run->queued + run->waiting > 0 && run->status == 0)) {
		if (read->cancel != NULL && atomic_load_explicit(read->cancel, memory_order_relaxed) && run->status == 0)
			run->status = gyr_error_set(run->error, -ECANCELED, "the load was cancelled");
		if (run->status != 0)
			cancel_rest(run);
		do
			fill_queue(run);
		while (submit(run) && run->waiting > 0 && run->status == 0);
		if (run->in_flight > 0)
			wait_for_completions(run);
		take_completions(run);
	}
}

/* A table for the chunks of the range; each is entered when it is ready. */
static bool make_table(struct run *run)
{
	uint64_t bytes = round_up(run->read->end, GYR_READ_ALIGN) - run->read->from;
	return io_uring_register_buffers_sparse(&run->ring, (unsigned)((bytes + GYR_READ_CHUNK - 1) / GYR_READ_CHUNK)) == 0;
}

int gyr_read_run(const struct gyr_read *read, struct gyr_error *error)
{
	if (read->from >= read->end)
		return 0;
	struct run run = {.read = read, .next = read->from, .prepared = read->from, .error = error};
	struct io_uring_params params = {0};
	unsigned entries = 2 * GYR_READ_DEPTH; /* a cancellation has room beside all slots */
	if (gyr_read_faults != NULL && gyr_read_faults->entries != 0) {
		params = (struct io_uring_params){.flags = IORING_SETUP_CQSIZE, .cq_entries = gyr_read_faults->entries};
		entries = gyr_read_faults->entries;
	}
	int status = io_uring_queue_init_params(entries, &run.ring, &params);
	if (status == -EPERM || status == -ENOSYS)
		return gyr_error_set(error, status,
				     "io_uring is not allowed to this process; set kernel.io_uring_disabled=0, and let a container's seccomp filter pass it");
	if (status != 0)
		return gyr_error_set(error, status, "io_uring: %s", strerror(-status));
	bool table = run.registered = make_table(&run);
	read_all(&run);
	/* Unpinned now rather than when the kernel gets to it: sealing must find no one who could still write. */
	if (table) {
		status = io_uring_unregister_buffers(&run.ring);
		GYR_ASSERT(status == 0);
	}
	io_uring_queue_exit(&run.ring);
	return run.status;
}
