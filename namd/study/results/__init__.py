"""What is shown of a finished run: page, course, runs side by side, the reference."""
