"""What every room stands on: errors, files, paths, the papers' facts, the order of notebooks, seeds, keys."""
