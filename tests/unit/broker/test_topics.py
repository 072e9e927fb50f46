"""Patterns of MQTT 3.1.1, section 4.7, whose own examples these are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.broker.topics import check_pattern, covers, matches, overlap
from edge_sdk.broker.users import device_user, fleet_user
from edge_sdk.errors import UsageError
from edge_sdk.spec.wire import down, up

levels = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)
topics = levels.map("/".join)
patterns = st.tuples(st.lists(st.sampled_from("abc+"), min_size=1, max_size=4), st.booleans()).map(
    lambda parts: "/".join([*parts[0], *(["#"] if parts[1] else [])])
)


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("+/tennis/#", "sport/tennis", True),
        ("sport", "sport/tennis", False),
    ],
)
def test_matches(pattern: str, topic: str, expected: bool) -> None:
    check_pattern(pattern)
    assert matches(pattern, topic) is expected


@given(patterns, patterns, topics)
def test_patterns_that_share_a_topic_overlap(one: str, other: str, topic: str) -> None:
    assert overlap(one, other) == overlap(other, one)
    if matches(one, topic) and matches(other, topic):
        assert overlap(one, other)


@given(patterns, patterns, topics)
def test_a_pattern_that_covers_another_hears_all_it_hears(
    wide: str, narrow: str, topic: str
) -> None:
    assert covers(narrow, narrow)
    if covers(wide, narrow):
        assert overlap(wide, narrow)
        assert matches(wide, topic) or not matches(narrow, topic)


def every_topic() -> list[str]:
    grown, found = [""], []
    for _ in range(5):
        grown = [f"{start}/{level}".lstrip("/") for start in grown for level in "abcd"]
        found += grown
    return found


@given(patterns, patterns)
def test_overlap_and_cover_are_what_listing_every_topic_says(one: str, other: str) -> None:
    """Letter d stands for all names that no pattern has."""
    heard = {topic for topic in every_topic() if matches(one, topic)}
    others = {topic for topic in every_topic() if matches(other, topic)}
    assert overlap(one, other) == bool(heard & others)
    assert covers(one, other) == (others <= heard)


def test_a_device_may_say_and_hear_its_own_topics() -> None:
    user = device_user("cam-1", "secret")
    assert (user.publish, user.subscribe) == ((up("cam-1"),), (down("cam-1"),))
    assert all(covers(pattern, up("cam-1")) for pattern in fleet_user("secret").subscribe)
    assert "secret" not in repr(user)


@pytest.mark.parametrize("name", ["fleet", "Cam", "a/b", "", "a" * 64])
def test_names_that_no_device_may_have(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a device's id"):
        device_user(name, "secret")
