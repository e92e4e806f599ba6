/* DPDK has the registering of readers in its library, where nothing is hooked: the same steps, in sight of the machine. */
#include <rte_rcu_qsbr.h>

int rte_rcu_qsbr_thread_register(struct rte_rcu_qsbr *v, unsigned int thread)
{
	RTE_ATOMIC(uint64_t) *registered = __RTE_QSBR_THRID_ARRAY_ELM(v, 0);
	rte_atomic_fetch_or_explicit(registered, UINT64_C(1) << thread, rte_memory_order_release);
	rte_atomic_fetch_add_explicit(&v->num_threads, 1, rte_memory_order_relaxed);
	return 0;
}

int rte_rcu_qsbr_thread_unregister(struct rte_rcu_qsbr *v, unsigned int thread)
{
	RTE_ATOMIC(uint64_t) *registered = __RTE_QSBR_THRID_ARRAY_ELM(v, 0);
	rte_atomic_fetch_and_explicit(registered, ~(UINT64_C(1) << thread), rte_memory_order_release);
	rte_atomic_fetch_add_explicit(&v->num_threads, -1, rte_memory_order_relaxed);
	return 0;
}
