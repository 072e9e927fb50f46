"""The zoo: real models through every target, each converted and proven, or refused with a reason.

    make zoo                        what is not measured yet, then the table
    python -m benchmarks.zoo NAME   some models, anew

Every conversion is the real command in a process of its own, on real inputs. A refusal that says
what and why is an answer; a traceback, an exit code that stands for a bug, or a run out of time is
a failure of ours. Not part of ``make test``: it takes about ten minutes on two cores.
"""
