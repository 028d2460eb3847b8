"""What `namd check` says before anything runs."""
