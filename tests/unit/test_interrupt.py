"""An interrupt that an engine swallows is not lost."""

from __future__ import annotations

import signal
import threading

import pytest

from converters.steps import Steps
from edge_sdk import interrupt


@pytest.fixture(autouse=True)
def no_signal_is_ignored():
    """As Ctrl-C is for a suite that was started in the background, and a lost terminal by nohup."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in interrupt.SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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


def endless(interrupted_at):
    """More items than are asked for; a signal comes while the one of that number is waited for."""
    for number in range(1000):
        if number == interrupted_at:
            signal.raise_signal(signal.SIGINT)
        yield number


def test_a_wait_ends_at_an_interrupt_and_what_was_made_counts():
    with interrupt.interruptible(), interrupt.until_interrupted(endless(3)) as items:
        assert list(items) == [0, 1, 2]
    interrupt.check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", interrupt.SIGNALS)
def test_work_is_done_to_its_end_before_an_interrupt_ends_it_all(number):
    done = []
    with interrupt.interruptible(), interrupt.until_interrupted(endless(None)) as items:
        for item in items:
            if item == 2:
                signal.raise_signal(number)
            done.append(item)
    assert done == [0, 1, 2]


def test_the_second_interrupt_does_not_wait():
    with interrupt.until_interrupted(endless(None)) as items:
        next(items)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_an_error_of_the_source_is_told_and_an_end_is_one():
    def broken():
        yield 1
        raise OSError

    with interrupt.until_interrupted(broken()) as items:
        assert next(items) == 1
        with pytest.raises(OSError):
            next(items)
        signal.raise_signal(signal.SIGINT)  # nobody waits: noted
    with interrupt.until_interrupted([1, 2]) as items:
        assert list(items) == [1, 2]


def test_in_another_thread_it_catches_nothing():
    found = []

    def work():
        with interrupt.until_interrupted([1, 2]) as items:
            found.extend(items)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [1, 2]
