"""What is measured of running models, so that it can be sent without sending what they saw.

    features    numbers about one inference: of its input, of its answer
    baseline    where those numbers lay when the artifact was made, and bins to match
    bins        counts in such bins: observed one at a time, merged exactly
    histogram   latencies in logarithmic bins, likewise
    distance    how far counts are from the baseline

``features`` and ``baseline`` need numpy; the others only add up whole numbers.
"""
