"""A synthetic NLST delivery: the law of the subjects, their images, the files, and the truth behind them."""
