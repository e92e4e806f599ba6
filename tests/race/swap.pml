/*
 * The swap of route tables (dataplane/loop/route.c over DPDK's rte_rcu_qsbr.h): two readers, one writer, three versions. Table N is what the Nth store to the
 * pointer made current; publishing 2 lets go of 1, publishing 3 of 2.
 *
 * Memory is C11's, by views. A load may return any value of a location that is not older than what its thread has seen of it. A release store carries all that
 * its thread has seen; an acquire load of it sees that too. Every location has one writer and only grows, so a value names its store. Plain data is judged by
 * happens-before, as a thread sanitizer does: a table may be used only by a thread that has seen it made, and freed only by one that has seen all of its uses.
 *
 * Each ordering has a name, here and (the first two) in route.c. With -DWITHOUT_name it is relaxed:
 *
 *   R1  release of the pointer, gyr_route_publish       A1  acquire of the pointer, gyr_route_read
 *   R2  release of the token, rte_rcu_qsbr_start        A2  acquire of the token, rte_rcu_qsbr_quiescent
 *   R3  release of a reader's report, the same          A3  acquire of the report, rte_rcu_qsbr_check
 *   R4  release of a reader's end, rte_rcu_qsbr_thread_offline (its acquire is A3)
 *
 * With -DWITHOUT_REPORT readers do not say what they have seen: nothing is freed too early then, but the writer waits for ever.
 */
#define READERS 2
#define VERSIONS 3
#define FIRST 1 /* DPDK's first token; with table N, token N */

#ifdef WITHOUT_R1
#define R1 0
#else
#define R1 1
#endif
#ifdef WITHOUT_A1
#define A1 0
#else
#define A1 1
#endif
#ifdef WITHOUT_R2
#define R2 0
#else
#define R2 1
#endif
#ifdef WITHOUT_A2
#define A2 0
#else
#define A2 1
#endif
#ifdef WITHOUT_R3
#define R3 0
#else
#define R3 1
#endif
#ifdef WITHOUT_A3
#define A3 0
#else
#define A3 1
#endif
#ifdef WITHOUT_R4
#define R4 0
#else
#define R4 1
#endif

#define MAX(a, b) ((a) > (b) -> (a) : (b))

byte pointer = FIRST, token = FIRST; /* the newest store to each; the writer has seen them all */
byte pointer_made[VERSIONS + 1];     /* what a store to the pointer carries: the tables that it was made after */
byte token_pointer[VERSIONS + 1];    /* what a store to the token carries: the pointer, and tables made */
byte token_made[VERSIONS + 1];
byte report[READERS];                /* the newest report of each reader: the token that it saw */
bool carries[READERS * (VERSIONS + 1)]; /* whether the report of that token was a release */
bool ended[READERS];
bool used[READERS * (VERSIONS + 1)]; /* reader I used table N ... */
byte used_after[READERS * (VERSIONS + 1)]; /* ... last after it had made that report */
bool freed[VERSIONS + 1];
bool fresh[READERS];                 /* the reader has just reported the newest token, or ended */
bool writer_done;

#define AT(reader, version) ((reader) * (VERSIONS + 1) + (version))

/* Loads the newest of a location that has NEWEST stores, or any older one down to what SEEN tells. */
inline load(value, seen, newest)
{
	value = newest;
	do
	:: value > seen -> value--
	:: break
	od;
	seen = value
}

/* The reader looks into the table that it holds. */
inline use(me, table, made)
{
	d_step {
		assert(made >= table);  /* what the writer wrote there is seen */
		assert(!freed[table]);
		used[AT(me, table)] = true;
		used_after[AT(me, table)] = report[me];
	}
}

proctype reader(byte me)
{
	byte pointer_seen = FIRST, token_seen = FIRST, made = FIRST, table, now;
	do
	:: atomic {
		fresh[me] = false;
		load(table, pointer_seen, pointer);
		if
		:: A1 -> made = MAX(made, pointer_made[table])
		:: else
		fi
	   }
	   use(me, table, made);
	   use(me, table, made);
	   atomic {
		load(now, token_seen, token);
		if
		:: A2 ->
			pointer_seen = MAX(pointer_seen, token_pointer[now]);
			made = MAX(made, token_made[now])
		:: else
		fi
	   }
	   atomic {
		if
#ifdef WITHOUT_REPORT
		:: false ->
#else
		:: now != report[me] ->
#endif
			report[me] = now;
			carries[AT(me, now)] = R3
		:: else
		fi;
		fresh[me] = now == token
	   }
	:: atomic {
		ended[me] = true;
		fresh[me] = true;
		break
	   }
	od
}

/* Waits for the report of TOKEN by a reader, or its end. SYNCED: the report that the writer has come after, and with it all uses before that. */
inline wait(me, synced)
{
	atomic {
		if
		:: report[me] >= token ->
			synced = (A3 && carries[AT(me, report[me])] -> report[me] : 0)
		:: ended[me] ->
			synced = (A3 && R4 -> VERSIONS + 1 : 0)
		fi
	}
}

proctype writer()
{
	byte made = FIRST, next = FIRST + 1, synced0, synced1;
	do
	:: next <= VERSIONS ->
		made = next; /* the table is built */
		atomic {
			pointer_made[next] = (R1 -> made : 0);
			pointer = next
		}
		atomic {
			token_pointer[next] = (R2 -> pointer : 0);
			token_made[next] = (R2 -> made : 0);
			token = next
		}
		wait(0, synced0);
		wait(1, synced1);
		atomic {
			assert(!used[AT(0, next - 1)] || synced0 > used_after[AT(0, next - 1)]);
			assert(!used[AT(1, next - 1)] || synced1 > used_after[AT(1, next - 1)]);
			freed[next - 1] = true;
			next++
		}
	:: else -> break
	od;
	writer_done = true
}

init {
	atomic {
		pointer_made[FIRST] = FIRST;
		token_pointer[FIRST] = FIRST;
		token_made[FIRST] = FIRST;
		report[0] = FIRST;
		report[1] = FIRST;
		carries[AT(0, FIRST)] = true;
		carries[AT(1, FIRST)] = true;
		run reader(0);
		run reader(1);
		run writer()
	}
}

/* Readers that report what is newest again and again, or end, do not hold the writer up. */
ltl writer_ends { ([]<> fresh[0] && []<> fresh[1]) -> <> writer_done }
