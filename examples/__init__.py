"""Examples that run: a classifier to live with, a demo of the main job, and the assets they use."""
