"""What edgeloop costs, as ratios against a named peer measured in the same run.

A benchmark is a program ``benchmarks/NAME.py`` that measures and prints one JSON object::

    {
      "about": "session.run of an int8 classifier",       one line
      "peer": "ai-edge-litert 2.3.0, Interpreter.invoke",  what 1.0 stands for
      "ratios": {"median": 1.004, "p99": 1.011},           ours over the peer's
      "limits": {"median": 1.02}                           optional: the most a ratio may be
    }

on stdout, and anything else on stderr. ``scripts/bench`` runs them one after the other, prints the
ratios and writes ``benchmarks/results/NAME.json``. Bare seconds say more about a machine than about us.
"""
