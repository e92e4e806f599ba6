/* What config.c and config_network.c share. */
#ifndef GYR_BASE_CONFIG_INTERNAL_H
#define GYR_BASE_CONFIG_INTERNAL_H

#include "base/config.h"

/* Each reads the value of one key and sets it. -EINVAL, and nothing is set. */
int gyr_config_parse_address(const char *text, struct gyr_config *config);                  /* "192.0.2.1/24" */
int gyr_config_parse_address6(const char *text, struct gyr_config *config);                 /* "2001:db8::1/64", or nothing */
int gyr_config_parse_gateway(const char *text, bool ipv4, struct gyr_net_address *gateway); /* an address of IPv4, or else of IPv6; or nothing */
int gyr_config_parse_networks(const char *text, struct gyr_config *config);                 /* "192.0.2.0/24 2001:db8::/32", or nothing */

/* What only all of them together can violate. -EINVAL. */
int gyr_config_check_network(const struct gyr_config *config, struct gyr_error *error);

#endif
