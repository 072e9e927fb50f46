"""Sources times targets: one trained network in every form that edgeloop reads, to every format.

    make table                          all of it (10 minutes on two cores), then docs/conversion.md
    python -m benchmarks.sources FORM   some forms, anew

Every conversion is the real command in a process of its own, with every recipe that the target has,
ranges from 128 pictures of Fashion-MNIST and judgement on 256 others. What comes of it is kept in
``benchmarks/results/sources.json``, from which ``scripts/docs`` writes the table.
"""
