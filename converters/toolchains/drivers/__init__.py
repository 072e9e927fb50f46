"""Programs that run in a toolchain's Python: they import its engine, and nothing of ours."""
