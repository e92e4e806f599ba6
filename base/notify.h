/*
 * What a service manager is told, by the plain datagrams of sd_notify(3) to the socket that it names: nothing where there is none, so that a daemon is the same
 * with and without one. One thread.
 */
#ifndef GYR_BASE_NOTIFY_H
#define GYR_BASE_NOTIFY_H

#include <stdint.h>

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that children do not speak for us. Once, at start. */
void gyr_notify_init(void);

/* Tells TEXT: lines such as "READY=1" or "STATUS=...". What cannot be told is not told. */
void gyr_notify(const char *text);

/* How often gyr_notify_alive is to be called, at least: half the time after which the manager would end us. 0: never. */
uint64_t gyr_notify_interval_ns(void);

/* We are well. At most one datagram each quarter of that time; nothing where no watchdog is set. */
void gyr_notify_alive(void);

/* Something lawful begins that may keep us from calling gyr_notify_alive for so long. */
void gyr_notify_busy(uint64_t at_most_ns);
/* It has ended: the manager's own time counts again. */
void gyr_notify_idle(void);

#endif
