"""What leaves the store is spare, longest out of use, and no more than has to go."""

from hypothesis import given
from hypothesis import strategies as st

from controller.models.quota import Holding, evictions, total_bytes

HOLDINGS = st.lists(
    st.builds(
        Holding,
        sha256=st.uuids().map(lambda u: u.hex),
        size=st.integers(1, 10**9),
        used_at=st.floats(0, 2e9),
        spare=st.booleans(),
    ),
    max_size=20,
)


@given(holdings=HOLDINGS, most_bytes=st.integers(-(10**9), 10**10))
def test_only_spare_ones_go_and_only_until_the_quota_is_kept(holdings, most_bytes):
    gone = evictions(holdings, most_bytes)
    left = total_bytes(holdings) - total_bytes(gone)
    stays = [h for h in holdings if h.spare and h not in gone]

    assert all(h.spare for h in gone)
    assert left <= most_bytes or not stays
    assert not gone or left + gone[-1].size > most_bytes
    assert all(g.used_at <= s.used_at for g in gone for s in stays)


def test_within_the_quota_nothing_goes():
    assert evictions([Holding(sha256="a", size=10, used_at=0, spare=True)], 10) == ()
