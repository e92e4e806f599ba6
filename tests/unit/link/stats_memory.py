"""The counters' shared memory (dataplane/link/stats.h), read and written by a second hand: what stands here was written from the header's description, not from its code."""
import fcntl
import mmap
import os
import struct
import time

MAGIC, VERSION = 0x3153544154535947, 1
HEADER, TABLE, FIELD = struct.Struct("<QIIIIQQQQQQIIII"), struct.Struct("<24sIIIIQQQQQ"), struct.Struct("<40s128sIIII")
TEXT, NUMBER, COUNTER, GAUGE, CYCLES, HISTOGRAM = range(1, 7)
SUB_BITS, BITS_MAX = 7, 40
BUCKETS = (BITS_MAX - SUB_BITS + 1) << SUB_BITS
F_ADD_SEALS, F_SEAL_SHRINK = 1033, 2


def text(raw):
    return raw.split(b"\0", 1)[0].decode()


def bucket_last(bucket):
    """The largest value of a histogram's bucket."""
    half = 1 << SUB_BITS
    octave = max(bucket // half - 1, 0)
    return ((bucket - octave * half + 1) << octave) - 1


def read(descriptor, only=None):
    """{table: [row]}; a row is what its head says, what its lanes counted together (ONLY: that one), and a list of non-empty buckets for each histogram."""
    memory = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    header = HEADER.unpack_from(memory, 0)
    magic, version, sub_bits, bits_max, table_count, size = header[:6]
    cycles_per_s, tables_at, fields_at, table_bytes, field_bytes = header[8:13]
    assert (magic, version, sub_bits, bits_max, size, table_bytes, field_bytes) == (MAGIC, VERSION, SUB_BITS, BITS_MAX, len(memory), TABLE.size, FIELD.size)
    word = lambda at: struct.unpack_from("<Q", memory, at)[0]
    tables = {"pid": header[6]}
    for t in range(table_count):
        name, slots, lanes, first, count, states_at, slots_at, slot_bytes, head_bytes, lane_bytes = TABLE.unpack_from(memory, tables_at + t * TABLE.size)
        rows = tables[text(name)] = []
        for slot in range(slots):
            if word(states_at + 8 * slot) % 2 == 0:
                continue
            row, head = {}, slots_at + slot * slot_bytes
            for f in range(first, first + count):
                field, _, kind, offset, size, sum_offset = FIELD.unpack_from(memory, fields_at + f * FIELD.size)
                field, at = text(field), [head + head_bytes + lane * lane_bytes for lane in range(lanes) if only in (None, lane)]
                if kind == TEXT:
                    row[field] = text(memory[head + offset:head + offset + size])
                elif kind == NUMBER:
                    row[field] = word(head + offset)
                elif kind == HISTOGRAM:
                    sums = [sum(bucket) for bucket in zip(*(struct.unpack_from(f"<{BUCKETS}Q", memory, lane + offset) for lane in at))]
                    row[field] = [(i, n) for i, n in enumerate(sums) if n]
                    row[field + ".sum"] = sum(word(lane + sum_offset) for lane in at)
                else:
                    row[field] = sum(word(lane + offset) for lane in at)
                    row[field] = row[field] * 10**9 // cycles_per_s if kind == CYCLES else row[field]
            rows.append(row)
    return tables


class Writer:
    """Memory with tables of one lane, or as many as are told. TABLES: {name: (slots, {field: kind}, lanes)}; a text has 64 bytes, a histogram is [(bucket, count)]."""

    def __init__(self, tables):
        self.tables, fields, packed = {}, [], []
        at = HEADER.size + len(tables) * TABLE.size + sum(len(kinds) for _, kinds, *_ in tables.values()) * FIELD.size
        for name, (slots, kinds, *more) in tables.items():
            lanes = more[0] if more else 1
            head, lane, places, first = 0, 0, {}, len(fields)
            for field, kind in kinds.items():
                size = 64 if kind == TEXT else 8 * (BUCKETS + 1) if kind == HISTOGRAM else 8
                offset = head if kind in (TEXT, NUMBER) else lane
                head, lane = (head + size, lane) if kind in (TEXT, NUMBER) else (head, lane + size)
                places[field] = (kind, offset)
                fields.append(FIELD.pack(field.encode(), b"of a test", kind, offset, size, offset + 8 * BUCKETS if kind == HISTOGRAM else 0))
            states_at, slots_at = at, at + 8 * slots
            at = slots_at + slots * (head + lanes * lane)
            packed.append(TABLE.pack(name.encode(), slots, lanes, first, len(kinds), states_at, slots_at, head + lanes * lane, head, lane))
            self.tables[name] = (slots, places, states_at, slots_at, head + lanes * lane, head, lane)
        header = HEADER.pack(MAGIC, VERSION, SUB_BITS, BITS_MAX, len(tables), at, os.getpid(), time.monotonic_ns(), 10**9, HEADER.size,
                             HEADER.size + len(tables) * TABLE.size, TABLE.size, FIELD.size, len(fields), 0)
        self.descriptor = os.memfd_create("gyr-stats", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.pwrite(self.descriptor, (header + b"".join(packed + fields)).ljust(at, b"\0"), 0)
        fcntl.fcntl(self.descriptor, F_ADD_SEALS, F_SEAL_SHRINK)
        self.used = {name: {} for name in tables}

    def put(self, table, key, row, lane=0):
        """Shows ROW under KEY, or shows it anew; what is counted is of LANE."""
        slots, places, states_at, slots_at, slot_bytes, head_bytes, lane_bytes = self.tables[table]
        used = self.used[table]
        if key not in used:
            used[key] = next(i for i in range(slots) if i not in used.values())
        slot = used[key]
        for field, value in row.items():
            kind, offset = places[field]
            at = slots_at + slot * slot_bytes + offset + (0 if kind in (TEXT, NUMBER) else head_bytes + lane * lane_bytes)
            if kind == HISTOGRAM:
                for bucket, count in value:
                    os.pwrite(self.descriptor, struct.pack("<Q", count), at + 8 * bucket)
            else:
                os.pwrite(self.descriptor, value.encode().ljust(64, b"\0") if kind == TEXT else struct.pack("<Q", value), at)
        os.pwrite(self.descriptor, struct.pack("<Q", 1), states_at + 8 * slot)

    def remove(self, table, key):
        slot = self.used[table].pop(key, None)
        if slot is not None:
            os.pwrite(self.descriptor, struct.pack("<Q", 0), self.tables[table][2] + 8 * slot)

    def close(self):
        os.close(self.descriptor)
