"""The compared systems: one file with a class `System` each."""
