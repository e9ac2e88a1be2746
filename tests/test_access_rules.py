"""Which role each path needs, and how much everybody may do: tables and arithmetic."""

from broker.errors import AccessError
from controller.access.allowance import MOST_KNOWN, Allowance, place
from controller.access.roles import Role
from controller.access.rules import needed
from controller.api.app import described

T0 = 1_800_000_000.0


def test_what_is_not_in_the_table_needs_an_admin():
    assert needed("GET", "/api/new") is Role.ADMIN
    assert needed("PATCH", "/api/status") is Role.ADMIN
    assert needed("GET", "/api/devices/x/y/z") is Role.ADMIN
    assert needed("HEAD", "/models/abc") is Role.VIEWER
    assert needed("DELETE", "/api/devices/pi5-1") is Role.ADMIN


def test_the_description_says_how_to_sign_in_and_as_what():
    document = described("1").openapi()
    stop, live = document["paths"]["/api/device/{deed}"]["post"], document["paths"]["/livez"]["get"]

    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert (stop["x-role"], stop["security"]) == ("operator", [{"token": []}])
    assert (live["x-role"], live["security"]) == (None, [])


def allowance(most=3):
    return Allowance(per_min={"writes": most, "predictions": most, "failed_sign_ins": most})


def refused(limits, what, whose, at):
    """Return for how long somebody has to wait, None when it is allowed."""
    try:
        limits.take(what, whose, at)
    except AccessError as error:
        assert error.code == "too_many_requests"
        return error.facts["retry_after_s"]
    return None


def test_so_much_at_once_and_as_much_again_within_a_minute():
    limits = allowance(3)

    assert [refused(limits, "writes", "ada", T0) for _ in range(5)] == [None, None, None, 20, 20]
    assert refused(limits, "writes", "ada", T0 + 19) == 1
    assert refused(limits, "writes", "ada", T0 + 20) is None
    assert [refused(limits, "writes", "ada", T0 + 1_000) for _ in range(4)] == [None, None, None, 20]
    assert limits.refused == {"writes": 4}


def test_each_has_an_allowance_of_their_own_for_each_kind():
    limits = allowance(1)

    assert refused(limits, "writes", "ada", T0) is None
    assert refused(limits, "writes", "bob", T0) is None
    assert refused(limits, "predictions", "ada", T0) is None
    assert refused(limits, "writes", "ada", T0) == 60


def test_a_clock_that_goes_back_gives_nothing_away():
    limits = allowance(1)

    assert refused(limits, "writes", "ada", T0) is None
    assert refused(limits, "writes", "ada", T0 - 1_000) == 60


def test_so_many_are_remembered_and_no_more():
    limits = allowance(1)
    for number in range(MOST_KNOWN + 10):
        limits.take("failed_sign_ins", str(number), T0)

    assert len(limits._left) == MOST_KNOWN
    assert refused(limits, "failed_sign_ins", "0", T0) is None
    assert refused(limits, "failed_sign_ins", str(MOST_KNOWN), T0) == 60


def test_a_home_with_many_addresses_is_one_place():
    assert place("2001:db8::1") == place("2001:db8::ffff") == "2001:db8::/64"
    assert place("2001:db8:0:1::1") != place("2001:db8::1")
    assert place("192.0.2.1") == "192.0.2.1"
    assert place("") == ""
