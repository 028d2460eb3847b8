"""The command `rehearse`: a run at its true size with random weights, two steps a stage, before a GPU is hired."""
