"""Predictive text on the device: docs/text.md.

python -m examples.predictive_text.make       # the models, once, into the cache
python -m examples.predictive_text.suggest    # what a text may go on with
"""
