"""A classifier to live with: three small networks trained on Fashion-MNIST, one of them bad.

    python -m examples.fashion_mnist.train all       # train, or find in the cache
    python -m examples.fashion_mnist.samples DATA    # what to calibrate and evaluate with

``dataset`` reads the pictures, ``model`` is the network, ``fit`` trains it in a process of its own,
``train`` keeps what was trained.
"""
