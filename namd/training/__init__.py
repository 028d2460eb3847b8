"""One `loop` for all stages, its `state`, the `checkpoint` that a killed run goes on from, `parallel` processes."""
