"""An interrupt that an engine swallows is not lost."""

from __future__ import annotations

import signal

import pytest

from converters.steps import Steps
from edge_sdk import interrupt


@pytest.fixture(autouse=True)
def ctrl_c_is_not_ignored():
    """As it is for a suite that was started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def swallowed(number):
    try:
        signal.raise_signal(number)
    except:  # noqa: E722 - as coremltools has it
        return
    pytest.fail("the signal did not raise")


@pytest.mark.parametrize("number", interrupt.SIGNALS)
def test_one_that_was_swallowed_is_raised_at_the_next_step(number):
    steps = Steps()
    with interrupt.interruptible():
        steps.begin("make tflite-fp32")
        swallowed(number)
        with pytest.raises(KeyboardInterrupt):
            steps.progress(1, 2)
        with pytest.raises(KeyboardInterrupt):
            steps.begin("pack the artifact")


def test_the_next_command_begins_anew():
    with interrupt.interruptible():
        swallowed(signal.SIGINT)
    interrupt.check()
    with interrupt.interruptible():
        interrupt.check()


def test_handlers_are_given_back_and_a_programs_own_are_left_alone():
    own = signal.signal(signal.SIGTERM, lambda *_: None)
    mine = signal.getsignal(signal.SIGTERM)
    try:
        with interrupt.interruptible():
            assert signal.getsignal(signal.SIGTERM) is mine
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, own)
