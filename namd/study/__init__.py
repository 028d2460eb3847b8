"""How a run comes about. `notebook` is what every notebook calls, with `stamp` and `panel`; `need` says the command for
what it lacks, `ranks` trains a stage in several processes, `benchmark` times ours against the common way."""
