"""The stages of requests to one model, from the data plane's own counters: what was counted between two readings."""

STAGES = ("parsed", "queued", "computed", "sent")


def read(appliance, model):
    """{stage: {largest value of a bucket in ns: how many}} of MODEL's one version, since the data plane started."""
    [row] = [row for row in appliance.ctl_json("stats", "--buckets")["versions"] if row["model"] == model]
    return {stage: dict(row["stages"][stage].get("buckets", [])) for stage in STAGES}


def between(earlier, later):
    return {stage: {value: count - earlier[stage].get(value, 0) for value, count in later[stage].items()} for stage in STAGES}


def quantile(buckets, share):
    """The value that SHARE of those counted are at or below, at most 1/128 too large."""
    left = share * sum(buckets.values())
    assert left > 0, "no request was counted"
    for value, count in sorted(buckets.items()):
        left -= count
        if left <= 0:
            return value
    raise AssertionError("the last bucket is always enough")
