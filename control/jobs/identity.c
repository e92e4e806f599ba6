#include "control/jobs/identity.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assertion.h"

static bool take_number(const char **text, char end, uint32_t *number)
{
	char *stop;
	errno = 0;
	unsigned long value = strtoul(*text, &stop, 10);
	if ((*text)[0] < '0' || (*text)[0] > '9' || errno != 0 || value >= UINT32_MAX || (*stop != end && *stop != '\0'))
		return false;
	*text = *stop == '\0' ? stop : stop + 1;
	*number = (uint32_t)value;
	return true;
}

int gyr_identity_read(const char *text, struct gyr_identity *identity, struct gyr_error *error)
{
	*identity = (struct gyr_identity){0};
	if (text == NULL || geteuid() != 0)
		return 0;
	const char *at = text;
	bool read = take_number(&at, ':', &identity->uid) && take_number(&at, ',', &identity->gid);
	identity->groups[identity->group_count++] = identity->gid;
	while (read && *at != '\0') {
		read = identity->group_count < GYR_IDENTITY_GROUPS_MAX && take_number(&at, ',', &identity->groups[identity->group_count]);
		identity->group_count++;
	}
	identity->other = identity->uid != 0;
	return read ? 0
		    : gyr_error_set(error, -EINVAL, "option as is \"%.80s\"; UID:GID,GID,... is expected, at most %u groups", text, GYR_IDENTITY_GROUPS_MAX);
}

int gyr_identity_take(const struct gyr_identity *identity, struct gyr_error *error)
{
	if (!identity->other)
		return 0;
	if (setgroups(identity->group_count, identity->groups) == 0 && setegid(identity->gid) == 0 && seteuid(identity->uid) == 0)
		return 0;
	int status = -errno;
	gyr_identity_leave(identity);
	return gyr_error_set(error, status, "the rights of user %u cannot be taken: %s", (unsigned)identity->uid, strerror(-status));
}

void gyr_identity_leave(const struct gyr_identity *identity)
{
	if (!identity->other)
		return;
	/* The groups that it had are not needed: root's rights do not come from them. */
	bool left = seteuid(0) == 0 && setegid(0) == 0 && setgroups(0, NULL) == 0;
	GYR_ASSERT(left);
}
