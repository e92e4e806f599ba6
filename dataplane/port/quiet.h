/*
 * Keeps drivers from pulling memory away under an lcore that is inside them.
 *
 * DPDK handles what happens to a port outside the data path (a memif peer comes or goes, a link changes) on a thread of its own, at any time. The memif driver
 * then unmaps the shared rings, although an lcore that was preempted within rte_eth_rx_burst may be about to read them: the process dies. DPDK offers no hook
 * before such handling, but all of it takes place between two calls of epoll_wait on that thread, so this room has its own epoll_wait, which calls back
 * around it.
 */
#ifndef GYR_DATAPLANE_PORT_QUIET_H
#define GYR_DATAPLANE_PORT_QUIET_H

/*
 * From here on BEFORE is called on DPDK's interrupt thread before it handles events, and AFTER when it has. BEFORE returns once no lcore is inside a port, and
 * keeps lcores out until AFTER. Both NULL: no more. Once a call has returned, the functions of the call before are not running and will not be called.
 */
void gyr_quiet_set(void (*before)(void *), void (*after)(void *), void *argument);

/*
 * Between these two DPDK's interrupt thread handles nothing: for who stops a port, as the driver may be at the same port because of a peer that just hung up.
 * The thread finds what it was about to handle gone. Not from BEFORE and AFTER.
 */
void gyr_quiet_hold(void);
void gyr_quiet_release(void);

/*
 * What gyr_quiet_set does, for a program that polls its ports on one thread: that one calls begin before it polls, turn between polls as often as it can (a few
 * ns; it waits there while events are handled), and end when it polls no more. It must not call turn from within a port.
 */
void gyr_quiet_begin(void);
void gyr_quiet_turn(void);
void gyr_quiet_end(void);

#endif
