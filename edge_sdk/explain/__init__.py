"""Why a model answers as it does: which parts of a picture its score owes itself to.

``session.explain(picture)`` hides random parts of a picture and watches the score; nothing is asked
of the model but answers, so that it works with any engine and any delegate.
"""

from edge_sdk.explain.explanation import Explanation
from edge_sdk.explain.saliency import RUNS, explain
from edge_sdk.explain.target import Score, Target

__all__ = ["RUNS", "Explanation", "Score", "Target", "explain"]
