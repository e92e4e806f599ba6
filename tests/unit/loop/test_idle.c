/* What an lcore that is to sleep needs of the kernel is asked for before it runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>

#include "dataplane/loop/idle.h"

long test_syscall(long number, ...);

static int failure; /* of the next waits; 0: none */
static unsigned waits;

/* The kernel's epoll_pwait2. */
long test_syscall(long number, ...)
{
	assert_int_equal(number, SYS_epoll_pwait2);
	waits++;
	errno = failure;
	return failure == 0 ? 0 : -1;
}

static int init(enum gyr_config_idle idle, int with_failure, struct gyr_error *error)
{
	static struct gyr_config config;
	static struct gyr_loop loop;
	static struct gyr_lcore lcore;
	gyr_config_defaults(&config);
	config.idle = idle;
	loop = (struct gyr_loop){.config = &config, .tsc_per_us = 1000};
	lcore = (struct gyr_lcore){.loop = &loop};
	failure = with_failure;
	waits = 0;
	int status = gyr_idle_init(&lcore, error);
	gyr_idle_fini(&lcore);
	return status;
}

static void tries_to_wait_where_it_will_sleep(void **state)
{
	struct gyr_error error;
	assert_int_equal(init(GYR_CONFIG_IDLE_SLEEP, 0, &error), 0);
	assert_int_equal(waits, 1);
	assert_int_equal(init(GYR_CONFIG_IDLE_SLEEP, EINTR, &error), 0);
	assert_int_equal(init(GYR_CONFIG_IDLE_PAUSE, ENOSYS, &error), 0);
	assert_int_equal(init(GYR_CONFIG_IDLE_POLL, ENOSYS, &error), 0);
	assert_int_equal(waits, 0);
}

static void says_what_the_kernel_has_not(void **state)
{
	struct gyr_error error;
	assert_int_equal(init(GYR_CONFIG_IDLE_SLEEP, ENOSYS, &error), -ENOSYS);
	assert_non_null(strstr(error.text, "epoll_pwait2"));
	assert_non_null(strstr(error.text, "5.11"));
	assert_non_null(strstr(error.text, "idle"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tries_to_wait_where_it_will_sleep),
		cmocka_unit_test(says_what_the_kernel_has_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
