"""Replicas on shared nodes: counted, not placed one by one."""

import time

from hypothesis import example, given
from hypothesis import strategies as st

from homeport.planning.pools import packed


def first_fit(wanted: dict[int, int], size: int) -> int:
    """Place every replica on the first node that has room, the largest first."""
    free: list[int] = []
    for need in sorted((need for need, count in wanted.items() for _ in range(count)), reverse=True):
        slot = next((i for i, left in enumerate(free) if left >= need), None)
        if slot is None:
            free.append(size - need)
        else:
            free[slot] -= need
    return len(free)


@given(
    st.integers(1, 16).flatmap(
        lambda size: st.tuples(
            st.dictionaries(st.integers(1, size), st.integers(0, 40), max_size=6), st.just(size)
        )
    )
)
@example(({8: 1, 5: 2, 3: 3, 2: 1, 1: 7}, 8))
@example(({}, 8))
def test_it_is_first_fit(case: tuple[dict[int, int], int]) -> None:
    wanted, size = case
    assert packed(wanted, size) == first_fit(wanted, size)


def test_more_replicas_are_no_more_work() -> None:
    before = time.process_time()
    assert packed({8: 10**12, 2: 10**12, 1: 3}, 8) == 10**12 + 10**12 // 4 + 1
    assert time.process_time() - before < 1
