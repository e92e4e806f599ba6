#include "base/node.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/log.h"

#define NODES_MAX 64u
#define MASK_BITS (NODES_MAX + 1) /* the kernel counts one more than it reads */

static void check(long result)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;
	if (result != 0 && !atomic_flag_test_and_set(&told))
		gyr_log_warning("the kernel takes no wishes about NUMA nodes (%s): memory lies on the node of the thread that touches it first",
				strerror(errno));
}

void *gyr_node_map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

void gyr_node_unmap(void *memory, size_t bytes)
{
	if (memory == NULL)
		return;
	int status = munmap(memory, bytes);
	GYR_ASSERT(status == 0);
}

uint64_t gyr_node_bit(int node)
{
	return node >= 0 && (unsigned)node < NODES_MAX ? UINT64_C(1) << node : 0;
}

void gyr_node_prefer(void *at, size_t bytes, int node)
{
	uint64_t nodes = gyr_node_bit(node);
	GYR_ASSERT((uintptr_t)at % GYR_NODE_PAGE == 0);
	if (nodes != 0)
		check(syscall(SYS_mbind, at, bytes, MPOL_PREFERRED, &nodes, MASK_BITS, 0));
}

void gyr_node_enter(uint64_t nodes)
{
	if (nodes != 0)
		check(syscall(SYS_set_mempolicy, (nodes & (nodes - 1)) == 0 ? MPOL_PREFERRED : MPOL_INTERLEAVE, &nodes, MASK_BITS));
}

void gyr_node_leave(void)
{
	check(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
}
