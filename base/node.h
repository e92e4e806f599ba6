/*
 * Where memory lies on a machine with several NUMA nodes: a page lies where the thread runs that touches it first, unless that was told otherwise before. The
 * kernel takes these as wishes: a node that is full, or has no memory, fails nothing. Where it takes no wishes at all, that is logged once.
 */
#ifndef GYR_BASE_NODE_H
#define GYR_BASE_NODE_H

#include <stddef.h>
#include <stdint.h>

#define GYR_NODE_ANY (-1)
#define GYR_NODE_PAGE 4096u /* ranges begin and end at its multiples */

/* BYTES of zeroed memory that nobody has touched, from a page's beginning on; NULL: none. */
void *gyr_node_map(size_t bytes);
void gyr_node_unmap(void *memory, size_t bytes); /* NULL is fine */

/* The pages from AT (a page's beginning) on, which nobody has touched, are to lie on NODE. GYR_NODE_ANY, and nodes above 63: nothing is wished. */
void gyr_node_prefer(void *at, size_t bytes, int node);

/* The bit of NODE in the sets below; 0 for those of which nothing can be wished. */
uint64_t gyr_node_bit(int node);

/*
 * Until gyr_node_leave, what this thread touches first is to lie on the node in the set NODES, or in turn on each of several, so that threads on all of them
 * share their memories' bandwidth. An empty set: nothing is wished. Not nested.
 */
void gyr_node_enter(uint64_t nodes);
void gyr_node_leave(void);

#endif
