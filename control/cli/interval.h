/* What the counters did between two answers of the call "stats". Private to this folder. */
#ifndef GYR_CONTROL_CLI_INTERVAL_H
#define GYR_CONTROL_CLI_INTERVAL_H

#include <yyjson.h>

/*
 * The difference of two answers (with buckets), LATER after EARLIER, as an object of DOC:
 *     interval_s, requests_per_s, rows_per_s, received_per_s, sent_per_s, under_way,
 *     lcores: [{lcore, cpu, roles, busy (0 to 1), queued}],
 *     versions: [{model, version, requests_per_s, rows_per_s, rows_per_run, busy (of one lcore), refused_per_s, stages: {name: {p50_ns, p99_ns, p99.9_ns}}}],
 *     refused: {reason: per second}, of those that are not 0.
 * Quantiles are of what was counted in between. NULL: they are of two data planes, or not apart in time.
 */
yyjson_mut_val *ctl_interval(yyjson_mut_doc *doc, yyjson_mut_val *earlier, yyjson_mut_val *later);

#endif
