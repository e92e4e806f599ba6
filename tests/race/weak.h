/*
 * Included before everything else, this takes an ordering away: -DWEAK_ACQUIRE or -DWEAK_RELEASE makes it relaxed throughout. A test so compiled must fail, or
 * it would not notice if the ordering were missing in the source.
 */
#ifdef WEAK_ACQUIRE
#undef __ATOMIC_ACQUIRE
#define __ATOMIC_ACQUIRE __ATOMIC_RELAXED
#endif
#ifdef WEAK_RELEASE
#undef __ATOMIC_RELEASE
#define __ATOMIC_RELEASE __ATOMIC_RELAXED
#endif
