"""A package, because torch-fidelity brings a package `tests` of its own, which workers would find first."""
