"""A classifier to live with: three small networks trained on Fashion-MNIST, one of them bad.

    python -m examples.fashion_mnist.train all       # trains them, or finds them in the cache
    python -m examples.fashion_mnist.dataset DATA    # what to calibrate and evaluate with

``dataset`` reads the pictures, ``model`` is the network, ``fit`` trains it in a process of its own,
and ``train`` keeps what was trained.
"""
