"""What edgeloop costs, as ratios against a named peer measured in the same run.

A benchmark is a program ``benchmarks/NAME.py`` that measures and prints, as the last line of its
stdout, one JSON object::

    {
      "about": "session.run of an int8 classifier",       one line
      "peer": "ai-edge-litert 2.3.0, Interpreter.invoke",  what 1.0 stands for
      "ratios": {"median": 1.004, "p99": 1.011},           ours over the peer's
      "limits": {"median": 1.02}                           optional: the most a ratio may be
    }

``scripts/bench`` runs them one after the other, prints the ratios and writes them to
``benchmarks/results/NAME.json``. Bare seconds would say more about a machine than about us.
"""
