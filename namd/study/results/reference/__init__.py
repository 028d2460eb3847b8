"""outputs/reference/: what a finished run says, kept in the repository, and the page written from its tables."""
